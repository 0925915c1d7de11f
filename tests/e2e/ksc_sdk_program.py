"""An application written against the official SDK: its own process, because the SDK leaves import hooks behind.

Usage: ksc_sdk_program.py ENDPOINT ACCESS_KEY SECRET_KEY. Each line of standard input is a JSON array of the client's
method and its parameters; each line of standard output is the answer.
"""

import json
import sys

from kscore.session import get_session


def main() -> None:
    endpoint, access_key, secret_key = sys.argv[1:]
    client = get_session().create_client(
        "kls",
        "cn-beijing-6",
        use_ssl=False,
        endpoint_url=endpoint,
        ks_access_key_id=access_key,
        ks_secret_access_key=secret_key,
    )
    for line in sys.stdin:
        method, parameters = json.loads(line)
        print(json.dumps(getattr(client, method)(**parameters)), flush=True)


if __name__ == "__main__":
    main()
