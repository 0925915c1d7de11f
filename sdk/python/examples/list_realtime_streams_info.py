"""Live streams of an app, with their push quality.

python list_realtime_streams_info.py UNIQUE_NAME APP

Endpoint and key pair come from OPENKLS_ENDPOINT, OPENKLS_ACCESS_KEY and OPENKLS_SECRET_KEY.
"""

import sys

from openkls_client import Client

unique_name, app = sys.argv[1:]
with Client() as kls:
    answer = kls.list_realtime_streams_info(unique_name=unique_name, app=app, type="push")
for stream in answer.streams:
    print(stream.stream, stream.vcodec, stream.acodec, f"{stream.width}x{stream.height}", f"{stream.bw_real} kbps")
print(answer.count, "live")
