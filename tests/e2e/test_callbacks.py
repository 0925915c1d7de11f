"""A real service, its publishers, and a customer's server that fails, hangs, breaks off and restarts; and kill -9.

The invariant: what is in the history and among the bans was told, at least once, in the order of each stream.
"""

import asyncio
import contextlib
import json
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from openkls.cli.pace import pace, repeat_tags
from openkls.codec import ProtocolError
from openkls.media.rtmp_client import ConnectionFailed, StreamRefused
from openkls.media.rtmp_client import publish as publish_tags
from support_cluster import Node, start_all
from support_receiver import Mood, Receiver
from support_service import RunningService, pushing
from support_service import until as until_within
from tools.postgres import PrivatePostgres
from tools.redis import RedisServer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PUBDOMAIN = "push.told.local"
# A busy machine is no finding.
until = partial(until_within, seconds=40.0)


class Told(RunningService):
    """A service whose space ``told`` has callbacks."""

    def push(self, stream: str) -> str:
        return f"{self.push_url(stream)}?vhost={PUBDOMAIN}&user=7&k=secret-of-the-encoder"

    def forbid(self, stream: str, **more: object) -> None:
        self.call("ForbidStream", UniqueName="told", Pubdomain=PUBDOMAIN, Stream=stream, **more)

    def resume(self, stream: str) -> None:
        self.call("ResumeStream", UniqueName="told", Pubdomain=PUBDOMAIN, Stream=stream)

    def live(self) -> list[str]:
        data = self.call("ListRealtimePubStreamsInfo", UniqueName="told", Pubdomain=PUBDOMAIN)
        return [row["Stream"] for row in data["Result"]]

    def rows(self, question: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(f"file:{self.data_dir}/openkls.db?mode=ro", uri=True)) as db:
            return db.execute(question).fetchall()

    def waiting(self) -> int:
        return int(self.rows("SELECT count(*) FROM callback_outbox WHERE dead_at IS NULL")[0][0])


class Encoder:
    """A publisher in a thread of its own, until it is stopped, refused or cut."""

    def __init__(self, clip: Path, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self.started = threading.Event()
        self.refused = ""
        self._thread = threading.Thread(target=self._work, args=(clip, url), daemon=True)
        self._thread.start()

    def _work(self, clip: Path, url: str) -> None:
        async def publish() -> None:
            await publish_tags(url, pace(repeat_tags(clip, True)), self.started.set)

        self._task = self._loop.create_task(publish())
        try:
            self._loop.run_until_complete(self._task)
        except StreamRefused as refused:
            self.refused = refused.description or "refused"
        except (ConnectionFailed, ProtocolError, OSError, asyncio.CancelledError):
            pass
        finally:
            self.started.set()
            self._loop.close()

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # over already
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()
    assert made.forged == 0


@pytest.fixture
def told(tmp_path: Path, receiver: Receiver) -> Iterator[Told]:
    running = Told(tmp_path, receiver.config)
    running.start()
    try:
        yield running
        log = running.log.read_text()
        assert "Traceback" not in log
        for secret in ("key of the callbacks", "secret-of-the-encoder", "from=kls"):
            assert secret not in log
    finally:
        running.end()


def check_all_told(service: Told, receiver: Receiver) -> None:
    """Every row of history and every ban was told, each start before its end; nothing else was."""
    starts: dict[str, list[str]] = {}
    for stream in receiver.streams():
        begun: set[str] = set()
        for event in receiver.of(stream):
            if event["NotifyType"] in ("ForbidStream", "ResumeStream"):
                continue
            starts.setdefault(event["Sequence"], []).append(event["NotifyType"])
            if event["NotifyType"] == "PubStart":
                begun.add(event["Sequence"])
            elif event["NotifyType"] == "PubEnd":
                assert event["Sequence"] in begun
    facts = service.rows("SELECT session_id, accepted, code FROM history WHERE unique_name = 'told'")
    ends = {each.event["Sequence"]: each.event.get("StatusCode") for each in receiver.arrivals}
    for session_id, accepted, code in facts:
        told = starts.pop(session_id)
        assert told == ["PubStart", "PubEnd"] or (told == ["PubRefuse"] and not accepted), told
        assert ends[session_id] == code
    live = {row[0] for row in service.rows("SELECT session_id FROM open_sessions WHERE unique_name = 'told'")}
    assert {session: told for session, told in starts.items() if session not in live} == {}
    kinds = [arrival.kind for stream in receiver.streams() for arrival in _once(receiver, stream)]
    audited = service.rows(
        "SELECT action, count(*) FROM audit WHERE outcome = '0' AND resource LIKE '%:told%' GROUP BY 1"
    )
    for action, count in audited:
        assert kinds.count(action) == count, action


def _once(receiver: Receiver, stream: str) -> list[Any]:
    seen: set[str] = set()
    return [
        arrival
        for arrival in list(receiver.arrivals)
        if arrival.event["Stream"] == stream
        and not (arrival.event["EventId"] in seen or seen.add(arrival.event["EventId"]))
    ]


def test_a_publish_a_ban_and_a_refusal_are_told_in_order(told: Told, receiver: Receiver, clip: Path) -> None:
    with pushing(clip, told.push("s1")):
        until(lambda: "s1" in told.live())
        until(lambda: receiver.kinds("s1") == ["PubStart"])
        began = time.time()
        told.forbid("s1", ForbidTillUnixTime=int(began) + 600)
        until(lambda: "PubEnd" in receiver.kinds("s1"))
    late = Encoder(clip, told.push("s1"))
    until(late.started.is_set)
    assert "423" in late.refused
    told.resume("s1")
    until(lambda: receiver.kinds("s1")[-1:] == ["ResumeStream"])
    start, forbidden, end, refused, resumed = receiver.of("s1")
    assert [each["NotifyType"] for each in (start, forbidden, end, refused, resumed)] == [
        *("PubStart", "ForbidStream", "PubEnd", "PubRefuse", "ResumeStream"),
    ]
    assert json.loads(start["PubParam"]) == {"vhost": PUBDOMAIN, "user": "7"}
    assert start["Sequence"] == end["Sequence"] != refused["Sequence"]
    assert forbidden["Sequence"] == resumed["Sequence"]
    assert forbidden["ForbidTillUnixTime"] == int(began) + 600
    assert (end["StatusCode"], refused["StatusCode"]) == (423, 423)
    assert start["ClientIp"] == "127.0.0.1"
    assert abs(start["PubStartUnixTime"] / 1000 - began) < 60
    assert start["PubStartUnixTime"] < end["PubEndUnixTime"]
    assert all(arrival.accepted for arrival in receiver.arrivals)
    assert len(receiver.arrivals) == 5, "nobody was told twice"
    until(lambda: told.waiting() == 0)
    check_all_told(told, receiver)


def test_space_without_a_server_writes_no_events(told: Told, receiver: Receiver, clip: Path) -> None:
    encoder = Encoder(clip, told.push_url("s1"))
    until(lambda: told.rows("SELECT 1 FROM open_sessions"))
    encoder.stop()
    until(lambda: told.rows("SELECT 1 FROM history"))
    assert told.rows("SELECT * FROM callback_spaces") == []
    assert receiver.arrivals == []


@pytest.mark.parametrize("mood", [Mood.FAILS, Mood.HANGS, Mood.BREAKS_OFF])
def test_receiver_that_fails_hangs_or_breaks_off_is_told_again(
    told: Told, receiver: Receiver, clip: Path, mood: Mood
) -> None:
    receiver.mood = mood
    encoder = Encoder(clip, told.push("s1"))
    until(lambda: len(receiver.arrivals) >= (1 if mood is Mood.HANGS else 2))
    encoder.stop()
    until(lambda: told.waiting() == 2)
    assert receiver.kinds("s1") == ["PubStart"], "its end waits behind it"
    receiver.mood = Mood.ACCEPTS
    until(lambda: told.waiting() == 0)
    assert receiver.kinds("s1") == ["PubStart", "PubEnd"]
    check_all_told(told, receiver)


def test_receiver_that_restarts_is_told_what_it_missed(told: Told, receiver: Receiver, clip: Path) -> None:
    receiver.stop()
    for stream in ("s1", "s2", "s1"):
        encoder = Encoder(clip, told.push(stream))
        assert encoder.started.wait(20)
        until(lambda stream=stream: stream in told.live())
        encoder.stop()
    until(lambda: told.waiting() == 6)
    receiver.start()
    until(lambda: told.waiting() == 0)
    assert receiver.kinds("s1") == ["PubStart", "PubEnd"] * 2
    assert receiver.kinds("s2") == ["PubStart", "PubEnd"]
    check_all_told(told, receiver)


def publish_then_kill(told: Told, receiver: Receiver, clip: Path) -> list[str]:
    encoder = Encoder(clip, told.push("s1"))
    assert encoder.started.wait(20)
    told.kill()
    return ["PubStart", "PubEnd"]


def ban_then_kill(told: Told, receiver: Receiver, clip: Path) -> list[str]:
    encoder = Encoder(clip, told.push("s1"))
    assert encoder.started.wait(20)
    told.forbid("s1")
    told.kill()
    return ["PubStart", "ForbidStream", "PubEnd"]


def kill_while_telling(told: Told, receiver: Receiver, clip: Path) -> list[str]:
    receiver.mood = Mood.HANGS
    encoder = Encoder(clip, told.push("s1"))
    assert encoder.started.wait(20)
    until(lambda: receiver.arrivals)
    encoder.stop()
    until(lambda: told.waiting() == 2)
    told.kill()
    receiver.mood = Mood.ACCEPTS
    return ["PubStart", "PubEnd"]


def kill_between_attempts(told: Told, receiver: Receiver, clip: Path) -> list[str]:
    receiver.mood = Mood.FAILS
    encoder = Encoder(clip, told.push("s1"))
    assert encoder.started.wait(20)
    until(lambda: len(receiver.arrivals) > 2)
    told.kill()
    receiver.mood = Mood.ACCEPTS
    return ["PubStart", "PubEnd"]


@pytest.mark.parametrize("fault", [publish_then_kill, ban_then_kill, kill_while_telling, kill_between_attempts])
def test_what_was_written_is_told_after_a_kill(
    told: Told, receiver: Receiver, clip: Path, fault: Callable[[Told, Receiver, Path], list[str]]
) -> None:
    expected = fault(told, receiver, clip)
    told.start()
    until(lambda: told.waiting() == 0)
    assert receiver.kinds("s1") == expected
    check_all_told(told, receiver)


def test_every_fact_is_told_over_kills_and_moods(told: Told, receiver: Receiver, clip: Path) -> None:
    """Publishers and bans come and go on four streams while the service is killed and the receiver changes its mood."""
    chance = random.Random(7)
    over = threading.Event()

    def come_and_go(seed: int) -> None:
        mine = random.Random(seed)
        while not over.is_set():
            encoder = Encoder(clip, told.push(f"s{mine.randrange(4)}"))
            over.wait(mine.uniform(0.05, 0.5))
            encoder.stop()

    def forbid_and_resume() -> None:
        mine = random.Random(99)
        while not over.wait(0.15):
            stream = f"s{mine.randrange(4)}"
            with contextlib.suppress(Exception):  # killed meanwhile, or forbidden this very second
                (told.forbid if mine.random() < 0.5 else told.resume)(stream)

    work = [threading.Thread(target=come_and_go, args=(seed,)) for seed in range(4)]
    work.append(threading.Thread(target=forbid_and_resume))
    for thread in work:
        thread.start()
    for _ in range(5):
        for _ in range(4):
            receiver.mood = chance.choice([*Mood, Mood.ACCEPTS, Mood.ACCEPTS])
            time.sleep(chance.uniform(0.05, 0.4))
        told.kill()
        if chance.random() < 0.4:
            receiver.stop()
        told.start()
        if receiver._server is None:
            receiver.start()
    over.set()
    for thread in work:
        thread.join(30)
    receiver.mood = Mood.ACCEPTS
    until(lambda: not told.rows("SELECT 1 FROM open_sessions"))
    until(lambda: told.waiting() == 0, seconds=100.0)
    assert len(told.rows("SELECT 1 FROM history WHERE accepted")) > 10
    assert len(receiver.arrivals) > len({each.event["EventId"] for each in receiver.arrivals}), "some came twice"
    check_all_told(told, receiver)


def test_ends_are_told_before_a_service_that_is_stopped_has_gone(told: Told, receiver: Receiver, clip: Path) -> None:
    encoder = Encoder(clip, told.push("s1"))
    until(lambda: receiver.kinds("s1") == ["PubStart"])
    assert told.stop() == 0
    encoder.stop()
    assert receiver.kinds("s1") == ["PubStart", "PubEnd"]
    assert told.waiting() == 0


def test_class_16_server_with_a_private_address_is_not_told_unless_it_may(
    tmp_path: Path, receiver: Receiver, clip: Path
) -> None:
    """Nor is it by its redirects, nor by a name: tests/hooks."""
    service = Told(tmp_path, receiver.config.replace("callback_private = true", ""))
    service.start()
    try:
        encoder = Encoder(clip, service.push("s1"))
        until(lambda: "private address" in service.log.read_text())
        assert receiver.arrivals == []
        service.config.write_text(
            service.config.read_text().replace("callback_keys", "callback_private = true\ncallback_keys")
        )
        assert service.process is not None
        service.process.send_signal(1)
        until(lambda: receiver.kinds("s1") == ["PubStart"])
        encoder.stop()
        until(lambda: service.waiting() == 0)
    finally:
        service.end()


def test_of_two_processes_another_delivers_after_a_kill(tmp_path: Path, receiver: Receiver, clip: Path) -> None:
    """On one PostgreSQL: the events of both are delivered by one, and after its death by the other."""
    with PrivatePostgres() as postgres:
        url = postgres.create("told")
        nodes = []
        secret = tmp_path / "secret.key"
        secret.write_text("5a" * 32)
        secret.chmod(0o600)
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            more = f'[store]\nurl = "{url}"\nsecret_file = "{secret}"\n'
            nodes.append(Told(tmp_path / name, receiver.config + more))
        one, two = nodes
        try:
            one.start()
            two.start()
            encoders = [Encoder(clip, node.push(stream)) for node, stream in ((one, "a"), (two, "b"))]
            until(lambda: receiver.kinds("a") == receiver.kinds("b") == ["PubStart"])
            leads = next(node for node in nodes if "delivers the callbacks" in node.log.read_text())
            other = two if leads is one else one
            mine, others = ("a", "b") if leads is one else ("b", "a")
            receiver.mood = Mood.HANGS
            encoders[0 if mine == "b" else 1].stop()
            until(lambda: len(receiver.arrivals) == 3)
            leads.kill()
            receiver.mood = Mood.ACCEPTS
            killed_at = time.monotonic()
            until(lambda: receiver.kinds(others) == receiver.kinds(mine) == ["PubStart", "PubEnd"], seconds=60.0)
            print(f"taken over, and the dead one's sessions ended, {time.monotonic() - killed_at:.1f} s after kill -9")
            assert "delivers the callbacks" in other.log.read_text()
            third = Encoder(clip, other.push("c"))
            until(lambda: receiver.kinds("c") == ["PubStart"])
            for encoder in (*encoders, third):
                encoder.stop()
        finally:
            for node in nodes:
                node.end()


class ToldNode(Node, Told):
    """One process of a cluster whose space ``told`` has callbacks."""


@pytest.mark.cluster
def test_events_of_a_media_node_are_delivered_by_one_api_node_after_the_other(
    tmp_path: Path, receiver: Receiver, clip: Path
) -> None:
    """The media node delivers nothing; of the two that serve the API one does, and after its death the other."""
    redis = RedisServer(tmp_path)
    with PrivatePostgres() as postgres:
        roles = {"media": "media", "api-1": "api", "api-2": "api"}
        url = postgres.create("told")
        nodes = {name: ToldNode(tmp_path, name, url, redis.url, role, receiver.config) for name, role in roles.items()}
        try:
            redis.start()
            start_all(*nodes.values())
            first = Encoder(clip, nodes["media"].push("a"))
            until(lambda: receiver.kinds("a") == ["PubStart"])
            leads = next(node for node in nodes.values() if "delivers the callbacks" in node.log.read_text())
            assert leads.role == "api"
            receiver.mood = Mood.HANGS
            first.stop()
            until(lambda: len(receiver.arrivals) == 2)
            leads.kill()
            receiver.mood = Mood.ACCEPTS
            second = Encoder(clip, nodes["media"].push("a"))
            until(lambda: receiver.kinds("a") == ["PubStart", "PubEnd", "PubStart"])
            second.stop()
            until(lambda: receiver.kinds("a") == ["PubStart", "PubEnd"] * 2)
            assert "delivers the callbacks" not in nodes["media"].log.read_text()
        finally:
            for node in nodes.values():
                node.end()
            redis.end()
