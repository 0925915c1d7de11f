"""Whether a stream is forbidden.

python check_blacklist.py UNIQUE_NAME APP PUBDOMAIN STREAM

Endpoint and key pair come from OPENKLS_ENDPOINT, OPENKLS_ACCESS_KEY and OPENKLS_SECRET_KEY.
"""

import sys

from openkls_client import Client

unique_name, app, pubdomain, stream = sys.argv[1:]
with Client() as kls:
    answer = kls.check_blacklist(unique_name=unique_name, app=app, pubdomain=pubdomain, stream=stream)
print("forbidden" if answer.check_result else "not forbidden")
