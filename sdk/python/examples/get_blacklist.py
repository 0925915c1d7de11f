"""The forbidden streams of an app.

python get_blacklist.py UNIQUE_NAME APP PUBDOMAIN

Endpoint and key pair come from OPENKLS_ENDPOINT, OPENKLS_ACCESS_KEY and OPENKLS_SECRET_KEY.
"""

import sys

from openkls_client import Client

unique_name, app, pubdomain = sys.argv[1:]
with Client() as kls:
    for ban in kls.get_blacklist(unique_name=unique_name, app=app, pubdomain=pubdomain).recs:
        print(ban.stream, "until", ban.forbid_till_unix_time)
