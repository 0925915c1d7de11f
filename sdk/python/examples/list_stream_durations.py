"""How long streams were pushed today.

python list_stream_durations.py UNIQUE_NAME APP PUBDOMAIN

Endpoint and key pair come from OPENKLS_ENDPOINT, OPENKLS_ACCESS_KEY and OPENKLS_SECRET_KEY.
"""

import sys
import time

from openkls_client import Client

unique_name, app, pubdomain = sys.argv[1:]
now = int(time.time())
with Client() as kls:
    answer = kls.list_stream_durations(
        unique_name=unique_name, app=app, pubdomain=pubdomain, start_unix_time=now, end_unix_time=now + 86400
    )
for row in answer.result:
    print(row.stream, row.duration, "s")
