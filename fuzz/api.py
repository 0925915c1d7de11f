"""Fuzzes the API of a running service with requests made from the service model: `python -m fuzz.api [--seconds N]`.

Rule: the strategies read the models of all versions, so that a new parameter is fuzzed without a word here; the service
is a process of its own, reached by sockets alone.

Theory of operation. A `Plan` is one request before it is signed: valid, nearly valid or hostile in its parameters, its
form, its signature and its bytes. `build` makes the bytes, `judge` holds the answer against what holds for every
request: an answer within DEADLINE_SECONDS (or, where the request is cut short, the connection's end), never a 5xx, a
RequestId, and an HTTP 200 that is what the model says. Hypothesis shrinks what fails and prints the plan. Afterwards
the service must answer a plain call, have no exception in its log, and end with 0.
"""

import argparse
import itertools
import json
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from openkls import model
from openkls.codec import sigv4
from openkls.codec.amzdate import build_amz_date
from openkls.model import Member
from tests.support_service import ACCESS_KEY, SECRET_KEY, RunningService

DEADLINE_SECONDS: Final = 10.0
# Of one round of hypothesis; the time is looked at between rounds.
ROUND_EXAMPLES: Final = 50
# Times near now are good ones; the same for the whole run, as hypothesis must be able to make a plan again.
BEGUN: Final = int(time.time())
STATUSES: Final = frozenset((200, 400, 401, 403, 404, 409, 412, 413))
BROKEN: Final = ("Traceback", " ERROR ", " CRITICAL ", "Exception ignored")
# Not random: hypothesis sets the seed anew for each plan.
_CONNECTIONS: Final = itertools.count()
# The names that exist, so that a fair share of the requests reaches its action.
KNOWN: Final = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}

HOSTILE_TEXTS: Final = (
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "'; DROP TABLE bans; --",
    "%00",
    "\x00",
    "\r\nX-Injected: 1",
    "\u202e\ufeff\U0001f600",
    "${jndi:ldap://h}",
    "9" * 5000,
    "-" + "9" * 5000,
    "1e400",
    "NaN",
    "0x10",
    "１２",  # noqa: RUF001 - digits that are not ASCII
    "a" * 5000,
)
HOSTILE_NUMBERS: Final = (2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**400, -1, 1e308, -0.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """One request. ``fields`` come in order and may repeat; ``raw_body`` replaces the body they make."""

    method: str
    action: str
    place: str
    """Where Action and Version stand: query, headers, target, path, body or nowhere."""
    fields: tuple[tuple[str, object], ...]
    form: str
    """How a POST carries the fields: json, form or query."""
    headers: tuple[tuple[str, str], ...]
    signature: str
    """good, presigned, wrong, garbage or none."""
    raw_body: bytes | None
    raw_query: str
    wire: str
    """whole, chunked, cut (short, and half closed) or junk (bytes put in)."""
    at: float
    """Where it is cut or the junk goes, as a share of its bytes."""
    junk: bytes


# -- strategies ---------------------------------------------------------------------------------------------------


def good_values(member: Member) -> st.SearchStrategy[Any]:
    """Values that the model takes, with those of the running service among them."""
    shape = member.shape
    if shape.enum:
        return st.sampled_from(shape.enum)
    if shape.type in ("integer", "long"):
        low = -(2**31) if shape.minimum is None else shape.minimum
        high = 2**31 - 1 if shape.maximum is None else shape.maximum
        numbers = st.one_of(st.sampled_from([low, high, 0, 1]), st.integers(BEGUN - 86_400, BEGUN + 86_400))
        return numbers.flatmap(lambda number: st.sampled_from([number, str(number)]))
    texts = [] if shape.pattern is None else [st.from_regex(shape.pattern, fullmatch=True)]
    return st.one_of(*[st.just(KNOWN.get(member.name, str(member.example)))] * 8, *texts)


@cache
def hostile_values() -> st.SearchStrategy[Any]:
    """Values of any type, and texts and numbers that broke others."""
    return st.one_of(
        st.sampled_from(HOSTILE_TEXTS),
        st.sampled_from(HOSTILE_NUMBERS),
        st.text(max_size=50),
        st.integers(),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=5,
        ),
    )


def near_values(member: Member) -> st.SearchStrategy[Any]:
    """One step beside what the model takes: bounds and one beyond, another type, another case, empty."""
    shape = member.shape
    near: list[Any] = ["", None, True, [], {}, 1.5, "1.0", " 1", str(member.example).upper(), [member.example]]
    for bound in (shape.minimum, shape.maximum):
        if bound is not None:
            counts = [bound - 1, bound, bound + 1]
            near += ["a" * max(0, count) for count in counts] if shape.type == "string" else counts
    return st.sampled_from(near)


@cache
def values(action: str, name: str, kind: str) -> st.SearchStrategy[Any]:
    """The strategy of a parameter's good, near or hostile values; making one takes longer than drawing from it."""
    member = model.operations()[action].input.members[name]
    if kind == "hostile":
        return hostile_values()
    return good_values(member) if kind == "good" else near_values(member)


@st.composite
def fields_of(draw: st.DrawFn, operation: model.Operation) -> tuple[tuple[str, object], ...]:
    """The parameters of an action: most good, some near or hostile, missing, repeated or unknown."""
    fields: list[tuple[str, object]] = []
    spoiled = draw(st.booleans())
    for member in operation.input.members.values():
        kind = draw(st.sampled_from(["near", "hostile", "absent", "good", "good", "good"])) if spoiled else "good"
        if kind == "absent" or (not spoiled and not member.required and draw(st.booleans())):
            continue
        fields.append((member.name, draw(values(operation.name, member.name, kind))))
    if draw(st.integers(0, 4)) == 0:
        fields += draw(st.lists(st.tuples(st.text(max_size=20), hostile_values()), max_size=3))
    if fields and draw(st.integers(0, 9)) == 0:
        name, _ = draw(st.sampled_from(fields))
        fields.append((draw(st.sampled_from([name, name.lower(), name.upper(), f"{name}[]"])), draw(hostile_values())))
    if draw(st.integers(0, 9)) == 0:
        fields.append(("DryRun", draw(st.sampled_from(["true", True, "TRUE", 1, "x", None]))))
    return tuple(fields)


@cache
def raw_bodies() -> st.SearchStrategy[bytes | None]:
    """Mostly none; else bodies that no client makes."""
    bombs = [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"Limit":' + b"9" * 100_000 + b"}",
        b'{"App":"\xff\xfe"}',
        b'{"App":"\\ud800"}',
        b'{"App":"live"',
        b"\xef\xbb\xbf{}",
        b"a=b&" * 2000,
        b"=" * 1000,
        b"%",
        b"\x1f\x8b\x08\x00",
        b"x" * (1024 * 1024 + 1),
    ]
    return st.one_of(*[st.none()] * 8, st.sampled_from(bombs), st.binary(max_size=300))


@cache
def extra_headers() -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    """Headers that are signed with the rest: of any type, contradicting, long, many."""
    legible = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40)
    flood = st.integers(1, 150).map(lambda count: tuple((f"X-Pad-{number}", "y") for number in range(count)))
    names = ["Content-Type", "X-Action", "X-Version", "X-Amz-Target", "X-Amz-Content-Sha256", "Content-Encoding"]
    names += ["X-Forwarded-For", "Cookie", "Expect", "Range", "Connection", "X-HTTP-Method-Override", "Date"]
    types = [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/xml",
        "/",
    ]
    typed = st.sampled_from(types).map(lambda value: (("Content-Type", value),))
    hostile = st.lists(st.tuples(st.sampled_from(names), legible), max_size=3).map(tuple)
    long = st.integers(8000, 9000).map(lambda size: (("X-Long", "z" * size),))
    none: st.SearchStrategy[tuple[tuple[str, str], ...]] = st.just(())
    return st.one_of(none, none, none, typed, typed, hostile, flood, long)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any request, with weight on those that come far."""
    operations = model.operations()
    operation = draw(st.sampled_from(list(operations.values())))
    named = draw(st.one_of(*[st.just(operation.name)] * 9, st.text(max_size=20)))
    return Plan(
        method=draw(st.sampled_from([*[operation.method] * 6, "GET", "GET", "POST", "POST", "PUT", "HEAD", "OPTIONS"])),
        action=named,
        place=draw(st.sampled_from([*["query"] * 5, "headers", "target", "path", "body", "nowhere"])),
        fields=draw(fields_of(operation)),
        form=draw(st.sampled_from(["json", "json", "form", "query"])),
        headers=draw(extra_headers()),
        signature=draw(st.sampled_from([*["good"] * 8, "presigned", "presigned", "wrong", "garbage", "none"])),
        raw_body=draw(raw_bodies()),
        raw_query=draw(st.one_of(*[st.just("")] * 9, st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x21)))),
        wire=draw(st.sampled_from([*["whole"] * 7, "chunked", "cut", "junk"])),
        at=draw(st.floats(0, 1)),
        junk=draw(st.binary(max_size=20)),
    )


# -- bytes --------------------------------------------------------------------------------------------------------


def build(plan: Plan, now: float) -> bytes:
    """The request's bytes, signed at ``now`` (Unix seconds)."""
    fields, query, path, headers = list(plan.fields), [], "/", [("Host", "127.0.0.1"), *plan.headers]
    operation = model.operations().get(plan.action)
    version = model.CONTRACT_VERSION if operation is None else operation.version
    named = [("Action", plan.action), ("Version", version)]
    if plan.place == "query":
        query += named
    elif plan.place == "headers":
        headers += [("X-Action", _header_text(plan.action)), ("X-Version", version)]
    elif plan.place == "target":
        headers.append(("X-Amz-Target", f"kls.{_header_text(plan.action)}"))
    elif plan.place == "path":
        path = f"/api/{_quote(plan.action)}/{version}"
    elif plan.place == "body":
        fields += named
    in_query = plan.method != "POST" or plan.form == "query"
    body = b"" if in_query else _body(plan.form, fields)
    query += [(name, _form_text(value)) for name, value in fields] if in_query else []
    body = body if plan.raw_body is None else plan.raw_body
    text = (
        sigv4.encode_query([(_legal(name), _legal(value)) for name, value in query]) + plan.raw_query.partition("#")[0]
    )
    request = sigv4.SignedRequest(plan.method, path, text, headers, body)
    return _spoil(plan, _wire_bytes(plan, _signed(plan, request, now)))


def _signed(plan: Plan, request: sigv4.SignedRequest, now: float) -> sigv4.SignedRequest:
    date = build_amz_date(int(now))
    secret_key = "not the secret" if plan.signature == "wrong" else SECRET_KEY
    scope = (ACCESS_KEY, secret_key, "cn-beijing-6", "kls", date)
    headers, query = list(request.headers), request.query
    if plan.signature == "presigned":
        query = sigv4.presign(request, *scope, 60)
    elif plan.signature == "garbage":
        headers.append(("Authorization", f"AWS4-HMAC-SHA256 {_header_text(plan.junk.decode('latin-1'))}"))
    elif plan.signature != "none":
        headers += sigv4.sign(request, *scope).items()
    return sigv4.SignedRequest(request.method, request.path, query, headers, request.body)


def _wire_bytes(plan: Plan, request: sigv4.SignedRequest) -> bytes:
    target = f"{request.path}?{request.query}" if request.query else request.path
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers)]
    body = request.body
    if plan.wire == "chunked":
        lines.append("Transfer-Encoding: chunked")
        body = b"%x\r\n%s\r\n" % (len(body), body) * bool(body) + b"0\r\n\r\n"
    elif body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


def _spoil(plan: Plan, data: bytes) -> bytes:
    at = int(plan.at * len(data))
    if plan.wire == "cut":
        return data[:at]
    return data[:at] + plan.junk + data[at:] if plan.wire == "junk" else data


def _body(form: str, fields: list[tuple[str, object]]) -> bytes:
    if form == "form":
        return sigv4.encode_query([(_legal(name), _legal(_form_text(value))) for name, value in fields]).encode()
    # Names may repeat, which no dictionary can.
    pairs = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in fields)
    return f"{{{pairs}}}".encode()


def _form_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _legal(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _quote(text: str) -> str:
    return sigv4.encode_query([("", _legal(text))])[1:]


def _header_text(text: str) -> str:
    return "".join(char for char in text if 0x20 < ord(char) < 0x7F)


# -- judging ------------------------------------------------------------------------------------------------------


def send(port: int, data: bytes, *, half_close: bool, bodiless: bool = False) -> bytes:
    """One connection: the request, then everything that comes until one answer is whole or the service closes.
    AssertionError when neither happens in time."""
    answer = b""
    # Each from an address of its own, as refused signatures of one address are answered ever later.
    number = next(_CONNECTIONS)
    source = f"127.{1 + number // 254 // 256 % 254}.{number // 254 % 256}.{1 + number % 254}"
    with socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS, (source, 0)) as connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while not _is_whole(answer, bodiless) and (piece := connection.recv(65536)):
                answer += piece
        except TimeoutError:
            raise AssertionError(f"no answer within {DEADLINE_SECONDS:g} s; so far: {answer[:200]!r}") from None
        except ConnectionError:  # what was left of a refused body
            pass
    return answer


def _is_whole(answer: bytes, bodiless: bool) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end or head.startswith(b"HTTP/1.1 100"):
        return bool(end) and _is_whole(body, bodiless)
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bodiless or len(body) >= (int(lengths[0]) if lengths else 0)


def judge(plan: Plan, answer: bytes) -> str:
    """The answer's status, "" for none. AssertionError with what does not hold."""
    while answer.startswith(b"HTTP/1.1 100"):
        answer = answer.partition(b"\r\n\r\n")[2]
    if not answer:
        assert plan.wire in ("cut", "junk") or plan.raw_body, "the connection was closed without an answer"
        return ""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split()[1])
    names = {line.partition(":")[0].lower() for line in lines[1:]}
    assert status in STATUSES, (status, body[:500])
    assert "x-amzn-requestid" in names, lines
    assert "x-injected" not in names, lines
    if status == 200 and plan.method != "HEAD" and plan.wire != "junk":
        data = json.loads(body)
        assert [model.conforms(name, data) for name in model.operations()].count([]) >= 1, body[:500]
    return str(status)


# -- running ------------------------------------------------------------------------------------------------------


def run(service: RunningService, seconds: float, first_seed: int = 1) -> Counter[str]:
    """Send plans for so long, one round at least; how many answers of each status. AssertionError for a finding."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=ROUND_EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(plans())
    def shoot(plan: Plan) -> None:
        data = build(plan, time.time())
        # What is cut waits for its rest unless it is told that there is none; so may what has junk in its head.
        answer = send(service.api_port, data, half_close=plan.wire in ("cut", "junk"), bodiless=plan.method == "HEAD")
        seen[judge(plan, answer) or "closed"] += 1

    ending, number = time.monotonic() + seconds, first_seed
    while number == first_seed or time.monotonic() < ending:
        seed(number)(shoot)()
        number += 1
    return seen


def fuzz(folder: Path, seconds: float, first_seed: int = 1) -> Counter[str]:
    """A service in the folder, fuzzed, and looked at afterwards. AssertionError for a finding."""
    service = RunningService(folder)
    # The rates would refuse nearly all of it.
    service.limits_enforced = False
    service.start()
    try:
        seen = run(service, seconds, first_seed)
        service.call("CheckBlacklist", Pubdomain=KNOWN["Pubdomain"], Stream=KNOWN["Stream"])
        assert service.stop() == 0, "the service did not end with 0"
    finally:
        service.end()
    broken = [line for line in service.log.read_text().splitlines() if any(word in line for word in BROKEN)]
    assert not broken, broken
    assert seen["200"] > seen.total() / 20, f"hardly a request came through, so hardly any code was run: {seen}"
    return seen


def main(arguments: list[str]) -> int:
    """Fuzz and say what was seen; a finding ends with its traceback."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.api", description="Fuzz the API of a running service.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        seen = fuzz(Path(folder), chosen.seconds, chosen.seed)
    print(f"api: {seen.total():,} requests, no finding; answers: {dict(sorted(seen.items()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
