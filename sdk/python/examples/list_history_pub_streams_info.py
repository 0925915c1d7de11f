"""Pushes of the last five days that have ended.

python list_history_pub_streams_info.py UNIQUE_NAME APP PUBDOMAIN

Endpoint and key pair come from OPENKLS_ENDPOINT, OPENKLS_ACCESS_KEY and OPENKLS_SECRET_KEY.
"""

import sys

from openkls_client import Client

unique_name, app, pubdomain = sys.argv[1:]
with Client() as kls:
    for row in kls.iter_list_history_pub_streams_info(unique_name=unique_name, app=app, pubdomain=pubdomain):
        for push in row.detail:
            print(row.stream, push.fintime - push.pubtime, "s, ended by", push.status_code, push.status_message)
