"""Cut a stream and refuse it for an hour.

python forbid_stream.py UNIQUE_NAME APP PUBDOMAIN STREAM

Endpoint and key pair come from OPENKLS_ENDPOINT, OPENKLS_ACCESS_KEY and OPENKLS_SECRET_KEY.
"""

import sys
import time

from openkls_client import Client
from openkls_client.codes import AlreadyForbidden

unique_name, app, pubdomain, stream = sys.argv[1:]
with Client() as kls:
    try:
        kls.forbid_stream(
            unique_name=unique_name,
            app=app,
            pubdomain=pubdomain,
            stream=stream,
            forbid_till_unix_time=int(time.time()) + 3600,
        )
        print("forbidden")
    except AlreadyForbidden as error:
        print("not changed:", error.advice)
