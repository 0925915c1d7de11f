"""The server's side of one RTMP connection as a state machine without I/O. SKELETON: signatures are firm.

Use by a front:
    session = ServerSession(os.urandom(HANDSHAKE_RANDOM_BYTES))
    events = session.receive(data); transport.write(session.data_to_send()); dispatch(events)
"""

from enum import Enum, auto

from openkls.codec.rtmp.chunk import DEFAULT_LIMITS, ChunkLimits
from openkls.codec.rtmp.events import ServerEvent

OUT_CHUNK_SIZE = 60_000  # chunk size of everything the server sends after its connect answer
PLAY_STREAM_ID = 1  # createStream always answers 1: one stream per connection
AUDIO_CSID = 4
DATA_CSID = 5
VIDEO_CSID = 6
HELD_BYTES_MAX = 1024 * 1024


class State(Enum):
    HANDSHAKE = auto()
    CONNECTING = auto()
    READY = auto()
    PUBLISH_ASKED = auto()
    PUBLISHING = auto()
    PLAY_ASKED = auto()
    PLAYING = auto()
    ENDED = auto()  # the peer ended its stream in order; nothing it says matters any more
    CLOSED = auto()  # refused, cut or failed; flush data_to_send() and close


class ServerSession:
    state: State
    received_bytes: int

    def __init__(self, random_bytes: bytes, limits: ChunkLimits = DEFAULT_LIMITS) -> None:
        """`random_bytes`: HANDSHAKE_RANDOM_BYTES (1528) random bytes."""

    def receive(self, data: bytes) -> list[ServerEvent]:
        """Take bytes of the peer, return what happened. Raises ProtocolError, after which state is CLOSED.

        In CLOSED and ENDED bytes are dropped and [] is returned. In PUBLISH_ASKED and PLAY_ASKED bytes are
        kept unread (at most HELD_BYTES_MAX, else ProtocolError) until accept_* reads them.
        """
        raise NotImplementedError

    def data_to_send(self) -> bytes:
        """Drain what is to be written to the peer (b"" if nothing). Valid in every state, CLOSED too."""
        raise NotImplementedError

    def accept_publish(self) -> list[ServerEvent]:
        """PUBLISH_ASKED -> PUBLISHING; returns the events of the bytes held meanwhile (may raise
        ProtocolError like receive). RuntimeError in any other state."""
        raise NotImplementedError

    def refuse_publish(self, code: int, text: str) -> None:
        """PUBLISH_ASKED -> CLOSED with onStatus error, BadName for 422 else Rejected, description "<code> <text>"."""

    def end_publish(self, code: int, text: str) -> None:
        """PUBLISHING -> CLOSED: cut a live publisher, onStatus error "<code> <text>" (200: level status,
        NetStream.Unpublish.Success)."""

    def accept_play(self) -> list[ServerEvent]:
        """PLAY_ASKED -> PLAYING; from now on the front may write build_message() bytes after data_to_send()."""
        raise NotImplementedError

    def refuse_play(self, code_name: str, text: str) -> None:
        """PLAY_ASKED -> CLOSED, onStatus error; code_name e.g. "NetStream.Play.StreamNotFound"."""

    def end_play(self) -> None:
        """PLAYING -> CLOSED: StreamEOF and NetStream.Play.UnpublishNotify."""

    def ping(self, timestamp_ms: int) -> None:
        """Queue a user-control ping request (any state from READY on)."""

    def close(self) -> None:
        """Any state -> CLOSED, says nothing (the peer is gone). Idempotent."""
