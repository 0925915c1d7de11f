"""Viewers are counted by stream, protocol and play domain."""

from openkls.domain.viewers import NO_SHARES, Audience, PullProtocol, Shares, Viewers
from support_domain import key

NAME = key().name
FLV, RTMP = PullProtocol.HTTP_FLV, PullProtocol.RTMP


def test_protocols_carry_the_contracts_names() -> None:
    assert [protocol.value for protocol in PullProtocol] == ["http+flv", "rtmp", "hls"]


def test_viewers_of_one_door_share_a_group() -> None:
    viewers = Viewers()
    first = viewers.join(NAME, FLV, "1001", 0.0)
    assert viewers.join(NAME, FLV, "1001", 5.0) is first
    assert viewers.join(NAME, FLV, "1002", 0.0) is not first
    assert viewers.join(NAME, RTMP, "1001", 0.0) is not first
    assert viewers.online() == 4
    assert (first.protocol, first.domain_id, first.online) == (FLV, "1001", 2)


def test_audience_is_one_protocol_and_the_domains_asked_for() -> None:
    viewers = Viewers()
    for domain_id, count_bytes in (("1001", 1000), ("1002", 2000), ("", 4000)):
        viewers.join(NAME, FLV, domain_id, 0.0).sent.add(0.5, count_bytes)
    viewers.join(NAME, RTMP, "1001", 0.0).sent.add(0.5, 8000)
    assert viewers.audience(NAME, FLV, None, 1.0) == Audience(3, 56_000)
    assert viewers.audience(NAME, FLV, frozenset(["1001"]), 1.0) == Audience(1, 8000)
    assert viewers.audience(NAME, FLV, frozenset(["1001", "1002"]), 1.0) == Audience(2, 24_000)
    assert viewers.audience(NAME, RTMP, None, 1.0) == Audience(1, 64_000)
    assert viewers.audience(NAME, PullProtocol.HLS, None, 1.0) == Audience(0, 0)
    assert viewers.audience(key("other").name, FLV, None, 1.0) == Audience(0, 0)


def test_shares_are_all_protocols_by_whatever_domain() -> None:
    viewers = Viewers()
    for protocol, domain_id, count_bytes in ((FLV, "1001", 1000), (FLV, "", 2000), (RTMP, "1001", 4000)):
        viewers.join(NAME, protocol, domain_id, 0.0).sent.add(0.5, count_bytes)
    viewers.join(NAME, PullProtocol.HLS, "", 0.0)
    shares = viewers.shares(NAME, 1.0)
    assert shares == Shares(rtmp=1, http_flv=2, hls=1, bps=56_000)
    assert shares.online == 4
    assert viewers.shares(key("other").name, 1.0) is NO_SHARES
    assert NO_SHARES.online == 0


def test_viewers_by_address_match_no_domain_ids() -> None:
    viewers = Viewers()
    viewers.join(NAME, FLV, "", 0.0)
    assert viewers.audience(NAME, FLV, frozenset(["1001"]), 1.0).online == 0
    assert viewers.audience(NAME, FLV, None, 1.0).online == 1


def test_bytes_just_sent_stay_in_the_rate_while_the_stream_is_watched() -> None:
    viewers = Viewers()
    left = viewers.join(NAME, FLV, "1001", 0.0)
    stays = viewers.join(NAME, FLV, "1002", 0.0)
    left.sent.add(0.5, 1000)
    viewers.leave(NAME, left)
    assert viewers.audience(NAME, FLV, None, 1.0) == Audience(1, 8000)
    viewers.leave(NAME, stays)
    assert viewers.audience(NAME, FLV, None, 1.0) == Audience(0, 0)


def test_watched_names_are_those_of_the_app_with_a_viewer() -> None:
    viewers = Viewers()
    group = viewers.join(NAME, FLV, "", 0.0)
    viewers.join(key("s2").name, RTMP, "", 0.0)
    viewers.join(key("s3", app="other").name, FLV, "", 0.0)
    viewers.join(key("s4", unique_name="other").name, FLV, "", 0.0)
    assert viewers.watched("demo", "live") == [NAME, key("s2").name]
    viewers.leave(NAME, group)
    assert viewers.watched("demo", "live") == [key("s2").name]


def test_security_18_streams_once_watched_leave_nothing_behind() -> None:
    viewers = Viewers()
    for number in range(5000):
        name = key(f"s{number}").name
        viewers.leave(name, viewers.join(name, FLV, "1001", 0.0))
    assert not viewers._groups
    assert viewers.online() == 0


def test_groups_of_every_stream_are_a_snapshot() -> None:
    viewers = Viewers()
    name = key().name
    group = viewers.join(name, PullProtocol.RTMP, "", 0.0)
    listed = viewers.groups()
    viewers.leave(name, group)
    assert listed == [(name, [group])]
    assert viewers.groups() == []
