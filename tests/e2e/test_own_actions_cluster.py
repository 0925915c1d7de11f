"""The actions of our own over several nodes: an API node tells of streams and failures that a media node has."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from openkls import model
from openkls.client import Client, KlsError
from openkls.client.tables import Action
from support_cluster import Node, start_all
from support_service import ACCESS_KEY, SECRET_KEY, pushing
from support_service import until as until_within
from tools.redis import RedisServer

pytestmark = [pytest.mark.e2e, pytest.mark.cluster]

# A busy machine is no finding.
until = partial(until_within, seconds=60.0)


@pytest.fixture
def nodes(tmp_path: Path, postgres_url: str) -> Iterator[tuple[Node, Node, Node]]:
    """Two that serve the API, and one that serves media."""
    redis = RedisServer(tmp_path)
    redis.start()
    first, second = (Node(tmp_path, name, postgres_url, redis.url, role="api") for name in ("first", "second"))
    media = Node(tmp_path, "media", postgres_url, redis.url, role="media")
    built = first, second, media
    try:
        start_all(*built)
        yield built
    finally:
        for part in (*built, redis):
            part.end()
    for node in built:
        assert "Traceback" not in node.log.read_text()


def ask(node: Node, action: str, pair: tuple[str, str] = (ACCESS_KEY, SECRET_KEY), **asked: object) -> Any:
    operation = model.operations()[action]
    known = Action(action, operation.method, tuple(operation.input.members), version=operation.version)
    with Client(node.endpoint, *pair, retries=0) as api:
        made = api.make(known, asked)
        data = made.data()
        assert model.conforms(action, made.last_answer().whole()) == []
        return data


def test_api_node_tells_of_what_the_media_node_has(nodes: tuple[Node, Node, Node], clip: Path) -> None:
    first, second, media = nodes
    with pushing(clip, media.push_url("s1")):
        for api in (first, second):
            until(lambda api=api: [row["Stream"] for row in ask(api, "DescribeLiveStreams")["Streams"]] == ["s1"])

        def last(name: str, **asked: object) -> list[float]:
            series = ask(first, "DescribeStreamMetrics", **asked)["Series"]
            values: list[float] = next(each["Values"] for each in series if each["Name"] == name)
            return values

        # What a process had counted before it was heard of is no news, so it has to be heard of first.
        until(lambda: 1 in last("Streams"))
        with pushing(clip, media.push_url("s1")) as refused:
            assert refused.wait(30) != 0
        until(lambda: sum(last("Errors", UniqueName="demo", App="live")) == 1)
        until(lambda: max(last("Curfps", UniqueName="demo", App="live", Stream="s1"), default=0) > 0)
        told = ask(first, "DescribeNodes")["Nodes"]
        assert len(told) == 3
        assert all(row["Live"] and row["StartTime"] for row in told)
        assert sorted(row["Streams"] for row in told) == [0, 0, 1]


def test_key_made_on_one_node_signs_on_the_other_at_once(nodes: tuple[Node, Node, Node]) -> None:
    first, second, _ = nodes
    made = ask(first, "CreateAccessKey")
    pair = made["AccessKey"], made["SecretKey"]

    def signs() -> bool:
        try:
            return bool(ask(second, "DescribeSpaces", pair))
        except KlsError:
            return False

    until(signs)
    # What the other node may not have heard of yet, it reads.
    another = ask(first, "CreateAccessKey")["AccessKey"]
    ask(second, "DisableAccessKey", AccessKey=another)
    ask(second, "DisableAccessKey", AccessKey=pair[0])
    until(lambda: not signs())
