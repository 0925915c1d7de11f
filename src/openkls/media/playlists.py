"""HLS playlists as text (RFC 8216). Rule: pure functions; what they are given has been decided elsewhere.

Names in URIs are percent-encoded here, so that a colon in a stream's name is no scheme and a `#` no comment.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote

# Decimal EXTINF wants 3 (RFC 8216, 7); nothing here needs more.
VERSION: Final = 3


class Traits(NamedTuple):
    """What a master playlist says of the stream; 0 and () where nothing is known."""

    peak_bps: int
    average_bps: int = 0
    codecs: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0


class Row(NamedTuple):
    """A segment in a media playlist. ``begins_at`` in Unix seconds, None to say nothing of it."""

    uri: str
    duration_seconds: float
    discontinuity: bool = False
    begins_at: float | None = None


def quote_name(name: str) -> str:
    """An app or stream as one segment of a relative URI (RFC 3986, 4.2)."""
    return quote(name, safe="", errors="surrogatepass")


def build_master(uri: str, traits: Traits) -> bytes:
    """The master playlist with its one variant (RFC 8216, 4.3.4.2)."""
    attributes = [f"BANDWIDTH={traits.peak_bps}"]
    if traits.average_bps:
        attributes.append(f"AVERAGE-BANDWIDTH={traits.average_bps}")
    if traits.codecs:
        attributes.append(f'CODECS="{",".join(traits.codecs)}"')
    if traits.width and traits.height:
        attributes.append(f"RESOLUTION={traits.width}x{traits.height}")
    if traits.frame_rate:
        attributes.append(f"FRAME-RATE={traits.frame_rate:.3f}")
    stream = f"#EXT-X-STREAM-INF:{','.join(attributes)}"
    return "\n".join(("#EXTM3U", f"#EXT-X-VERSION:{VERSION}", stream, uri, "")).encode("ascii")


def build_media(
    rows: Sequence[Row], target_seconds: int, sequence: int, discontinuity_sequence: int, ended: bool
) -> bytes:
    """A media playlist whose first segment has the number ``sequence`` (RFC 8216, 4.3.3).

    A discontinuity before the first row stands in the playlist too: ``discontinuity_sequence`` counts those of the
    segments that have left it (6.2.2).
    """
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{target_seconds}",
        f"#EXT-X-MEDIA-SEQUENCE:{sequence}",
    ]
    if discontinuity_sequence:
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}")
    for row in rows:
        if row.discontinuity:
            lines.append("#EXT-X-DISCONTINUITY")
        if row.begins_at is not None:
            date = datetime.fromtimestamp(row.begins_at, UTC).isoformat(timespec="milliseconds")
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{date.removesuffix('+00:00')}Z")
        lines += (f"#EXTINF:{row.duration_seconds:.3f},", row.uri)
    if ended:
        lines.append("#EXT-X-ENDLIST")
    return ("\n".join(lines) + "\n").encode("ascii")


def target_seconds(durations: Sequence[float], least_seconds: int) -> int:
    """The target duration for these segments: the longest, rounded, and no less than ``least_seconds`` (RFC 8216,
    4.3.3.1)."""
    return max(least_seconds, *(int(duration + 0.5) for duration in durations), 1)
