"""What the Python SDK adds to a call: building and signing a request, reading its answer; beside botocore's signing.

One core, no network. Each request has another stream's name, and the clock goes on by a second every hundred requests,
as it would for a program that calls often: what the signer remembers is what it would remember there. What it does not
show: the time of HTTP itself, which is the most of every call.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from bench.machine import no_options
from openkls.client import Credentials, results
from openkls.client.core import Answer, Call, Core

REQUESTS: Final = 2000
RUNS: Final = 7
NOW: Final = 1_790_000_000
ONE: Final = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local"}
ROWS: Final = 1000


def main(options: Sequence[str] = ()) -> None:
    """Measure and print."""
    no_options("sdk", __doc__, options)
    core = Core("http://127.0.0.1:8080", Credentials("AKTEST", "SKTEST"), "cn-beijing-6")
    botocore = SigV4Auth(BotocoreCredentials("AKTEST", "SKTEST"), "kls", "cn-beijing-6")

    def ours(action: str) -> Callable[[int], object]:
        return lambda number: Call(core, action, {**ONE, "Stream": f"直播-{number}"}).sign(NOW + number // 100)

    def theirs(number: int) -> None:
        body = json.dumps({**ONE, "Stream": f"直播-{number}"}).encode()
        url = "http://127.0.0.1:8080/?Action=ForbidStream&Version=2017-01-01"
        botocore.add_auth(AWSRequest("POST", url, headers={"Content-Type": "application/json"}, data=body))

    _print("build and sign, GET", ours("CheckBlacklist"))
    _print("build and sign, POST", ours("ForbidStream"))
    _print("botocore signs a POST", theirs)
    row = {"Stream": "s", "ForbidTillUnixTime": NOW, "ForbidUnixTime": NOW}
    data = {**ONE, "Total": ROWS, "Recs": [row] * ROWS, "RetCode": 0, "RetMsg": "success"}
    answer = Answer(200, json.dumps({"Data": data, "RequestId": "r"}).encode(), {})

    def read(_: int) -> None:
        call = Call(core, "GetBlacklist", ONE)
        call.judge(answer, NOW)
        call.result(results.GetBlacklistData)

    _print(f"read an answer of {ROWS} rows", read, REQUESTS // 20)


def _print(what: str, step: Callable[[int], object], times: int = REQUESTS) -> None:
    """Median of the runs' means, in microseconds, and the least and greatest of them."""
    means: list[float] = []
    for run in range(RUNS):
        began = time.perf_counter()
        for number in range(run * times, (run + 1) * times):
            step(number)
        means.append((time.perf_counter() - began) / times * 1e6)
    print(f"{what:30} {statistics.median(means):8.1f} us  ({min(means):.1f} to {max(means):.1f}, {RUNS} x {times})")
