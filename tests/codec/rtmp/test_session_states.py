"""The server's machine in any state with any event: values of any type, own steps, random conversations."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import ProtocolError, amf0
from openkls.codec.rtmp import (
    Connected,
    MediaReceived,
    PlayEnded,
    PlayRequested,
    PublishEnded,
    PublishRequested,
    ServerEvent,
    ServerSession,
    State,
)
from openkls.codec.rtmp import message as m
from support_rtmp import (
    CONNECT,
    CONTROLS,
    FFMPEG,
    GREETING,
    MEDIA,
    OBS,
    ZEROS,
    asked,
    command,
    connected,
    greeted,
    playing,
    publishing,
    wire,
)

# security.md, class 8

ANY_TYPE: list[object] = [
    0,
    -1,
    1e300,
    float("nan"),
    float("inf"),
    True,
    "",
    "text",
    {},
    {"app": 1},
    amf0.EcmaArray(app="live"),
    [],
    ["s"],
    None,
    amf0.UNDEFINED,
    amf0.AmfDate(0.0),
]
VERBS = [
    "connect",
    "releaseStream",
    "FCPublish",
    "createStream",
    "_checkbw",
    "getStreamLength",
    "publish",
    "play",
    "FCSubscribe",
    "FCUnpublish",
    "deleteStream",
    "closeStream",
    "pause",
]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("make", [greeted, connected, publishing, playing])
def test_class_08_any_type_in_any_slot_or_none_is_answered_or_refused(make: type[ServerSession], verb: str) -> None:
    wholes = [[verb, 5.0, value, second] for value in ANY_TYPE for second in ANY_TYPE]
    wholes += [[verb, value, None, "s"] for value in ANY_TYPE] + [[value, 5.0, None, "s"] for value in ANY_TYPE]
    wholes += [[], [verb], [verb, 5.0], [verb, 5.0, None]]
    for values in wholes:
        session = make()
        try:
            session.receive(wire(m.COMMAND, amf0.encode(*values), 1))
        except ProtocolError:
            assert session.state is State.CLOSED
        else:
            assert session.state is not State.CLOSED


@pytest.mark.parametrize(
    "values", [("connect", 1, None), ("connect", 1, {}), ("connect", 1, {"app": None}), ("publish", 1)]
)
def test_class_08_connection_without_an_app_is_refused(values: tuple[object, ...]) -> None:
    with pytest.raises(ProtocolError):
        greeted().receive(command(*values))


@pytest.mark.parametrize("verb", ["publish", "play"])
@pytest.mark.parametrize("arguments", [(), (None,), (1,), ({},), (False,)])
def test_class_08_stream_without_a_name_is_refused(verb: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises(ProtocolError, match="without a stream's name"):
        connected().receive(command(verb, 5, None, *arguments))


def test_second_connect_is_refused() -> None:
    with pytest.raises(ProtocolError, match="connect in state READY"):
        connected().receive(command(*CONNECT))


# any state, any event


def at_start() -> ServerSession:
    return ServerSession(ZEROS)


def play_asked() -> ServerSession:
    return asked("play")


def ended() -> ServerSession:
    session = publishing()
    session.receive(command("deleteStream", 0, None, 1))
    return session


def closed() -> ServerSession:
    session = publishing()
    session.close()
    return session


MAKERS = {
    State.HANDSHAKE: at_start,
    State.CONNECTING: greeted,
    State.READY: connected,
    State.PUBLISH_ASKED: asked,
    State.PUBLISHING: publishing,
    State.PLAY_ASKED: play_asked,
    State.PLAYING: playing,
    State.ENDED: ended,
    State.CLOSED: closed,
}
OWN_STEPS = {
    "accept_publish": ((), State.PUBLISH_ASKED, State.PUBLISHING),
    "refuse_publish": ((423, "Forbidden by blacklist!"), State.PUBLISH_ASKED, State.CLOSED),
    "end_publish": ((423, "Forbidden by blacklist!"), State.PUBLISHING, State.CLOSED),
    "accept_play": ((), State.PLAY_ASKED, State.PLAYING),
    "refuse_play": (("NetStream.Play.StreamNotFound", "none"), State.PLAY_ASKED, State.CLOSED),
    "end_play": ((), State.PLAYING, State.CLOSED),
}


def test_every_state_can_be_reached() -> None:
    assert {state: make().state for state, make in MAKERS.items()} == {state: state for state in State}


@pytest.mark.parametrize(("name", "state"), list(itertools.product(OWN_STEPS, State)))
def test_own_step_is_legal_in_one_state_and_our_bug_in_all_others(name: str, state: State) -> None:
    arguments, legal_in, leads_to = OWN_STEPS[name]
    session = MAKERS[state]()
    if state is legal_in:
        getattr(session, name)(*arguments)
        assert session.state is leads_to
    else:
        with pytest.raises(RuntimeError, match=f"{name} in state {state.name}"):
            getattr(session, name)(*arguments)
        assert session.state is state


@pytest.mark.parametrize("state", [State.HANDSHAKE, State.CONNECTING, State.ENDED, State.CLOSED])
def test_ping_without_a_connected_peer_is_our_bug(state: State) -> None:
    with pytest.raises(RuntimeError, match=state.name):
        MAKERS[state]().ping(0)


@pytest.mark.parametrize("state", State)
def test_close_is_legal_everywhere_and_says_nothing(state: State) -> None:
    session = MAKERS[state]()
    session.data_to_send()
    session.close()
    session.close()
    assert session.state is State.CLOSED
    assert session.data_to_send() == b""
    assert session.receive(b"\xff" * 10) == []


def test_protocol_error_closes_and_is_raised_once() -> None:
    session = at_start()
    with pytest.raises(ProtocolError):
        session.receive(b"GET / HTTP/1.1\r\n")
    assert session.state is State.CLOSED
    assert session.receive(b"Host: a\r\n\r\n") == []


AFTER: dict[type[object], set[State]] = {
    Connected: {State.READY},
    PublishRequested: {State.PUBLISH_ASKED},
    PlayRequested: {State.PLAY_ASKED},
    PublishEnded: {State.ENDED},
    PlayEnded: {State.ENDED},
}
PEER_DATA = st.one_of(
    st.sampled_from([GREETING, command(*CONNECT), MEDIA, OBS, FFMPEG]),
    st.sampled_from([command(verb, 5, None, "s", stream_id=1) for verb in VERBS]),
    st.builds(
        lambda type_id, payload: wire(type_id, payload, 1, csid=2),
        st.sampled_from([*CONTROLS, m.AUDIO, m.VIDEO, m.DATA, m.DATA_AMF3, m.COMMAND_AMF3, m.AGGREGATE]),
        st.binary(max_size=20),
    ),
    st.binary(max_size=40),
)
STEPS = st.lists(PEER_DATA | st.sampled_from([*OWN_STEPS, "ping", "close"]), max_size=12)


@given(st.sampled_from(list(State)), STEPS)
def test_any_state_with_any_event_is_a_legal_state_or_closed(state: State, steps: list[bytes | str]) -> None:
    session = MAKERS[state]()
    for step in steps:
        before = session.state
        try:
            events: list[ServerEvent] = take(session, step)
        except RuntimeError:
            assert isinstance(step, str)
            assert session.state is before
            continue
        except ProtocolError:
            assert session.state is State.CLOSED
            assert before not in (State.ENDED, State.CLOSED)
            continue
        assert session.state in State
        if before in (State.ENDED, State.CLOSED):
            assert events == []
            assert session.state in (before, State.CLOSED)
        last = [event for event in events if not isinstance(event, MediaReceived)][-1:]
        assert all(session.state in AFTER[type(event)] for event in last)


def take(session: ServerSession, step: bytes | str) -> list[ServerEvent]:
    if isinstance(step, bytes):
        return session.receive(step)
    arguments: tuple[object, ...] = (1,) if step == "ping" else ()
    if step in OWN_STEPS:
        arguments = OWN_STEPS[step][0]
    return getattr(session, step)(*arguments) or []
