"""What is over is counted once, under names that nobody can make up."""

from openkls.domain import tally as module
from openkls.domain.keys import StreamName
from openkls.domain.tally import PLACES_LIMIT, Tally
from openkls.domain.viewers import PullProtocol, Viewers

NAME = StreamName("demo", "live", "s1")


def test_ends_are_counted_by_place_code_and_reason() -> None:
    tally = Tally()
    tally.end(NAME, 200, "unpublish", 1000)
    tally.end(NAME._replace(stream="s2"), 200, "unpublish", 500)
    tally.end(NAME, 423, "refused")
    assert tally.ends == {("demo", "live", 200, "unpublish"): 2, ("demo", "live", 423, "refused"): 1}
    assert tally.received_bytes == {("demo", "live"): 1500}


def test_an_app_that_is_not_configured_is_counted_under_its_space_alone() -> None:
    tally = Tally(lambda unique_name, app: (unique_name, app) == ("demo", "live"))
    for app in ("live", "x1", "x2"):
        tally.end(NAME._replace(app=app), 200, "closed")
    assert tally.ends == {("demo", "live", 200, "closed"): 1, ("demo", "", 200, "closed"): 2}


def test_places_are_bounded_and_those_known_stay_themselves() -> None:
    tally = Tally()
    for number in range(PLACES_LIMIT):
        assert tally.place("demo", f"a{number}") == ("demo", f"a{number}")
    assert tally.place("demo", "one more") == ("", "")
    assert tally.place("demo", "a0") == ("demo", "a0")
    assert len(tally._places) == module.PLACES_LIMIT


def test_bytes_of_an_audience_are_kept_when_its_last_viewer_has_left() -> None:
    tally, viewers = Tally(), Viewers()
    viewers.deserted = tally.desert
    flv = viewers.join(NAME, PullProtocol.HTTP_FLV, "", 0.0)
    rtmp = viewers.join(NAME, PullProtocol.RTMP, "1001", 0.0)
    flv.sent.add(1.0, 700)
    rtmp.sent.add(1.0, 300)
    viewers.leave(NAME, flv)
    assert not tally.sent_bytes  # the stream is watched still: they are read where they live
    viewers.leave(NAME, rtmp)
    assert tally.sent_bytes == {
        ("demo", "live", PullProtocol.HTTP_FLV): 700,
        ("demo", "live", PullProtocol.RTMP): 300,
    }


def test_hls_is_counted_where_it_is_made() -> None:
    tally, viewers = Tally(), Viewers()
    viewers.deserted = tally.desert
    group = viewers.join(NAME, PullProtocol.HLS, "", 0.0)
    group.sent.add(1.0, 700)
    viewers.leave(NAME, group)
    assert not tally.sent_bytes
    tally.sent(NAME, PullProtocol.HLS, 900)
    assert tally.sent_bytes == {("demo", "live", PullProtocol.HLS): 900}
