"""An application written against the official SDK: its own process, because the SDK leaves import hooks behind.

Usage: ksc_sdk_program.py ENDPOINT ACCESS_KEY SECRET_KEY. Each line of standard input is a JSON array of an action and
its parameters; each line of standard output is the answer.
"""

import json
import re
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
        action, parameters = json.loads(line)
        method = re.sub("(?<!^)(?=[A-Z])", "_", action).lower()
        print(json.dumps(getattr(client, method)(**parameters)), flush=True)


if __name__ == "__main__":
    main()
