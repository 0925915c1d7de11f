"""The server's side of one RTMP connection, from the first byte to the last, without I/O.

Rule: all protocol state is in `ServerSession.state`, and changes in `_move` by the table and nowhere else; a
step that is not in the table is the peer's ProtocolError or, from our own side, a RuntimeError.

Theory of operation.

    HANDSHAKE -> CONNECTING -> READY -> PUBLISH_ASKED -> PUBLISHING -> ENDED
                                     -> PLAY_ASKED    -> PLAYING    -> ENDED
    and from every state -> CLOSED

The owner feeds bytes to `receive`, writes what `data_to_send` returns, and acts on the events. The session
answers connect, createStream and the small talk by itself; a publish or a play is the owner's to answer.

While one is asked (PUBLISH_ASKED, PLAY_ASKED) nothing further is read: the messages that came with it are
kept, bytes that come later are kept raw, up to HELD_BYTES_MAX, and `accept_publish` or `accept_play` reads
them and returns their events. So no event ever overtakes the answer, and an owner that stops reading its
socket meanwhile never nears the limit.

ENDED is the peer's own orderly end, CLOSED everything else: refused, cut, failed, or the connection gone. In
both, bytes are dropped and the owner writes what is left in `data_to_send`; CLOSED it then closes, ENDED it
leaves to the peer for some seconds (see PublishEnded).

Each request is answered with less than twenty times its bytes, at once: the owner has to bound its write
buffer against a peer that asks and never reads.

What is not done: one connection carries one stream once. A second publish or play is refused and the first
goes on; pause, seek and the like are ignored, for live media has none of it.
"""

from collections.abc import Sequence
from enum import Enum, auto

from openkls.codec.amf0 import UNDEFINED, AmfValue
from openkls.codec.errors import ProtocolError
from openkls.codec.rtmp import answers
from openkls.codec.rtmp import message as m
from openkls.codec.rtmp.acks import AckCounter
from openkls.codec.rtmp.chunk import DEFAULT_LIMITS, ChunkLimits, ChunkReader
from openkls.codec.rtmp.events import (
    Connected,
    MediaReceived,
    PlayEnded,
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ServerEvent,
)
from openkls.codec.rtmp.handshake import ServerHandshake

HELD_BYTES_MAX = 1024 * 1024
"""Bytes kept while a publish or play is being decided: four of the largest reads a transport makes."""


class State(Enum):
    """Where a connection stands; see the theory of operation."""

    HANDSHAKE = auto()
    CONNECTING = auto()
    READY = auto()
    PUBLISH_ASKED = auto()
    PUBLISHING = auto()
    PLAY_ASKED = auto()
    PLAYING = auto()
    ENDED = auto()
    CLOSED = auto()


class _Step(Enum):
    GREETED = "the handshake"
    CONNECT = "connect"
    PUBLISH = "publish"
    PLAY = "play"
    LEAVE = "the end of the stream"
    ACCEPT_PUBLISH = "accept_publish"
    REFUSE_PUBLISH = "refuse_publish"
    END_PUBLISH = "end_publish"
    ACCEPT_PLAY = "accept_play"
    REFUSE_PLAY = "refuse_play"
    END_PLAY = "end_play"


_TABLE: dict[tuple[State, _Step], State] = {
    (State.HANDSHAKE, _Step.GREETED): State.CONNECTING,
    (State.CONNECTING, _Step.CONNECT): State.READY,
    (State.READY, _Step.PUBLISH): State.PUBLISH_ASKED,
    (State.READY, _Step.PLAY): State.PLAY_ASKED,
    (State.READY, _Step.LEAVE): State.READY,
    (State.PUBLISH_ASKED, _Step.ACCEPT_PUBLISH): State.PUBLISHING,
    (State.PUBLISH_ASKED, _Step.REFUSE_PUBLISH): State.CLOSED,
    (State.PUBLISHING, _Step.END_PUBLISH): State.CLOSED,
    (State.PUBLISHING, _Step.LEAVE): State.ENDED,
    (State.PLAY_ASKED, _Step.ACCEPT_PLAY): State.PLAYING,
    (State.PLAY_ASKED, _Step.REFUSE_PLAY): State.CLOSED,
    (State.PLAYING, _Step.END_PLAY): State.CLOSED,
    (State.PLAYING, _Step.LEAVE): State.ENDED,
}

_NOT_CONNECTED = Connected("", "", "", "")
_PEER_STEPS = frozenset((_Step.GREETED, _Step.CONNECT, _Step.PUBLISH, _Step.PLAY, _Step.LEAVE))
_ASKED = frozenset((State.PUBLISH_ASKED, State.PLAY_ASKED))
_OVER = frozenset((State.ENDED, State.CLOSED))

# Commands that only want a result, and which: clients wait for none of them but some log its absence.
_SMALL_TALK: dict[str, AmfValue] = {
    "releaseStream": UNDEFINED,
    "FCPublish": UNDEFINED,
    "FCSubscribe": UNDEFINED,
    "_checkbw": UNDEFINED,
    "getStreamLength": 0,  # ffmpeg asks before it plays; live has no length
    "createStream": answers.PLAY_STREAM_ID,
}


class ServerSession:
    """One connection's protocol state. Not reusable; see the module for how to drive it.

    There is one for each viewer: what only a beginning needs is let go when that has passed.
    """

    __slots__ = (
        "_acks",
        "_connected",
        "_fc_publish_asked",
        "_handshake",
        "_held_bytes",
        "_held_messages",
        "_out",
        "_reader",
        "_stream",
        "_stream_id",
        "state",
    )

    def __init__(self, random_bytes: bytes, limits: ChunkLimits = DEFAULT_LIMITS) -> None:
        """`random_bytes`: HANDSHAKE_RANDOM_BYTES of them, for the handshake."""
        self.state = State.HANDSHAKE
        self._handshake: ServerHandshake | None = ServerHandshake(random_bytes)
        self._reader = ChunkReader(limits)
        self._acks = AckCounter()
        self._out: list[bytes] = []
        self._held_messages: Sequence[m.Message] = ()
        self._held_bytes: bytearray | None = None
        self._connected = _NOT_CONNECTED
        self._stream = ""
        self._stream_id = answers.PLAY_STREAM_ID
        self._fc_publish_asked = False

    @property
    def received_bytes(self) -> int:
        """All bytes the peer has sent, the handshake's too, while the session was neither ended nor closed."""
        return self._acks.received_bytes

    def receive(self, data: bytes) -> list[ServerEvent]:
        """Take bytes of the peer, return what happened, in order.

        Raises ProtocolError, after which the state is CLOSED and nothing more is raised. Media that comes
        while nothing is published is dropped; so are empty media messages.
        """
        if self.state in _OVER:
            return []
        self._acks.received_bytes += len(data)
        try:
            return self._hold(data) if self.state in _ASKED else self._read(data)
        except ProtocolError:
            self.close()
            raise

    def data_to_send(self) -> bytes:
        """Return and forget what is to be written to the peer. Valid in every state."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def accept_publish(self) -> list[ServerEvent]:
        """Start the publish asked for; return the events of what was held meanwhile. Raises as `receive` does."""
        self._move(_Step.ACCEPT_PUBLISH)
        start = answers.build_publish_start(self._stream_id, self._stream, self._fc_publish_asked)
        self._out.append(start)
        return self._read_held()

    def refuse_publish(self, code: int, text: str) -> None:
        """Refuse the publish asked for with a break code and its text, and close."""
        self._move(_Step.REFUSE_PUBLISH)
        self._out.append(answers.build_publish_end(self._stream_id, code, text))

    def end_publish(self, code: int, text: str) -> None:
        """Cut the running publish with a break code and its text, and close; 200 is told as a good end."""
        self._move(_Step.END_PUBLISH)
        self._out.append(answers.build_publish_end(self._stream_id, code, text))

    def accept_play(self) -> list[ServerEvent]:
        """Start the play asked for; return the events of what was held meanwhile. Raises as `receive` does.

        The owner may write media of `build_message` with PLAY_STREAM_ID and OUT_CHUNK_SIZE after what
        `data_to_send` returns next, and in between any later returns.
        """
        self._move(_Step.ACCEPT_PLAY)
        self._out.append(answers.build_play_start(self._stream_id, self._stream))
        return self._read_held()

    def refuse_play(self, code: str, text: str) -> None:
        """Refuse the play asked for, for example with `NetStream.Play.StreamNotFound`, and close."""
        self._move(_Step.REFUSE_PLAY)
        self._out.append(answers.build_status(self._stream_id, "error", code, text))

    def end_play(self) -> None:
        """Tell the player that the stream is over, and close."""
        self._move(_Step.END_PLAY)
        self._out.append(answers.build_play_end(self._stream_id, self._stream))

    def ping(self, timestamp_ms: int) -> None:
        """Ask the peer for a sign of life (RTMP 1.0, 7.1.7). Not before it is connected: RuntimeError."""
        if self.state in _OVER or self.state in (State.HANDSHAKE, State.CONNECTING):
            raise RuntimeError(f"ping in state {self.state.name}")
        self._send_user_control(m.PING_REQUEST, timestamp_ms & 0xFFFFFFFF)

    def close(self) -> None:
        """The connection is gone or given up: CLOSED, whatever was before. Says nothing; idempotent."""
        self.state = State.CLOSED
        self._handshake = None
        self._held_messages = ()
        self._held_bytes = None

    # -- state

    def _move(self, step: _Step) -> None:
        target = _TABLE.get((self.state, step))
        if target is None:
            text = f"{step.value} in state {self.state.name}"
            raise ProtocolError(f"RTMP: {text}") if step in _PEER_STEPS else RuntimeError(text)
        self.state = target
        if target is State.CLOSED:
            self.close()

    # -- reading

    def _hold(self, data: bytes) -> list[ServerEvent]:
        held_bytes = self._held_bytes
        if held_bytes is None:
            held_bytes = self._held_bytes = bytearray()
        if len(held_bytes) + len(data) > HELD_BYTES_MAX:
            raise ProtocolError("RTMP: too much sent before an answer", "HELD_BYTES_MAX")
        held_bytes += data
        return []

    def _read_held(self) -> list[ServerEvent]:
        messages, data = self._held_messages, bytes(self._held_bytes or b"")
        self._held_messages = ()
        self._held_bytes = None
        try:
            events = self._dispatch(messages)
            return events if self.state in _OVER else events + self._read(data)
        except ProtocolError:
            self.close()
            raise

    def _read(self, data: bytes) -> list[ServerEvent]:
        if self._handshake is not None:
            self._out.append(self._handshake.receive(data))
            if not self._handshake.done:
                return []
            self._move(_Step.GREETED)
            data = self._handshake.rest
            self._handshake = None
        events = self._dispatch(self._reader.feed(data))
        acknowledgement = self._acks.pull_acknowledgement()
        if acknowledgement:
            self._out.append(acknowledgement)
        return events

    def _dispatch(self, messages: Sequence[m.Message]) -> list[ServerEvent]:
        """Act on messages until there are no more, or one of them asks the owner, or ends the stream."""
        events: list[ServerEvent] = []
        for index, message in enumerate(messages):
            type_id = message.type_id
            if type_id == m.VIDEO or type_id == m.AUDIO:
                if message.payload and self.state is State.PUBLISHING:
                    events.append(MediaReceived(type_id, message.timestamp, message.payload))
            elif type_id in (m.COMMAND, m.COMMAND_AMF3):
                self._on_command(m.parse_command(type_id, message.payload), message.stream_id, events)
                if self.state in _ASKED:
                    self._held_messages = messages[index + 1 :]
                    break
                if self.state in _OVER:
                    break
            elif type_id in (m.DATA, m.DATA_AMF3):
                payload = m.normalise_data(type_id, message.payload)
                if payload and self.state is State.PUBLISHING:
                    events.append(MediaReceived(m.DATA, message.timestamp, payload))
            elif type_id == m.AGGREGATE:
                if self.state is State.PUBLISHING:
                    events += self._dispatch(m.split_aggregate(message))
            else:
                self._on_control(message)
        return events

    def _on_control(self, message: m.Message) -> None:
        """Obey a control message; types nobody told us of are ignored."""
        if message.type_id == m.USER_CONTROL:
            control = m.parse_user_control(message.payload)
            if control.event == m.PING_REQUEST:
                self._send_user_control(m.PING_RESPONSE, control.value)
        elif message.type_id == m.WINDOW_ACK_SIZE:
            self._acks.set_window(m.parse_number(message.payload))
        elif message.type_id == m.ACKNOWLEDGEMENT:
            m.parse_number(message.payload)  # what a player took is known from its socket
        elif message.type_id == m.SET_PEER_BANDWIDTH:
            m.parse_peer_bandwidth(message.payload)  # TCP paces us, and a slow player is dropped

    def _send_user_control(self, event: int, value: int) -> None:
        self._out.append(answers.build_control(m.USER_CONTROL, m.build_user_control(event, value)))

    # -- commands (RTMP 1.0, 7.2)

    def _on_command(self, command: m.Command, stream_id: int, events: list[ServerEvent]) -> None:
        name = command.name
        if name == "connect" or self.state is State.CONNECTING:
            events.append(self._on_connect(command))
        elif name in _SMALL_TALK:
            self._fc_publish_asked |= name == "FCPublish"
            if command.transaction_id:  # 0 asks for no answer (7.2.1)
                self._out.append(answers.build_result(command.transaction_id, _SMALL_TALK[name]))
        elif name == "publish":
            self._on_publish(command, stream_id, events)
        elif name == "play":
            self._on_play(command, stream_id, events)
        elif name in ("FCUnpublish", "deleteStream", "closeStream"):
            # The stream id or name they carry is not looked at: there is one stream, and GStreamer's
            # deleteStream carries a name where librtmp's carries the id.
            was = self.state
            self._move(_Step.LEAVE)
            if was is not State.READY:
                events.append(PublishEnded() if was is State.PUBLISHING else PlayEnded())

    def _on_connect(self, command: m.Command) -> Connected:
        if command.name != "connect":
            raise ProtocolError("RTMP: a command before connect")
        self._move(_Step.CONNECT)
        if not isinstance(command.subject, dict):
            raise ProtocolError("RTMP: connect without an object")
        texts = {key: command.subject.get(key) for key in ("app", "tcUrl", "flashVer")}
        if not isinstance(texts["app"], str):
            raise ProtocolError("RTMP: connect without an app")
        app, _, app_query = texts["app"].partition("?")
        tc_url, flash_ver = (text if isinstance(text, str) else "" for text in (texts["tcUrl"], texts["flashVer"]))
        self._connected = Connected(app.rstrip("/"), app_query, tc_url, flash_ver)
        wants_four_ccs = "fourCcList" in command.subject or "videoFourCcInfoMap" in command.subject
        self._out.append(answers.build_connect_answer(command.transaction_id, wants_four_ccs))
        return self._connected

    def _on_publish(self, command: m.Command, stream_id: int, events: list[ServerEvent]) -> None:
        name = _pull_stream_name(command)
        if self.state is not State.READY:
            text = "One connection publishes or plays one stream."
            self._out.append(answers.build_status(stream_id, "error", answers.BAD_NAME, text))
            return
        self._move(_Step.PUBLISH)
        self._stream, _, query = name.partition("?")
        self._stream_id = stream_id
        connected, self._connected = self._connected, _NOT_CONNECTED
        events.append(PublishRequested(connected.app, connected.app_query, connected.tc_url, self._stream, query))

    def _on_play(self, command: m.Command, stream_id: int, events: list[ServerEvent]) -> None:
        name = _pull_stream_name(command)
        if self.state is not State.READY:
            text = "One connection publishes or plays one stream."
            self._out.append(answers.build_status(stream_id, "error", "NetStream.Play.Failed", text))
            return
        self._move(_Step.PLAY)
        self._stream, _, query = name.partition("?")
        self._stream_id = stream_id
        connected, self._connected = self._connected, _NOT_CONNECTED
        events.append(PlayRequested(connected.app, connected.app_query, connected.tc_url, self._stream, query))


def _pull_stream_name(command: m.Command) -> str:
    name = command.arguments[0] if command.arguments else None
    if not isinstance(name, str):
        raise ProtocolError(f"RTMP: {command.name} without a stream's name")
    return name
