"""An application of the cloud's, as its document writes it: it knows no endpoint, and its POST actions take one dict.

Usage: kls_client_program.py ACCESS_KEY SECRET_KEY. Each line of standard input is a JSON array of an action and its
parameters; each line of standard output is the answer.
"""

import json
import sys

from kscore.kls import getKlsClient

POSTED = ("ListRealtimeStreamsInfo", "ForbidStream", "ResumeStream")


def main() -> None:
    access_key, secret_key = sys.argv[1:]
    client = getKlsClient(
        "kls", "cn-beijing-6", use_ssl=False, ks_access_key_id=access_key, ks_secret_access_key=secret_key
    )
    for line in sys.stdin:
        action, parameters = json.loads(line)
        method = getattr(client, action)
        print(json.dumps(method(parameters) if action in POSTED else method(**parameters)), flush=True)


if __name__ == "__main__":
    main()
