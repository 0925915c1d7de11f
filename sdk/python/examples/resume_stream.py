"""Let a forbidden stream be pushed again.

python resume_stream.py UNIQUE_NAME APP PUBDOMAIN STREAM

Endpoint and key pair come from OPENKLS_ENDPOINT, OPENKLS_ACCESS_KEY and OPENKLS_SECRET_KEY.
"""

import sys

from openkls_client import Client
from openkls_client.codes import NotForbidden

unique_name, app, pubdomain, stream = sys.argv[1:]
with Client() as kls:
    try:
        kls.resume_stream(unique_name=unique_name, app=app, pubdomain=pubdomain, stream=stream)
        print("resumed")
    except NotForbidden as error:
        print("nothing to resume:", error.advice)
