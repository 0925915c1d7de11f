"""HLS on real sockets, on both event loops: from the first playlist to the end of a stream."""

import asyncio
import io
import time
from itertools import pairwise

import av
import pytest

from openkls.codec import flv, pushauth
from openkls.domain import hls_sessions
from openkls.domain.viewers import PullProtocol
from openkls.media import hls, packager
from openkls.media.packager import KEPT_SEGMENTS, PLAYLIST_SEGMENTS
from support_hls import Listing, Player, made, nal, online, opened, publisher_of, push, the_packager
from support_media import (
    DEADLINE_SECONDS,
    PICTURE,
    TONE,
    X264,
    House,
    clip,
    frame,
    key,
    key_frame,
    seen,
)

CLIP = (*PICTURE, *TONE, *X264, "-bf", "2", "-c:a", "aac", "-b:a", "64k")


# -- playing


def decoded(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """The packets of the video and the audio of a transport stream."""
    with av.open(io.BytesIO(data), format="mpegts") as container:
        packets: dict[str, list[bytes]] = {"video": [], "audio": []}
        for packet in container.demux():
            if packet.size:
                packets[packet.stream.type].append(bytes(packet))
    return packets["video"], packets["audio"]


async def test_segments_hold_every_frame_that_was_pushed_once_and_in_order(house: House) -> None:
    tags = clip(*CLIP, seconds=9.0)
    peer = await house.published()
    player = await Player.dial(house)
    await player.ask("/live/s1.m3u8")
    await seen(lambda: house.hls._packagers)
    for tag in tags:
        await peer.media(*tag)
    await player.reply()
    await player.open()
    await made(house, 4)
    listing = await player.listing()
    assert listing.durations == [2.0] * 4
    data = b"".join([await player.segment(uri) for uri in listing.uris])
    video, _ = decoded(data)
    pushed = [tag for tag in tags if tag.type_id == flv.VIDEO and tag.payload[1] == 1]
    assert len(video) == 200 == len([tag for tag in pushed if tag.timestamp < 8000])
    with av.open(io.BytesIO(data), format="mpegts") as container:
        times = [picture.pts for picture in container.decode(video=0)]
    assert times == sorted(set(times))
    assert {after - before for before, after in pairwise(times)} == {3600}


async def test_master_tells_codecs_size_and_rate_and_is_not_stored(house: House) -> None:
    player = await opened(house)
    reply = await player.get("/live/s1.m3u8")
    assert reply.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["access-control-allow-origin"] == "*"
    stream = reply.text.splitlines()[2]
    assert 'CODECS="avc1.64001e,mp4a.40.2"' in stream
    assert "RESOLUTION=640x360,FRAME-RATE=25.000" in stream
    size_bits = len(await player.segment((await player.listing()).uris[0])) * 8
    assert f"BANDWIDTH={size_bits // 2 + 1},AVERAGE-BANDWIDTH={size_bits // 2}" in stream


@pytest.mark.parametrize(
    ("codec", "name"), [(("-c:a", "aac"), "mp4a.40.2"), (("-c:a", "libmp3lame"), "mp4a.40.34")], ids=["aac", "mp3"]
)
async def test_sound_alone_plays(house: House, codec: tuple[str, ...], name: str) -> None:
    peer = await house.published()
    player = await Player.dial(house)
    await player.ask("/live/s1.m3u8")
    await seen(lambda: house.hls._packagers)
    for tag in clip(*TONE, *codec, seconds=5.0):
        await peer.media(*tag)
    await player.reply()
    stream = (await player.open()).text.splitlines()[2]
    assert f'CODECS="{name}"' in stream
    assert "RESOLUTION" not in stream
    video, audio = decoded(await player.segment((await player.listing()).uris[0]))
    assert not video
    assert len(audio) >= 70  # two seconds of frames of 1,024 or 1,152 samples


@pytest.mark.parametrize("path", ["/live/s1.m3u8", "/live/s1/index.m3u8"])
async def test_both_urls_of_the_master_lead_to_the_media_playlist(house: House, path: str) -> None:
    player = await opened(house, path=path)
    assert player.url.startswith("/live/s1/live.m3u8?session=")
    listing = await player.listing()
    assert len(listing.uris) == 1
    assert (await player.segment(listing.uris[0]))[0] == 0x47


async def test_caches_keep_segments_and_no_playlist(house: House) -> None:
    player = await opened(house)
    reply = await player.get(player.url)
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-type"] == "application/vnd.apple.mpegurl"
    reply = await player.get(player.path(Listing.parse(reply.text).uris[0]))
    assert reply.headers["cache-control"] == "public, max-age=600, immutable"
    assert reply.headers["content-type"] == "video/mp2t"
    assert reply.headers["access-control-allow-origin"] == "*"
    assert (
        abs(
            time.time() - time.mktime(time.strptime(reply.headers["date"], "%a, %d %b %Y %H:%M:%S GMT")) + time.timezone
        )
        < 5
    )


async def test_first_segment_comes_from_the_gop_cache(house: House) -> None:
    peer = await house.published()
    await push(peer, 1)
    hub = house.hubs.find(key().name)
    assert hub is not None
    await seen(lambda: hub._cache._gop and hub._cache._gop[0][1].timestamp == 2000)
    player = await Player.dial(house)
    await player.ask("/live/s1.m3u8")
    await seen(lambda: house.hls._packagers)
    await push(peer, 1, first=1)
    assert (await player.reply()).status == 200
    await player.open()
    video, _ = decoded(await player.segment((await player.listing()).uris[0]))
    assert len(video) == 5  # the key frame that had been there before anybody asked, and what followed


async def test_playlist_lists_six_and_more_stay_fetchable(house: House) -> None:
    player = await opened(house, segments=KEPT_SEGMENTS)
    first = await player.listing()
    assert len(first.uris) == PLAYLIST_SEGMENTS
    assert first.uris[0].endswith(f"-{first.sequence}.ts")
    assert [int(uri.removesuffix(".ts").split("-")[1]) for uri in first.uris] == list(
        range(first.sequence, first.sequence + PLAYLIST_SEGMENTS)
    )
    await push(publisher_of(player), 1, first=KEPT_SEGMENTS)
    await seen(
        lambda: (
            len(the_packager(house)._shelf) == KEPT_SEGMENTS and max(the_packager(house)._shelf) > first.sequence + 5
        )
    )
    second = await player.listing()
    assert second.sequence == first.sequence + 1
    assert second.uris[:-1] == first.uris[1:]
    token = first.uris[0].split("-")[0]
    newest = second.sequence + PLAYLIST_SEGMENTS - 1
    oldest = newest - KEPT_SEGMENTS + 1
    await player.segment(f"{token}-{oldest}.ts")
    assert (await player.get(player.path(f"{token}-{oldest - 1}.ts"))).status == 404


async def test_shelf_is_bounded_in_bytes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packager, "KEPT_BYTES", 500_000)
    player = await opened(house)
    await push(publisher_of(player), 6, first=1, body_bytes=100_000)
    await seen(lambda: the_packager(house).squeezed)
    await seen(lambda: max(the_packager(house)._shelf) - (the_packager(house)._last.segment.sequence) == 0)  # type: ignore[union-attr]
    shelf = the_packager(house)
    assert shelf._shelf_bytes == sum(len(held.answer.body) for held in shelf._shelf.values()) <= 500_000
    listing = await player.listing()
    assert 1 <= len(listing.uris) < PLAYLIST_SEGMENTS
    assert listing.sequence == next(iter(shelf._shelf))


async def test_playlist_is_made_once_for_all_who_ask_between_two_segments(house: House) -> None:
    player = await opened(house)
    await player.listing()
    shelf = the_packager(house)
    (edition,) = shelf.editions.values()
    made_once = edition.playlist
    for _ in range(3):
        await player.listing()
    assert edition.playlist is made_once is not None


async def test_program_date_is_the_time_the_segment_was_made(house: House) -> None:
    player = await opened(house)
    listing = await player.listing()
    (line,) = [line for line in listing.text.splitlines() if "DATE-TIME" in line]
    told = time.mktime(time.strptime(line.partition(":")[2].partition(".")[0], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    assert abs(time.time() - 2 - told) < 5


async def test_target_duration_grows_with_a_longer_segment_and_stays(house: House) -> None:
    player = await opened(house)
    assert (await player.listing()).target == 2
    peer = publisher_of(player)
    await peer.media(flv.VIDEO, 2000, key_frame(nal(0x65, 100)))
    for at_ms in range(2500, 8000, 500):
        await peer.media(flv.VIDEO, at_ms, frame(nal(0x41, 50)))
    await peer.media(flv.VIDEO, 8200, key_frame(nal(0x65, 100)))
    await made(house, 2)
    listing = await player.listing()
    assert (listing.target, listing.durations[-1]) == (6, 6.2)
    for number in range(10):
        await peer.media(flv.VIDEO, 10_200 + 2000 * number, key_frame(nal(0x65, 100)))
    await made(house, 10)
    listing = await player.listing()
    assert (listing.target, max(listing.durations)) == (6, 2.0)


# -- waiting for the first segment


async def test_playlist_waits_for_a_segment_and_no_longer_than_its_deadline(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls, "SEGMENT_WAIT_SECONDS", 0.1)
    peer = await house.published()
    await peer.start_stream()
    player = await Player.dial(house)
    reply = await player.get("/live/s1.m3u8")
    assert reply.status == 503
    assert "no segment within" in reply.text
    assert reply.headers["retry-after"] == "5"
    assert not the_packager(house)._waiting


async def test_player_that_leaves_waits_no_longer(house: House) -> None:
    await house.published()
    player = await Player.dial(house)
    await player.ask("/live/s1.m3u8")
    await seen(lambda: house.hls._packagers and the_packager(house)._waiting)
    await player.wire.reset()
    await seen(lambda: not the_packager(house)._waiting)
    await seen(lambda: not house.flv._web.connections)  # type: ignore[union-attr]


async def test_waiting_players_are_told_when_the_service_stops(house: House) -> None:
    await house.published()
    player = await Player.dial(house)
    await player.ask("/live/s1.m3u8")
    await seen(lambda: house.hls._packagers and the_packager(house)._waiting)
    begun = time.monotonic()
    closing = asyncio.create_task(house.flv.close())
    reply = await player.reply()
    assert (reply.status, reply.text) == (503, "The service stops.\n")
    await closing
    assert time.monotonic() - begun < 3.0
    assert not len(house.hls)


async def test_waiting_players_are_told_at_once_when_the_stream_is_forbidden_or_ends(house: House) -> None:
    for end in ("forbid", "leave"):
        peer = await house.published(end)
        player = await Player.dial(house)
        await player.ask(f"/live/{end}.m3u8")
        await seen(lambda: house.hls._packagers and the_packager(house)._waiting)
        await (house.forbids.forbid(key(end)) if end == "forbid" else peer.close())
        assert (await player.reply()).status == 404
        house.hls._sweep() if end == "leave" else None
        for left in tuple(house.hls._packagers.values()):
            left.vanish()


async def test_codecs_that_segments_cannot_carry_are_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hls, "UNPLAYABLE_WAIT_SECONDS", 0.05)
    peer = await house.published()
    await peer.media(flv.VIDEO, 0, b"\x90av01\x81\x00\x0c\x00")
    await peer.media(flv.VIDEO, 0, b"\x91av01\x12\x00\x0a")
    player = await Player.dial(house)
    hub = house.hubs.find(key().name)
    assert hub is not None
    await seen(lambda: hub.tracks == (False, True))
    reply = await player.get("/live/s1.m3u8")
    assert reply.status == 415
    assert reply.text == "HLS cannot carry this stream's av1; HTTP-FLV and RTMP can.\n"


async def test_session_of_a_stream_that_is_long_over_is_404(house: House) -> None:
    player = await opened(house)
    await publisher_of(player).close()
    await seen(lambda: the_packager(house).state is packager.State.ENDED)
    the_packager(house).vanish()
    assert (await player.get(player.url)).status == 404


async def test_what_is_not_live_is_404_and_makes_no_packager(house: House) -> None:
    player = await Player.dial(house)
    assert (await player.get("/live/s1.m3u8")).status == 404
    assert not len(house.hls)


# -- the end of a stream


async def test_stream_that_ends_in_order_can_be_played_to_its_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = await opened(house, segments=3)
    assert not (await player.listing()).ended
    await publisher_of(player).close()
    await seen(lambda: the_packager(house).state is packager.State.ENDED)
    listing = await player.listing()
    assert listing.ended
    assert len(listing.uris) == 4  # with what was open
    for uri in listing.uris:
        await player.segment(uri)
    assert (await player.get("/live/s1.m3u8")).status == 404
    player = Player((await Player.dial(house)).wire, player.host)
    monkeypatch.setattr(hls, "AFTERLIFE_SECONDS", 0.0)
    monkeypatch.setattr(hls, "SWEEP_SECONDS", 0.01)
    await seen(lambda: not len(house.hls))
    assert not house.hls._tokens


PATIENT = "/patient/s1.m3u8"  # an app with a minute of grace


async def test_republish_within_the_grace_is_a_discontinuity_in_the_same_playlist(house: House) -> None:
    player = await opened(house, path=PATIENT, segments=2)
    before = await player.listing()
    await player.listing()
    await publisher_of(player).close()
    await seen(lambda: house.hubs._waiting)
    waiting = await player.listing()
    assert not waiting.ended
    assert waiting.uris[:2] == before.uris
    assert len(waiting.uris) == 3  # with what was open
    assert (await (await Player.dial(house)).get(PATIENT)).status == 404  # nobody new while nothing is live
    peer = await house.published(app="patient")
    await push(peer, 2)
    await made(house, 5)
    after = await player.listing()
    assert after.uris[:3] == waiting.uris
    assert after.discontinuities == [after.uris[0], after.uris[3]]
    assert not after.ended
    for uri in after.uris:
        await player.segment(uri)
    await push(peer, 6, first=2)
    await made(house, 10)
    last = await player.listing()
    assert (last.sequence, last.discontinuity_sequence, last.discontinuities) == (after.sequence + 5, 2, [])


async def test_forbid_while_a_publisher_is_waited_for_takes_everything_away(house: House) -> None:
    player = await opened(house, path=PATIENT)
    uri = player.path((await player.listing()).uris[0])
    await publisher_of(player).close()
    await seen(lambda: house.hubs._waiting)
    await player.listing()
    await house.forbids.forbid(key(app="patient"))
    assert (await player.get(uri)).status == 404
    assert (await (await Player.dial(house)).get(player.url)).status == 404
    assert not len(house.hls)


async def test_stream_nobody_came_back_for_ends(house: House) -> None:
    player = await opened(house, path=PATIENT)
    await publisher_of(player).close()
    await seen(lambda: house.hubs._waiting)
    house.hubs._give_up(the_packager(house).hub)
    assert (await player.listing()).ended


async def test_forbid_takes_everything_away_at_once(house: House) -> None:
    player = await opened(house)
    listing = await player.listing()
    await player.listing()
    assert online(house) == 1
    await house.forbids.forbid(key())
    assert online(house) == 0
    assert (await (await Player.dial(house)).get(player.url)).status == 404
    assert (await (await Player.dial(house)).get(player.path(listing.uris[0]))).status == 404
    assert (await (await Player.dial(house)).get("/live/s1.m3u8")).status == 404
    assert not len(house.hls)
    assert not house.hls._tokens


async def test_forbid_of_a_stream_that_has_ended_takes_its_end_away(house: House) -> None:
    player = await opened(house)
    listing = await player.listing()
    await publisher_of(player).close()
    await seen(lambda: the_packager(house).state is packager.State.ENDED)
    await player.segment(listing.uris[0])
    await house.forbids.forbid(key())
    assert (await player.get(player.path(listing.uris[0]))).status == 404
    assert (await (await Player.dial(house)).get(player.url)).status == 404
    assert not len(house.hls)


async def test_forbid_cuts_a_segment_that_is_on_its_way(house: House) -> None:
    publisher = await house.published()
    player = await Player.dial(house)
    await player.ask("/live/s1.m3u8")
    await seen(lambda: house.hls._packagers)
    await push(publisher, 1, body_bytes=8 * 1024 * 1024)
    await player.reply()
    await player.open()
    (uri,) = (await player.listing()).uris
    player.wire.writer.transport.pause_reading()
    await player.ask(player.path(uri))
    await seen(lambda: the_packager(house).readers)
    await house.forbids.forbid(key())
    player.wire.writer.transport.resume_reading()
    assert len(await player.wire.ended()) < 8 * 1024 * 1024
    await seen(lambda: not house.flv._web.connections)  # type: ignore[union-attr]


async def test_new_publish_of_the_name_goes_on_with_higher_numbers(house: House) -> None:
    player = await opened(house, segments=2)
    before = await player.listing()
    await publisher_of(player).close()
    await seen(lambda: the_packager(house).state is packager.State.ENDED)
    peer = await house.published()
    await push(peer, 1)
    await player.ask(player.url)  # the session's id is good for the new publish too
    await seen(lambda: len(house.hls) == 2)
    await push(peer, 1, first=1)
    after = Listing.parse((await player.reply()).text)
    assert after.sequence == before.sequence + 3  # two, and what was open at the end
    assert after.discontinuities == after.uris[:1]
    await player.segment(before.uris[0])
    await player.segment(after.uris[0])


async def test_packager_goes_when_nobody_asks_any_more_and_comes_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls, "SWEEP_SECONDS", 0.01)
    player = await opened(house)
    await player.listing()
    the_packager(house).asked_at -= hls.IDLE_SECONDS + 1
    await seen(lambda: not len(house.hls))
    hub = house.hubs.find(key().name)
    assert hub is not None
    assert not hub._taps
    await player.ask(player.url)
    await seen(lambda: len(house.hls))
    await push(publisher_of(player), 2, first=1)
    assert (await player.reply()).status == 200


# -- sessions


async def test_session_is_a_viewer_from_its_second_media_playlist_on(house: House) -> None:
    player = await opened(house)
    assert len(house.sessions) == 0
    uris = (await player.listing()).uris
    await player.segment(uris[0])
    assert (len(house.sessions), online(house)) == (1, 0)
    await player.listing()
    assert online(house) == 1
    loop = asyncio.get_running_loop()
    audience = house.viewers.audience(key().name, PullProtocol.HLS, frozenset([""]), loop.time())
    assert audience.bps > len(await player.segment(uris[0])) * 8 / 10
    house.sessions.sweep(loop.time() + 3 * 2 + 1)
    assert online(house) == 0


async def test_head_and_preflight_count_nobody(house: House) -> None:
    player = await opened(house)
    whole = await player.get(player.url)
    for _ in range(3):
        looked = await player.get(player.url, method="HEAD")
        assert (looked.status, looked.headers["content-length"]) == (200, whole.headers["content-length"])
    assert (len(house.sessions), online(house)) == (1, 0)


@pytest.mark.parametrize("session", ["", "?session=", "?session=x", "?session=" + "A" * 44, "?k=1&t=2"])
async def test_media_playlist_without_a_session_points_at_the_master(house: House, session: str) -> None:
    player = await opened(house)
    reply = await player.get("/live/s1/live.m3u8" + session)
    assert reply.status == 403
    assert "/<app>/<stream>.m3u8" in reply.text
    assert len(house.sessions) == 0


async def test_session_is_good_for_its_stream_and_its_host_alone(house: House) -> None:
    player = await opened(house)
    other = await house.published("s2")
    assert (await player.get(player.url.replace("/s1/", "/s2/"))).status == 403
    for host in ("play.guarded.local", "nobody.local"):
        assert (await (await Player.dial(house, host)).get(player.url)).status == 403
    await other.close()


async def test_old_session_id_opens_no_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    player = await opened(house)
    monkeypatch.setattr(hls_sessions, "SESSION_RETURN_SECONDS", -1)
    assert (await player.get(player.url)).status == 403


async def test_play_signature_is_asked_of_the_master_and_kept_from_all_other_urls(house: House) -> None:
    publisher = await house.published(host="push.guarded.local")
    player = await Player.dial(house, "md5.guarded.local")
    assert (await player.get("/live/s1.m3u8")).status == 403
    player = await Player.dial(house, "md5.guarded.local")
    signed = "/live/s1.m3u8?" + pushauth.sign_md5("123456", "s1", int(time.time()) + 60)
    await player.ask(signed)
    await seen(lambda: house.hls._packagers)
    await push(publisher, 1)
    await player.reply()
    reply = await player.open(signed)
    listing = await player.listing()
    await player.listing()
    for text in (reply.text, listing.text, player.url):
        assert "k=" not in text.replace("BANK=", "")
        assert "t=" not in text
    await player.segment(listing.uris[0])
    guarded = key("s1").name._replace(unique_name="guarded")
    loop = asyncio.get_running_loop()
    assert house.viewers.audience(guarded, PullProtocol.HLS, frozenset("8"), loop.time()).online == 1
    assert house.viewers.audience(guarded, PullProtocol.HLS, frozenset("7"), loop.time()).online == 0


async def test_too_many_sessions_are_told_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openkls.media.doors._is_loopback", lambda address: False)
    house.sessions.per_address = 1
    player = await opened(house)
    await player.listing()
    await player.open()
    reply = await player.get(player.url)
    assert (reply.status, reply.text) == (429, "Too many HLS sessions from this address.\n")
    house.sessions.limit = 1
    player = Player((await Player.dial(house)).wire, player.host)
    await player.open()
    assert (await player.get(player.url)).status == 503
    assert (house.sessions.refused_by_address, house.sessions.refused_full) == (1, 1)


# -- names and paths


@pytest.mark.parametrize(
    ("stream", "path"),
    [
        ("a.b.c", "/live/a.b.c.m3u8"),
        ("x.m3u8", "/live/x.m3u8.m3u8"),
        ("x.flv", "/live/x.flv/index.m3u8"),
        ("a~b:c@d", "/live/a%7Eb:c%40d.m3u8"),
        ("直播", "/live/%E7%9B%B4%E6%92%AD.m3u8"),
    ],
)
async def test_names_with_dots_colons_and_unicode_play(house: House, stream: str, path: str) -> None:
    peer = await house.published(stream)
    player = await Player.dial(house)
    await player.ask(path)
    await seen(lambda: house.hls._packagers)
    await push(peer, 1)
    await player.reply()
    await player.open(path)
    listing = await player.listing()
    assert (await player.segment(listing.uris[0]))[0] == 0x47


@pytest.mark.parametrize(
    "path",
    [
        "/live/../s1.m3u8",
        "/live/..%2fs1.m3u8",
        "/live/%2e%2e/index.m3u8",
        "/live/%2e%2e%2f%2e%2e%2fetc%2fpasswd/index.m3u8",
        "//etc/passwd/index.m3u8",
        "/live/s1%00/index.m3u8",
        "/live/s1%5c../index.m3u8",
        "/live%2fs1/index.m3u8",
        "/live/s1/../../etc/passwd",
        "/live/s1/..%2f..%2fopenkls.toml",
        "/live/s1/{token}-{sequence}.ts/..",
        "/live/s1x/{token}-{sequence}.ts",
        "/liv/s1/{token}-{sequence}.ts",
        "/live/s1/{token}-{sequence}",
        "/live/s1/{token}-+{sequence}.ts",
        "/live/s1/{token}--{sequence}.ts",
        "/live/s1/{token}-９.ts",
        "/live/s1/{token}-99999999999999.ts",
        "/live/s1/{token}-.ts",
        "/live/s1/-{sequence}.ts",
        "/live/s1/{sequence}.ts",
    ],
)
async def test_class_13_names_that_are_paths_are_not_found_over_hls(house: House, path: str) -> None:
    player = await opened(house)
    token, sequence = (await player.listing()).uris[0].removesuffix(".ts").split("-")
    reply = await player.get(path.format(token=token, sequence=sequence).encode().decode("latin-1"))
    assert reply.status in (400, 404)
    assert "s1" not in reply.text


async def test_deadline_of_tests_is_longer_than_what_they_wait_for() -> None:
    assert hls.SEGMENT_WAIT_SECONDS <= DEADLINE_SECONDS
