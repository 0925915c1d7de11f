"""What the processes of a cluster say to each other on their relay ports.

Rule: bytes and values only. A stream is HTTP-FLV, and what is to be told of it beyond its media stands between the
media's tags, in tags of a type that FLV does not have: so it is known for sure what came before what.
"""

from enum import Enum
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from openkls.codec import flv
from openkls.domain.keys import StreamName

TOKEN_HEADER: Final = "X-OpenKLS-Relay-Token"  # noqa: S105 - a name
# Whom an HLS request is made for, where that one counts (`domain.hls_sessions`); absent where it does not.
CLIENT_HEADER: Final = "X-OpenKLS-Client"
# FLV 10.1, E.4.1: a tag's type has five bits; 8, 9 and 18 are media, and no other comes from a publisher.
CONTROL: Final = 31

_PREFIX: Final = ["", "relay"]
_SUFFIX: Final = ".flv"


class Word(Enum):
    """What a source says of its stream."""

    BEGUN = b"begun"
    """With session id and publish domain: what follows is of this publish."""
    CAUGHT_UP = b"caught-up"
    """What a late viewer starts from is over; what follows is news."""
    ALIVE = b"alive"
    """There is nothing new."""
    WAITING = b"waiting"
    """The publisher left and may come back."""
    OVER = b"over"
    CUT = b"cut"
    """The stream was forbidden: its viewers are to end at once."""


class Said(NamedTuple):
    """A word and what comes with it."""

    word: Word
    details: tuple[str, ...] = ()


_WORDS: Final = {word.value: word for word in Word}


def build_control(word: Word, *details: str) -> bytes:
    """The tag that says it; no detail holds a blank."""
    return flv.build_tag(CONTROL, 0, " ".join((word.value.decode("ascii"), *details)).encode())


def parse_control(payload: bytes) -> Said | None:
    """Read a tag of type CONTROL; None for what this version does not know."""
    first, *details = payload.split(b" ")
    word = _WORDS.get(first)
    if word is None or (word is Word.BEGUN and len(details) != 2):
        return None
    return Said(word, tuple(detail.decode("utf-8", "replace") for detail in details))


def build_path(name: StreamName) -> str:
    """Where a stream is pulled from."""
    return "/".join((*_PREFIX, *(quote(part, safe="") for part in name))) + _SUFFIX


def parse_path(path: str) -> StreamName | None:
    """The stream that a raw path asks for; None when it is another path."""
    parts = path.removesuffix(_SUFFIX).split("/")
    if not path.endswith(_SUFFIX) or parts[:2] != _PREFIX or len(parts) != 5:
        return None
    return StreamName(*map(unquote, parts[2:]))
