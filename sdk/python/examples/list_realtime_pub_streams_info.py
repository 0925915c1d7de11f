"""All streams being pushed to a domain, over all pages.

python list_realtime_pub_streams_info.py UNIQUE_NAME APP PUBDOMAIN

Endpoint and key pair come from OPENKLS_ENDPOINT, OPENKLS_ACCESS_KEY and OPENKLS_SECRET_KEY.
"""

import sys

from openkls_client import Client

unique_name, app, pubdomain = sys.argv[1:]
with Client() as kls:
    for row in kls.iter_list_realtime_pub_streams_info(unique_name=unique_name, app=app, pubdomain=pubdomain):
        print(row.stream, "from", row.clientip, f"{row.width}x{row.height}", row.bw_in, "bytes/s")
