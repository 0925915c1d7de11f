"""What the realtime lists show: sources, renditions, pulls."""

from hypothesis import given
from hypothesis import strategies as st

from openkls.control.live import ROWS_LIMIT, LiveStreams, Pull, renditions
from openkls.domain.blacklist import Blacklist
from openkls.domain.registry import Registry
from openkls.domain.viewers import PullProtocol, Viewers
from support_domain import key, session

SUFFIXES = ("_500", "_1500")
FLV = PullProtocol.HTTP_FLV


class Floor:
    def __init__(self) -> None:
        self.registry = Registry(Blacklist())
        self.viewers = Viewers()
        self.live = LiveStreams(self.registry, self.viewers)

    def publish(
        self, *streams: str, app: str = "live", pub_time: int = 1000, pubdomain: str = "push.demo.local"
    ) -> None:
        for stream in streams:
            self.registry.claim(session(key(stream, pubdomain, app), pub_time=pub_time), 0)

    def watch(self, stream: str, times: int = 1, protocol: PullProtocol = FLV, count_bytes: int = 0) -> None:
        for _ in range(times):
            group = self.viewers.join(key(stream).name, protocol, "1001", 0.0)
        group.sent.add(0.5, count_bytes)

    def rows(self, protocol: PullProtocol = FLV, domain_ids: frozenset[str] | None = None) -> dict[str, list[Pull]]:
        return {
            source.session.key.stream: self.live.pulls(source, protocol, domain_ids, 1.0)
            for source in self.live.sources("demo", "live", SUFFIXES)
        }


def test_viewers_of_renditions_are_pulls_of_their_source() -> None:
    floor = Floor()
    floor.publish("s222", "s222_500", "s222_1500", "alone")
    floor.watch("s222", 2, count_bytes=1000)
    floor.watch("s222_1500", 3, count_bytes=2000)
    assert floor.rows() == {
        "alone": [],
        "s222": [Pull("s222", 2, 8000.0), Pull("s222_1500", 3, 16000.0)],
    }


def test_name_with_a_suffix_whose_base_is_not_live_is_a_source() -> None:
    floor = Floor()
    floor.publish("s222_500")
    floor.watch("s222_500")
    assert floor.rows() == {"s222_500": [Pull("s222_500", 1, 0.0)]}


def test_rendition_of_another_app_is_none_of_ours() -> None:
    floor = Floor()
    floor.publish("s222", app="other")
    floor.publish("s222_500")
    assert set(floor.rows()) == {"s222_500"}


def test_pulls_are_those_of_the_protocol_and_domains_asked_for() -> None:
    floor = Floor()
    floor.publish("s1")
    floor.watch("s1", protocol=PullProtocol.RTMP)
    assert floor.rows() == {"s1": []}
    assert floor.rows(PullProtocol.RTMP) == {"s1": [Pull("s1", 1, 0.0)]}
    assert floor.rows(PullProtocol.RTMP, frozenset(["1002"])) == {"s1": []}


def test_viewers_of_a_stream_that_is_over_have_no_row() -> None:
    floor = Floor()
    floor.watch("s1")
    assert floor.rows() == {}


def test_rows_are_newest_push_first_then_by_name() -> None:
    floor = Floor()
    floor.publish("old", pub_time=10)
    floor.publish("b", "a", pub_time=20)
    assert list(floor.rows()) == ["a", "b", "old"]


def test_published_are_those_of_one_publish_domain() -> None:
    floor = Floor()
    floor.publish("a", "b")
    floor.publish("c", pubdomain="push2.demo.local")
    assert [found.key.stream for found in floor.live.published("demo", "live", "push.demo.local")] == ["a", "b"]
    assert floor.live.published("demo", "none", "push.demo.local") == []


def test_session_whose_encoder_was_not_answered_yet_is_not_listed() -> None:
    floor = Floor()
    asked = session(key("a"), started=False)
    floor.registry.claim(asked, 0)
    assert floor.rows() == {}
    assert floor.live.published("demo", "live", "push.demo.local") == []
    asked.started = True
    assert floor.rows() == {"a": []}
    assert floor.live.published("demo", "live", "push.demo.local") == [asked]


def test_rows_limit_is_the_contracts() -> None:
    assert ROWS_LIMIT == 10_000


# -- renditions ------------------------------------------------------------------------------------------------------


def test_rendition_of_a_rendition_belongs_to_the_first_source() -> None:
    assert renditions(["s", "s_500", "s_500_1500"], SUFFIXES) == {"s_500": "s", "s_500_1500": "s"}


def test_longest_base_wins() -> None:
    # "a_b_c" is "a_b" plus "_c" and "a" plus "_b_c"; "a_b" is nobody's rendition here.
    assert renditions(["a", "a_b", "a_b_c"], ["_c", "_b_c"]) == {"a_b_c": "a_b"}


def test_empty_suffix_and_bare_suffix_make_nobody_a_rendition() -> None:
    assert renditions(["s", "_500"], ["", "_500"]) == {}


names = st.text("ab_", min_size=1, max_size=6)


@given(st.sets(names, max_size=12), st.lists(st.text("ab_", max_size=3), max_size=4))
def test_no_source_is_a_rendition_and_every_rendition_grew_from_its_source(live: set[str], suffixes: list[str]) -> None:
    sources = renditions(live, suffixes)
    for name, source in sources.items():
        assert name in live
        assert source in live
        assert source not in sources
        assert name.startswith(source)
        assert name != source
    for name in live - set(sources):
        assert not any(suffix and name == base + suffix for base in live for suffix in suffixes)


@given(
    st.sets(names, min_size=1, max_size=8), st.sets(names, max_size=8), st.lists(st.text("ab_", max_size=2), max_size=3)
)
def test_every_viewer_of_a_live_name_is_in_exactly_one_row(
    live: set[str], watched: set[str], suffixes: list[str]
) -> None:
    floor = Floor()
    floor.publish(*sorted(live))
    for name in watched:
        floor.watch(name)
    rows = floor.live.sources("demo", "live", suffixes)
    pulls = {row.session.key.stream: floor.live.pulls(row, FLV, None, 1.0) for row in rows}
    assert sum(pull.online for row in pulls.values() for pull in row) == len(watched & live)
    pulled = [pull.stream for row in pulls.values() for pull in row]
    assert sorted(pulled) == sorted(watched & live)
    bases = renditions(live, suffixes)
    assert {row.session.key.stream for row in rows} == live - set(bases)
    for source, row in pulls.items():
        assert source not in [pull.stream for pull in row][1:], "the source's pull is the first"
