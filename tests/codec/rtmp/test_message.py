"""Message payloads: control, commands, data, aggregates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import ProtocolError, amf0
from openkls.codec.rtmp import Message
from openkls.codec.rtmp import message as m

METADATA = amf0.encode("onMetaData", amf0.EcmaArray(width=1280))


def test_numbers_survive_the_round_trip_with_trailing_bytes() -> None:
    for value in (0, 1, 0xFFFFFFFF):
        assert m.parse_number(m.build_number(value) + b"more") == value


def test_peer_bandwidth_survives_the_round_trip() -> None:
    assert m.parse_peer_bandwidth(m.build_peer_bandwidth(2_500_000)) == (2_500_000, m.LIMIT_DYNAMIC)
    assert m.build_peer_bandwidth(1, 0) == bytes.fromhex("00000001 00")


@pytest.mark.parametrize("event", [m.STREAM_BEGIN, m.STREAM_EOF, m.PING_REQUEST, m.PING_RESPONSE])
def test_user_control_survives_the_round_trip(event: int) -> None:
    assert m.parse_user_control(m.build_user_control(event, 0x01020304)) == (event, 0x01020304)


def test_buffer_length_names_its_stream() -> None:
    assert m.parse_user_control(m.build_buffer_length(1, 3000)) == (m.SET_BUFFER_LENGTH, 1)
    assert m.build_buffer_length(1, 3000) == bytes.fromhex("0003 00000001 00000bb8")


def test_unknown_user_control_event_is_no_error() -> None:
    assert m.parse_user_control(bytes.fromhex("001a 01")) == (26, 0)


# security.md, class 6


@pytest.mark.parametrize("length", range(4))
def test_class_06_short_number_is_refused(length: int) -> None:
    with pytest.raises(ProtocolError, match=f"{length} bytes"):
        m.parse_number(bytes(length))


@pytest.mark.parametrize("length", range(5))
def test_class_06_short_peer_bandwidth_is_refused(length: int) -> None:
    with pytest.raises(ProtocolError, match=f"{length} bytes"):
        m.parse_peer_bandwidth(bytes(length))


@pytest.mark.parametrize("event", range(m.PING_RESPONSE + 1))
def test_class_06_short_user_control_is_refused(event: int) -> None:
    whole = event.to_bytes(2, "big") + bytes(8)
    needed = 10 if event == m.SET_BUFFER_LENGTH else 6
    assert m.parse_user_control(whole[:needed]).event == event
    for length in range(needed):
        with pytest.raises(ProtocolError):
            m.parse_user_control(whole[:length])


# commands


def test_command_survives_the_round_trip() -> None:
    payload = m.build_command("publish", 5, None, "s", "live")
    assert m.parse_command(m.COMMAND, payload) == ("publish", 5.0, None, ["s", "live"])


def test_amf3_command_is_amf0_behind_one_byte() -> None:
    payload = b"\x00" + m.build_command("connect", 1, {"app": "live"})
    assert m.parse_command(m.COMMAND_AMF3, payload) == ("connect", 1.0, {"app": "live"}, [])


def test_command_without_an_object_has_none() -> None:
    assert m.parse_command(m.COMMAND, amf0.encode("createStream", 2)) == ("createStream", 2.0, None, [])


@pytest.mark.parametrize("values", [(), ("name",), (1, 1), (None, 1), ({}, 1), ("name", "1"), ("name", None, 1)])
def test_class_08_command_without_name_or_transaction_is_refused(values: tuple[object, ...]) -> None:
    for type_id, prefix in ((m.COMMAND, b""), (m.COMMAND_AMF3, b"\x00")):
        with pytest.raises(ProtocolError):
            m.parse_command(type_id, prefix + amf0.encode(*values))


def test_command_size_at_the_limit_and_above() -> None:
    fixed = len(m.build_command("x", 0, ""))
    name = "n" * (m.COMMAND_BYTES_MAX - fixed)
    assert m.parse_command(m.COMMAND, m.build_command("x", 0, name)).subject == name
    with pytest.raises(ProtocolError) as caught:
        m.parse_command(m.COMMAND, m.build_command("x", 0, name + "n"))
    assert caught.value.limit == "COMMAND_BYTES_MAX"


# data


def test_data_is_freed_of_set_data_frame() -> None:
    assert m.normalise_data(m.DATA, amf0.encode("@setDataFrame") + METADATA) == METADATA
    assert m.normalise_data(m.DATA, METADATA) == METADATA
    assert m.normalise_data(m.DATA_AMF3, b"\x00" + amf0.encode("@setDataFrame") + METADATA) == METADATA


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x00", amf0.encode("@setDataFrame"), amf0.encode("@clearDataFrame", "onMetaData"), amf0.encode(1.0)],
)
def test_data_without_anything_to_pass_on_is_empty(payload: bytes) -> None:
    assert m.normalise_data(m.DATA, payload) == b""
    assert m.normalise_data(m.DATA_AMF3, b"\x00" + payload) == b""


# aggregates


def part(type_id: int, timestamp: int, payload: bytes) -> bytes:
    low, high = timestamp & 0xFFFFFF, timestamp >> 24
    head = bytes([type_id]) + len(payload).to_bytes(3, "big") + low.to_bytes(3, "big") + bytes([high, 0, 0, 0])
    return head + payload + (len(head) + len(payload)).to_bytes(4, "big")


def test_aggregate_splits_and_its_parts_move_to_its_timestamp() -> None:
    payload = part(m.AUDIO, 0x01000000, b"a") + part(m.VIDEO, 0x01000017, b"vv") + part(m.DATA, 0x00FFFFFF, b"")
    assert m.split_aggregate(Message(m.AGGREGATE, 500, 1, payload)) == [
        Message(m.AUDIO, 500, 1, b"a"),
        Message(m.VIDEO, 523, 1, b"vv"),
        Message(m.DATA, 499, 1, b""),
    ]


def test_aggregate_timestamps_wrap() -> None:
    payload = part(m.AUDIO, 5, b"a") + part(m.AUDIO, 6, b"b")
    messages = m.split_aggregate(Message(m.AGGREGATE, 0xFFFFFFFF, 1, payload))
    assert [message.timestamp for message in messages] == [0xFFFFFFFF, 0]


def test_empty_aggregate_has_no_parts() -> None:
    assert m.split_aggregate(Message(m.AGGREGATE, 0, 1, b"")) == []


def test_aggregate_cut_anywhere_but_between_parts_is_refused() -> None:
    first, second = part(m.AUDIO, 0, b"abc"), part(m.VIDEO, 0, b"defg")
    for end in range(1, len(first + second)):
        if end == len(first):
            continue
        with pytest.raises(ProtocolError, match="ends within"):
            m.split_aggregate(Message(m.AGGREGATE, 0, 1, (first + second)[:end]))


@pytest.mark.parametrize("type_id", [0, m.SET_CHUNK_SIZE, m.COMMAND, m.AGGREGATE])
def test_aggregate_within_an_aggregate_or_a_command_is_refused(type_id: int) -> None:
    with pytest.raises(ProtocolError, match=f"type {type_id}"):
        m.split_aggregate(Message(m.AGGREGATE, 0, 1, part(type_id, 0, b"abc")))


def test_aggregate_parts_at_the_limit_and_above() -> None:
    payload = part(m.AUDIO, 0, b"a") * m.AGGREGATE_PARTS_MAX
    assert len(m.split_aggregate(Message(m.AGGREGATE, 0, 1, payload))) == m.AGGREGATE_PARTS_MAX
    with pytest.raises(ProtocolError) as caught:
        m.split_aggregate(Message(m.AGGREGATE, 0, 1, payload + part(m.AUDIO, 0, b"a")))
    assert caught.value.limit == "AGGREGATE_PARTS_MAX"


@given(st.binary(max_size=200), st.integers(0, 0xFFFFFFFF))
def test_arbitrary_aggregate_gives_messages_or_a_protocol_error(payload: bytes, timestamp: int) -> None:
    try:
        messages = m.split_aggregate(Message(m.AGGREGATE, timestamp, 1, payload))
    except ProtocolError:
        return
    assert all(0 <= message.timestamp < 2**32 for message in messages)
