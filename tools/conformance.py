"""Signs the requests of the SDKs' conformance cases: ``python -m tools.conformance [--check]``.

A case says clock, target, headers and body; its X-Amz-Date and Authorization follow from them, and are written here by
the service's own signer (the tests ask botocore's too). Nothing else in the files is changed but their layout.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from openkls.codec import sigv4
from openkls.codec.amzdate import build_amz_date

FOLDER = Path(__file__).resolve().parent.parent / "sdk" / "conformance"
HOST = "kls.test:8080"
SIGNED = ("content-type", "host")
DEFAULTS = {"region": "cn-beijing-6", "access_key": "AKTEST", "secret_key": "SKTEST"}


def sign(case: dict[str, Any]) -> None:
    """Write the date and the signature of each request of a case. ``signed_at`` of a request is the clock that it is
    signed by where that is not the client's (the correction of a skew)."""
    client = DEFAULTS | case.get("client", {})
    for request in case.get("requests", []):
        path, _, query = request["target"].partition("?")
        headers = {name: value for name, value in request["headers"].items() if name.lower() in SIGNED}
        body = request.get("body", "").encode()
        asked = sigv4.SignedRequest(request["method"], path, query, [("Host", HOST), *headers.items()], body)
        date = build_amz_date(request.get("signed_at", case["clock"]))
        signed = sigv4.sign(asked, client["access_key"], client["secret_key"], client["region"], "kls", date)
        request["headers"] = {name: value for name, value in request["headers"].items() if name not in signed} | signed


def layout(cases: dict[str, Any]) -> str:
    """A file's text: each name is on a line of its own."""
    return json.dumps(cases, ensure_ascii=False, indent=2) + "\n"


def main(arguments: list[str]) -> int:
    """Run the command; 1 when ``--check`` found a file that is not as it would be written."""
    parser = argparse.ArgumentParser(prog="python -m tools.conformance", description="Sign the conformance cases.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file would change")
    checking = parser.parse_args(arguments).check
    changed = False
    for path in sorted(FOLDER.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        cases = json.loads(text)
        for case in cases["cases"]:
            sign(case)
        if layout(cases) != text:
            changed = True
            print(f"{'stale' if checking else 'written'}: {path.name}")
            if not checking:
                path.write_text(layout(cases), encoding="utf-8")
    return 1 if checking and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
