"""What the session machines tell their owners.

Rule: facts only, past participles; MediaReceived is a tuple because it is made once for every frame.
"""

from dataclasses import dataclass
from typing import NamedTuple


class MediaReceived(NamedTuple):
    """One audio (8), video (9) or data (18) message with a non-empty payload.

    `timestamp` is absolute, in milliseconds, modulo 2^32. A data payload is AMF0 that begins with the
    name's string value (`onMetaData`...), freed of `@setDataFrame`; what follows the name is not checked.
    """

    type_id: int
    timestamp: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Connected:
    """The peer's `connect`, which the session has answered by itself. All texts raw, none is checked."""

    app: str
    app_query: str
    tc_url: str
    flash_ver: str


@dataclass(frozen=True, slots=True)
class PublishRequested:
    """The peer wants to publish; answer with `accept_publish` or `refuse_publish`.

    `app` and `stream` are as sent, not percent-decoded, each cut at its first `?`; what follows it is
    `app_query` and `query`, empty when there is none. A trailing slash of the app is dropped.
    """

    app: str
    app_query: str
    tc_url: str
    stream: str
    query: str


@dataclass(frozen=True, slots=True)
class PlayRequested:
    """The peer wants to play; answer with `accept_play` or `refuse_play`. Fields as in PublishRequested."""

    app: str
    app_query: str
    tc_url: str
    stream: str
    query: str


@dataclass(frozen=True, slots=True)
class PublishEnded:
    """The publisher ended its accepted publish in order (FCUnpublish, deleteStream or closeStream).

    Let the peer close the connection, within some seconds: GStreamer's rtmp2sink (1.22) is still sending
    then, and reports an error if it is closed upon.
    """


@dataclass(frozen=True, slots=True)
class PlayEnded:
    """The player ended its accepted play in order (deleteStream or closeStream); see PublishEnded."""


ServerEvent = MediaReceived | Connected | PublishRequested | PlayRequested | PublishEnded | PlayEnded


@dataclass(frozen=True, slots=True)
class PublishStarted:
    """The server accepted the client's publish."""


@dataclass(frozen=True, slots=True)
class PlayStarted:
    """The server accepted the client's play."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refused, or cut, with an `_error` or an onStatus of level `error`; the session is closed."""

    level: str
    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The server ended the stream in order; `code` is the onStatus code. The session is closed."""

    code: str
    description: str


ClientEvent = MediaReceived | PublishStarted | PlayStarted | Refused | Ended
