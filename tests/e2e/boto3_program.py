"""An application written against boto3, which finds the service model where `openkls model install` has put it.

Usage: boto3_program.py ENDPOINT, with the key pair in the environment, where boto3 looks for it. Each line of standard
input is a JSON array of an action and its parameters; each line of standard output is the answer.
"""

import json
import sys

import boto3


def main() -> None:
    client = boto3.client("kls", region_name="cn-beijing-6", endpoint_url=sys.argv[1])
    methods = {action: method for method, action in client.meta.method_to_api_mapping.items()}
    for line in sys.stdin:
        action, parameters = json.loads(line)
        print(json.dumps(getattr(client, methods[action])(**parameters), default=str), flush=True)


if __name__ == "__main__":
    main()
