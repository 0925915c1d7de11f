"""The client's side of one RTMP connection: a publisher or a player, without I/O.

Rule: the machine asks in the order OBS does (connect, releaseStream, FCPublish, createStream, publish) and
acts only on answers to what it asked.

Theory of operation.

    HANDSHAKE -> CONNECTING -> CREATING -> ASKING -> STREAMING -> CLOSED

The owner writes `data_to_send` (the first bytes are there at once), feeds `receive`, and acts on the events.
`PublishStarted` or `PlayStarted` comes with STREAMING; `Refused` and `Ended` come with CLOSED, in which
bytes are dropped.
"""

from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import urlsplit

from openkls.codec.amf0 import AmfValue, encode
from openkls.codec.errors import ProtocolError
from openkls.codec.rtmp import message as m
from openkls.codec.rtmp.acks import ACK_WINDOW_BYTES, AckCounter
from openkls.codec.rtmp.answers import AUDIO_CSID, COMMAND_CSID, DATA_CSID, VIDEO_CSID
from openkls.codec.rtmp.chunk import (
    CHUNK_SIZE_DEFAULT,
    CONTROL_CSID,
    DEFAULT_LIMITS,
    ChunkLimits,
    ChunkReader,
    build_message,
)
from openkls.codec.rtmp.events import (
    ClientEvent,
    Ended,
    MediaReceived,
    PlayStarted,
    PublishStarted,
    Refused,
)
from openkls.codec.rtmp.handshake import ClientHandshake

PORT_DEFAULT = 1935

CLIENT_CHUNK_SIZE = 4096
"""Chunk size a client announces unless told otherwise; what OBS sends with."""

BUFFER_MS = 1000  # what a player says it buffers; our server does not mind it, others burst that much

_FLASH_VERSION = "FMLE/3.0 (compatible; OpenKLS)"  # servers tell encoders from players by the FMLE in front
_CSIDS = {m.AUDIO: AUDIO_CSID, m.VIDEO: VIDEO_CSID, m.DATA: DATA_CSID}
_STARTS = frozenset(("NetStream.Publish.Start", "NetStream.Play.Start", "NetStream.Play.PublishNotify"))
_ENDS = frozenset(
    (
        "NetStream.Play.UnpublishNotify",
        "NetStream.Play.Stop",
        "NetStream.Play.Complete",
        "NetStream.Unpublish.Success",
    )
)
_CONNECT_TRANSACTION = 1.0
_CREATE_TRANSACTION = 4.0  # releaseStream and FCPublish have 2 and 3
_START_TRANSACTION = 5.0


class Mode(Enum):
    """What the client is for."""

    PUBLISH = auto()
    PLAY = auto()


class ClientState(Enum):
    """Where a connection stands; see the theory of operation."""

    HANDSHAKE = auto()
    CONNECTING = auto()
    CREATING = auto()
    ASKING = auto()
    STREAMING = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class RtmpUrl:
    """A publish or play URL in parts. `stream` keeps its query; `tc_url` is the URL without the stream."""

    host: str
    port: int
    app: str
    stream: str
    tc_url: str


def parse_rtmp_url(url: str) -> RtmpUrl:
    """Return the parts of `rtmp://host[:port]/app[/instance]/stream[?query]`. Raises ValueError."""
    parts = urlsplit(url)
    app, _, stream = parts.path.lstrip("/").rpartition("/")
    if parts.scheme != "rtmp" or not parts.hostname or not app or not stream:
        raise ValueError(f"not of the form rtmp://host[:port]/app/stream: {parts.scheme}://{parts.netloc}")
    query = f"?{parts.query}" if parts.query else ""
    tc_url = f"rtmp://{parts.netloc}/{app}"
    return RtmpUrl(parts.hostname, parts.port or PORT_DEFAULT, app, stream + query, tc_url)


class ClientSession:
    """One connection's protocol state. Not reusable; see the module for how to drive it."""

    def __init__(
        self,
        mode: Mode,
        url: RtmpUrl,
        random_bytes: bytes,
        out_chunk_size: int = CLIENT_CHUNK_SIZE,
        limits: ChunkLimits = DEFAULT_LIMITS,
    ) -> None:
        """`random_bytes`: HANDSHAKE_RANDOM_BYTES of them; `out_chunk_size`: bytes, announced to the server."""
        self.state = ClientState.HANDSHAKE
        self._mode = mode
        self._url = url
        self._handshake = ClientHandshake(random_bytes)
        self._out = [self._handshake.opening]
        self._announced_chunk_size = out_chunk_size
        self._out_chunk_size = CHUNK_SIZE_DEFAULT
        self._reader = ChunkReader(limits)
        self._acks = AckCounter()
        self._stream_id = 0

    @property
    def received_bytes(self) -> int:
        """All bytes the server has sent, the handshake's too, until the session was closed."""
        return self._acks.received_bytes

    def receive(self, data: bytes) -> list[ClientEvent]:
        """Take bytes of the server, return what happened. Raises ProtocolError; the state is CLOSED then."""
        if self.state is ClientState.CLOSED:
            return []
        self._acks.received_bytes += len(data)
        try:
            return self._read(data)
        except ProtocolError:
            self.close()
            raise

    def data_to_send(self) -> bytes:
        """Return and forget what is to be written to the server. Valid in every state."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def send_media(self, type_id: int, timestamp: int, payload: bytes) -> None:
        """Queue an audio, video or data message. RuntimeError unless a publish has started.

        `timestamp` in milliseconds. A data payload begins with the name (`onMetaData`); the order to the
        server, `@setDataFrame`, is put in front here.
        """
        if self.state is not ClientState.STREAMING or self._mode is not Mode.PUBLISH:
            raise RuntimeError(f"media in state {self.state.name} of a {self._mode.name} session")
        if type_id == m.DATA:
            payload = encode("@setDataFrame") + payload
        self._send(type_id, self._stream_id, payload, _CSIDS[type_id], timestamp)

    def finish(self) -> None:
        """Leave the stream in order, and close. Without a stream it only closes; idempotent."""
        if self.state is ClientState.STREAMING:
            if self._mode is Mode.PUBLISH:
                self._command(0, "FCUnpublish", _START_TRANSACTION + 1, None, self._url.stream)
            self._command(0, "deleteStream", _START_TRANSACTION + 2, None, self._stream_id)
        self.close()

    def close(self) -> None:
        """The connection is gone or given up: CLOSED, whatever was before. Says nothing; idempotent."""
        self.state = ClientState.CLOSED

    # -- writing

    def _send(self, type_id: int, stream_id: int, payload: bytes, csid: int, timestamp: int = 0) -> None:
        self._out.append(build_message(type_id, timestamp, stream_id, payload, csid, self._out_chunk_size))

    def _control(self, type_id: int, payload: bytes) -> None:
        self._send(type_id, 0, payload, CONTROL_CSID)

    def _command(self, stream_id: int, name: str, transaction_id: float, *values: AmfValue) -> None:
        self._send(m.COMMAND, stream_id, m.build_command(name, transaction_id, *values), COMMAND_CSID)

    def _connect(self) -> None:
        self.state = ClientState.CONNECTING
        self._control(m.SET_CHUNK_SIZE, m.build_number(self._announced_chunk_size))
        self._out_chunk_size = self._announced_chunk_size
        subject = {
            "app": self._url.app,
            "type": "nonprivate",
            "flashVer": _FLASH_VERSION,
            "tcUrl": self._url.tc_url,
        }
        self._command(0, "connect", _CONNECT_TRANSACTION, subject)

    def _create(self) -> None:
        self.state = ClientState.CREATING
        if self._mode is Mode.PUBLISH:
            self._command(0, "releaseStream", 2, None, self._url.stream)
            self._command(0, "FCPublish", 3, None, self._url.stream)
        else:
            self._control(m.WINDOW_ACK_SIZE, m.build_number(ACK_WINDOW_BYTES))
        self._command(0, "createStream", _CREATE_TRANSACTION, None)

    def _ask(self, command: m.Command) -> None:
        stream_id = command.arguments[0] if command.arguments else None
        if not isinstance(stream_id, float) or not 0 < stream_id < 2**32:
            raise ProtocolError("RTMP: createStream answered without a stream id")
        self.state = ClientState.ASKING
        self._stream_id = int(stream_id)
        if self._mode is Mode.PUBLISH:
            self._command(self._stream_id, "publish", _START_TRANSACTION, None, self._url.stream, "live")
        else:
            # -2000: the live stream, else the recording (RTMP 1.0, 7.2.2.1 says -2 seconds; ffmpeg and
            # librtmp say it in milliseconds).
            self._command(self._stream_id, "play", _START_TRANSACTION, None, self._url.stream, -2000)
            self._control(m.USER_CONTROL, m.build_buffer_length(self._stream_id, BUFFER_MS))

    # -- reading

    def _read(self, data: bytes) -> list[ClientEvent]:
        if self.state is ClientState.HANDSHAKE:
            self._out.append(self._handshake.receive(data))
            if not self._handshake.done:
                return []
            self._connect()
            data = self._handshake.rest
        events: list[ClientEvent] = []
        for message in self._reader.feed(data):
            self._on_message(message, events)
            if self.state is ClientState.CLOSED:
                break
        self._out.append(self._acks.pull_acknowledgement())
        return events

    def _on_message(self, message: m.Message, events: list[ClientEvent]) -> None:
        type_id, payload = message.type_id, message.payload
        if type_id in _CSIDS:
            if self.state is ClientState.STREAMING and self._mode is Mode.PLAY:
                events.append(MediaReceived(type_id, message.timestamp, payload))
        elif type_id in (m.COMMAND, m.COMMAND_AMF3):
            events += self._on_command(m.parse_command(type_id, payload))
        elif type_id == m.AGGREGATE:
            for part in m.split_aggregate(message):
                self._on_message(part, events)
        elif type_id == m.USER_CONTROL:
            control = m.parse_user_control(payload)
            if control.event == m.PING_REQUEST:
                self._control(m.USER_CONTROL, m.build_user_control(m.PING_RESPONSE, control.value))
        elif type_id == m.WINDOW_ACK_SIZE:
            self._acks.set_window(m.parse_number(payload))

    def _on_command(self, command: m.Command) -> list[ClientEvent]:
        answered = (command.name, command.transaction_id)
        if answered == ("_result", _CONNECT_TRANSACTION) and self.state is ClientState.CONNECTING:
            self._create()
        elif answered == ("_result", _CREATE_TRANSACTION) and self.state is ClientState.CREATING:
            self._ask(command)
        elif command.name == "_error" and command.transaction_id in (
            _CONNECT_TRANSACTION,
            _CREATE_TRANSACTION,
        ):
            self.close()
            return [_refused(command)]
        elif command.name == "onStatus":
            return self._on_status(_refused(command))
        return []

    def _on_status(self, status: Refused) -> list[ClientEvent]:
        if status.level == "error":
            self.close()
            return [status]
        if status.code in _STARTS and self.state is ClientState.ASKING:
            self.state = ClientState.STREAMING
            return [PublishStarted() if self._mode is Mode.PUBLISH else PlayStarted()]
        if status.code in _ENDS and self.state is ClientState.STREAMING:
            self.close()
            return [Ended(status.code, status.description)]
        return []


def _refused(command: m.Command) -> Refused:
    """Return level, code and description of a status; what is missing or no text is empty."""
    found = command.arguments[0] if command.arguments else None
    info = found if isinstance(found, dict) else {}
    texts = (info.get("level"), info.get("code"), info.get("description"))
    return Refused(*(text if isinstance(text, str) else "" for text in texts))
