"""Signed requests a second on one core, beside a bare aiohttp server that answers the same bytes, and moto's sts.

OpenKLS runs whole, with its store on disk, on core 0; so do the others, one at a time; the load comes from core 1, over
8 kept connections (moto's server closes its own), with requests signed beforehand. Rounds alternate between the
servers. The first figure of each line is the server's processor time for a request, which is steadier than requests a
second on a machine that others use too; the ratio is of those times, so that 1 is a server that costs no more than
aiohttp itself.

The load may be the limit of the echo's requests a second (its core is printed), never of its processor time. What the
figures do not show is printed below them.
"""

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.api_load import Figure, fetch, load
from bench.machine import no_options
from openkls.codec import sigv4
from openkls.codec.amzdate import build_amz_date

ROUNDS: Final = 3
SERVER_CORE, CLIENT_CORE = 0, 1
CALLS: Final = 10_000
PAIRS: Final = 1_500
BLACKLIST_CALLS: Final = 1_000
LIST_CALLS: Final = 8
MOTO_CALLS: Final = 500
BANS: Final = 1_000
LIVE_STREAMS: Final = 10_000
# Other bytes in each, as from a fleet of clients; more would only measure the signing.
DISTINCT_REQUESTS: Final = 500

NOT_SHOWN: Final = """
Not shown: a network, TLS, clients that connect anew, the documented rates (switched off here). The live streams are
registered in the service with ten seconds of media counted, but have no connections: what publishers and viewers cost
beside the list is not in it. moto's server is a development server and verifies no signature: a peer in what it is for,
no yardstick. The encoding alone is of an answer read back into dicts, without making it."""

ACCESS_KEY, SECRET_KEY = "AKBENCH", "SKBENCH"
PUBDOMAIN: Final = "push.demo.local"
SUCCESS: Final = b'"RetCode":0'
CONFIG: Final = f"""\
[server]
data_dir = "{{folder}}/data"
[api]
listen = "127.0.0.1:0"
[rtmp]
listen = "127.0.0.1:0"
[play]
listen = "127.0.0.1:0"
[limits]
enforce = false
[[account]]
id = "2000001"
[[account.key]]
access_key = "{ACCESS_KEY}"
secret_key = "{SECRET_KEY}"
[[account.space]]
unique_name = "demo"
publish_domains = ["{PUBDOMAIN}"]
[[account.space.play_domain]]
id = "1001"
name = "play.demo.local"
"""


class Server:
    """A server process on its core."""

    def __init__(self, name: str, arguments: Sequence[str], port: int | None = None, *, keeps: bool = True) -> None:
        self.name = name
        self.keeps = keeps
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if port else None,
            text=True,
        )
        # Before it has made a thread: they inherit the core.
        os.sched_setaffinity(self._process.pid, {SERVER_CORE})
        self.port = port or int(self._read())

    def order(self, line: str) -> None:
        """Have it do something (api_server), and wait until it has."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self._read() == "done"

    def run(self, requests: Sequence[bytes], expected: bytes = SUCCESS) -> Figure:
        """Load it."""
        return load(self.port, self._process.pid, requests, expected, keeps=self.keeps)

    def used_seconds(self) -> float:
        """Processor time that it has used, user and system."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Gone."""
        self._process.kill()
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@dataclass(frozen=True, slots=True)
class Question:
    """What is measured: ``requests`` makes those of a round, ``before`` prepares the service for it. ``calls`` is how
    many requests one of the printed figures holds, ``echoed`` how often the echo gets the requests: so often that its
    time is many of the kernel's hundredths."""

    name: str
    requests: Callable[[int], Sequence[bytes]]
    before: str = ""
    calls: int = 1
    echoed: int = 1


def main(options: Sequence[str] = ()) -> None:
    """Measure and print."""
    no_options("api", __doc__, options)
    if (os.cpu_count() or 1) < 2:
        sys.exit("bench api wants two cores: one for the server, one for the load")
    os.sched_setaffinity(0, {CLIENT_CORE})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = folder / "openkls.toml"
        path.write_text(CONFIG.format(folder=folder))
        openkls = _start(stack, "OpenKLS", ["-m", "bench.api_server", "openkls", str(path)])
        echo = _start(stack, "aiohttp echo", ["-m", "bench.api_server", "echo"])
        moto = _start_moto(stack)
        openkls.run([_signed("ForbidStream", App="banned", Stream=f"banned-{number}") for number in range(BANS)])
        openkls.order(f"fill {LIVE_STREAMS}")
        for question in QUESTIONS:
            print(f"\n{question.name}")
            peers = [openkls, echo] + ([moto] if moto and question is QUESTIONS[0] else [])
            _measure(question, peers, folder / "answer")
    print(NOT_SHOWN)


def _measure(question: Question, peers: list[Server], answer: Path) -> None:
    openkls, echo = peers[0], peers[1]
    sample = question.requests(0)
    if question.before:
        openkls.order(question.before)
    body = fetch(openkls.port, sample[0])
    answer.write_bytes(body)
    echo.order(f"answer {answer}")
    figures: dict[str, list[Figure]] = {peer.name: [] for peer in peers}
    encodings: list[float] = []
    for number in range(1, ROUNDS + 1):
        for peer in peers:
            if peer is openkls and question.before:
                peer.order(question.before)
            figures[peer.name].append(_round(question, peer, number))
        if question is QUESTIONS[-1]:
            encodings.append(_encoding_ms(fetch(openkls.port, sample[0])))
    _print(figures, question, len(body))
    if encodings:
        _print_encoding(figures[openkls.name], encodings)


def _round(question: Question, peer: Server, number: int) -> Figure:
    if peer.name == "moto sts":
        requests = [_signed_sts()] * MOTO_CALLS
        peer.run(requests[:10], b"GetCallerIdentityResult")
        return peer.run(requests, b"GetCallerIdentityResult")
    requests = list(question.requests(number))
    if number == 1 and not question.before:
        # So that caches are as warm in the first round as in the last.
        peer.run(question.requests(-1))
    return peer.run(requests * (question.echoed if peer.name == "aiohttp echo" else 1))


def _print(figures: dict[str, list[Figure]], question: Question, answer_bytes: int) -> None:
    base = statistics.median(figure.server_us for figure in figures["aiohttp echo"])
    for name, runs in figures.items():
        times = [figure.server_us * question.calls for figure in runs]
        rates = [figure.per_second / question.calls for figure in runs]
        median = statistics.median(times)
        print(
            f"  {name:13} {median:10.1f} us ({min(times):.1f} to {max(times):.1f})"
            f"  {statistics.median(rates):8.0f}/s ({min(rates):.0f} to {max(rates):.0f})"
            f"  ratio {base * question.calls / median:.3f}  load's core {max(each.client_share for each in runs):.0%}"
        )
    print(f"  answer of {answer_bytes} bytes; ratio: time of the echo through time of the server")


def _print_encoding(figures: list[Figure], encodings: list[float]) -> None:
    taken = statistics.median(figure.server_us for figure in figures) / 1000
    encoding = statistics.median(encodings)
    print(
        f"  msgspec encodes the same answer in {encoding:.1f} ms ({min(encodings):.1f} to {max(encodings):.1f}):"
        f" the whole request takes {taken / encoding:.1f} times that"
    )


def _encoding_ms(body: bytes) -> float:
    """How long msgspec takes to encode the answer, on the server's core: the best of ten."""
    answer = msgspec.json.decode(body)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        times = []
        for _ in range(10):
            begin = time.process_time()
            msgspec.json.encode(answer)
            times.append(time.process_time() - begin)
    finally:
        os.sched_setaffinity(0, {CLIENT_CORE})
    return min(times) * 1000


# -- the servers and the requests -----------------------------------------------------------------------------------


def _start(stack: ExitStack, name: str, arguments: Sequence[str]) -> Server:
    server = Server(name, arguments)
    stack.callback(server.end)
    return server


def _start_moto(stack: ExitStack) -> Server | None:
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask_cors") is None:
        print("moto[server] is not installed (extra bench): without it")
        return None
    from tests.support_service import until
    from tools.ports import free_ports

    (port,) = free_ports(1)
    server = Server("moto sts", ["-m", "moto.server", "-p", str(port)], port, keeps=False)
    stack.callback(server.end)

    def answers() -> bool:
        try:
            return bool(fetch(port, _signed_sts()))
        except ConnectionError:
            return False

    until(answers, 30.0)
    return server


def _check(number: int) -> list[bytes]:
    distinct = [_signed("CheckBlacklist", App="live", Stream=f"s{each}") for each in range(DISTINCT_REQUESTS)]
    return distinct * (CALLS // DISTINCT_REQUESTS)


def _pairs(number: int) -> list[bytes]:
    # Eight streams are forbidden, then resumed, and so on: a connection that is ahead of the others by four requests
    # and more does not overtake its own stream's ban.
    requests = []
    for first in range(0, PAIRS, 64):
        streams = [f"pair-{number}-{each}" for each in range(first, first + 64)]
        requests += [_signed("ForbidStream", App="live", Stream=stream) for stream in streams]
        requests += [_signed("ResumeStream", App="live", Stream=stream) for stream in streams]
    return requests


def _blacklist(number: int) -> list[bytes]:
    return [_signed("GetBlacklist", App="banned")] * BLACKLIST_CALLS


def _streams(number: int) -> list[bytes]:
    return [_signed("ListRealtimeStreamsInfo", Pubdomain=None, App="live")] * LIST_CALLS


QUESTIONS: Final = (
    Question("CheckBlacklist", _check),
    Question("ForbidStream and ResumeStream, the pair", _pairs, calls=2),
    Question(f"GetBlacklist, {BANS:,} rows", _blacklist, echoed=5),
    Question(f"ListRealtimeStreamsInfo, {LIVE_STREAMS:,} live streams", _streams, before="feed", echoed=50),
)


def _signed(action: str, **parameters: str | None) -> bytes:
    """A signed request in bytes: a GET with the parameters in its query, as SDKs send these actions, but a POST with
    JSON for what changes something."""
    names = {"UniqueName": "demo", "Pubdomain": PUBDOMAIN} | parameters
    given = {name: value for name, value in names.items() if value is not None}
    query = [("Action", action), ("Version", "2017-01-01")]
    headers = [("Host", "127.0.0.1"), ("Accept", "application/json"), ("User-Agent", "bench")]
    if action in ("ForbidStream", "ResumeStream"):
        body = msgspec.json.encode(given)
        headers.append(("Content-Type", "application/json"))
        return _request("POST", sigv4.encode_query(query), headers, body, "cn-beijing-6", "kls")
    return _request("GET", sigv4.encode_query([*query, *given.items()]), headers, b"", "cn-beijing-6", "kls")


def _signed_sts() -> bytes:
    headers = [("Host", "127.0.0.1"), ("Content-Type", "application/x-www-form-urlencoded")]
    return _request("POST", "", headers, b"Action=GetCallerIdentity&Version=2011-06-15", "us-east-1", "sts")


def _request(method: str, query: str, headers: list[tuple[str, str]], body: bytes, region: str, service: str) -> bytes:
    unsigned = sigv4.SignedRequest(method, "/", query, headers, body)
    signed = sigv4.sign(unsigned, ACCESS_KEY, SECRET_KEY, region, service, build_amz_date(int(time.time())))
    lines = [f"{method} /{'?' if query else ''}{query} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in [*headers, *signed.items()]]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


if __name__ == "__main__":
    main()
