"""The paths of the play port. Rule: a name is compared, never opened; what is no path of ours is None."""

from enum import Enum
from typing import Final, NamedTuple
from urllib.parse import unquote

from openkls.media.hls import MEDIA_NAME
from openkls.media.playlists import quote_name
from openkls.model import matches

FORMS: Final = "/<app>/<stream>.flv or /<app>/<stream>.m3u8"

_FLV: Final = ".flv"
_PLAYLIST: Final = ".m3u8"
_INDEX: Final = "index.m3u8"
_SEGMENT: Final = ".ts"
# Python's own limit for a number's digits is far above what a segment's has.
_SEQUENCE_DIGITS: Final = 12


class Kind(Enum):
    """What is asked for."""

    FLV = "flv"
    MASTER = "master playlist"
    MEDIA = "media playlist"
    SEGMENT = "segment"


class Asked(NamedTuple):
    """A path of ours. ``folder`` leads from a master playlist's URL to the other playlist's; ``token`` and
    ``sequence`` name a segment."""

    kind: Kind
    app: str
    stream: str
    folder: str = ""
    token: str = ""
    sequence: int = 0


def parse_path(path: str) -> Asked | None:
    """Read the raw path of a request, percent-encoded as it came."""
    match path.split("/"):
        case ["", app, file] if file.endswith(_FLV):
            return _named(Asked(Kind.FLV, app, file.removesuffix(_FLV)))
        case ["", app, file] if file.endswith(_PLAYLIST):
            asked = _named(Asked(Kind.MASTER, app, file.removesuffix(_PLAYLIST)))
            return asked and asked._replace(folder=quote_name(asked.stream) + "/")
        case ["", app, stream, file] if file == _INDEX:
            return _named(Asked(Kind.MASTER, app, stream))
        case ["", app, stream, file] if file == MEDIA_NAME:
            return _named(Asked(Kind.MEDIA, app, stream))
        case ["", app, stream, file] if file.endswith(_SEGMENT):
            token, _, sequence = file.removesuffix(_SEGMENT).partition("-")
            if not (sequence.isascii() and sequence.isdecimal() and len(sequence) <= _SEQUENCE_DIGITS):
                return None
            return _named(Asked(Kind.SEGMENT, app, stream, token=token, sequence=int(sequence)))
    return None


def _named(asked: Asked) -> Asked | None:
    app, stream = unquote(asked.app), unquote(asked.stream)
    return asked._replace(app=app, stream=stream) if matches("App", app) and matches("Stream", stream) else None
