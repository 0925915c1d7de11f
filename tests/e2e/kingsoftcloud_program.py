"""An application written against the vendor's new SDK; it has a request class for each action it knows.

Usage: kingsoftcloud_program.py HOST:PORT METHOD ACCESS_KEY SECRET_KEY, where METHOD is the SDK's `reqMethod`: POST, its
default, or GET. Each line of standard input is a JSON array of an action and its parameters; each line of standard
output is the answer.
"""

import json
import sys

from ksyun.client.kls.v20170101 import models
from ksyun.client.kls.v20170101.client import KlsClient
from ksyun.common.common_client import CommonClient
from ksyun.common.credential import Credential
from ksyun.common.profile.client_profile import ClientProfile
from ksyun.common.profile.http_profile import HttpProfile

REGION = "cn-beijing-6"


def main() -> None:
    endpoint, method, access_key, secret_key = sys.argv[1:]
    credential = Credential(access_key, secret_key)
    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=endpoint, reqMethod=method))
    client = KlsClient(credential, REGION, profile=profile)
    # SDK 1.5.8 has no class for ListRealtimePubStreamsInfo; what it has for such actions is this client.
    plain = CommonClient("kls", "2017-01-01", credential, REGION, profile=profile)
    for line in sys.stdin:
        action, parameters = json.loads(line)
        if hasattr(client, action):
            request = getattr(models, f"{action}Request")()
            for name, value in parameters.items():
                setattr(request, name, value)
            answer = getattr(client, action)(request)
        else:
            answer = plain.call_judge(action, parameters, "application/json")
        print(json.dumps(json.loads(answer)), flush=True)


if __name__ == "__main__":
    main()
