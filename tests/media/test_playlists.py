"""Playlists, row by row."""

import pytest

from openkls.media.playlists import Row, Traits, build_master, build_media, quote_name, target_seconds


@pytest.mark.parametrize(
    ("traits", "attributes"),
    [
        (Traits(1_200_000), "BANDWIDTH=1200000"),
        (Traits(1_200_000, 1_000_000), "BANDWIDTH=1200000,AVERAGE-BANDWIDTH=1000000"),
        (
            Traits(1_200_000, 1_000_000, ("avc1.64001f", "mp4a.40.2"), 1280, 720, 25.0),
            "BANDWIDTH=1200000,AVERAGE-BANDWIDTH=1000000,"
            'CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=25.000',
        ),
        (Traits(64_000, codecs=("mp4a.40.34",), frame_rate=0.0), 'BANDWIDTH=64000,CODECS="mp4a.40.34"'),
        (Traits(1, width=640), "BANDWIDTH=1"),
        (Traits(1, frame_rate=30000 / 1001), "BANDWIDTH=1,FRAME-RATE=29.970"),
    ],
)
def test_master_says_what_is_known_of_its_one_variant(traits: Traits, attributes: str) -> None:
    assert build_master("s1/live.m3u8?session=abc", traits).decode() == (
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-STREAM-INF:{attributes}\ns1/live.m3u8?session=abc\n"
    )


HEAD = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:41\n"


@pytest.mark.parametrize(
    ("rows", "discontinuities", "ended", "tail"),
    [
        ([], 0, False, ""),
        ([Row("t-41.ts", 2.0)], 0, False, "#EXTINF:2.000,\nt-41.ts\n"),
        ([Row("t-41.ts", 2.0004)], 0, True, "#EXTINF:2.000,\nt-41.ts\n#EXT-X-ENDLIST\n"),
        (
            [Row("t-41.ts", 2.48), Row("u-42.ts", 0.52, discontinuity=True)],
            3,
            False,
            "#EXT-X-DISCONTINUITY-SEQUENCE:3\n#EXTINF:2.480,\nt-41.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:0.520,\nu-42.ts\n",
        ),
        (
            [Row("t-41.ts", 2.0, True, 1_700_000_000.5), Row("t-42.ts", 2.0)],
            0,
            False,
            "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.500Z\n#EXTINF:2.000,\nt-41.ts\n"
            "#EXTINF:2.000,\nt-42.ts\n",
        ),
    ],
    ids=["nothing yet", "one", "the end", "discontinuity", "dates"],
)
def test_media_playlist_lists_the_segments(rows: list[Row], discontinuities: int, ended: bool, tail: str) -> None:
    assert build_media(rows, 2, 41, discontinuities, ended).decode() == HEAD + tail


@pytest.mark.parametrize(
    ("durations", "least", "target"),
    [
        ([], 2, 2),
        ([], 0, 1),
        ([2.0, 2.04], 2, 2),
        ([2.49], 2, 2),
        ([2.5], 2, 3),
        ([2.0, 8.2, 3.0], 2, 8),
        ([2.0], 8, 8),
        ([0.2], 0, 1),
    ],
)
def test_target_is_the_longest_duration_rounded(durations: list[float], least: int, target: int) -> None:
    assert target_seconds(durations, least) == target
    assert all(int(duration + 0.5) <= target for duration in durations)  # RFC 8216, 4.3.3.1


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("s1", "s1"),
        ("a.b~c_d-e", "a.b~c_d-e"),
        ("a:b@c", "a%3Ab%40c"),
        ("直播", "%E7%9B%B4%E6%92%AD"),
        ("../x", "..%2Fx"),
    ],
)
def test_names_are_one_segment_of_a_relative_uri(name: str, quoted: str) -> None:
    assert quote_name(name) == quoted
