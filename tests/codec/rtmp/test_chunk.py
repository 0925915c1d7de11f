"""The chunk layer: every header form, both dialects, limits, and the writer against the reader."""

import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import ProtocolError
from openkls.codec.rtmp import ChunkLimits, ChunkReader, Message, build_message
from openkls.codec.rtmp.chunk import (
    CHUNK_COST_BYTES,
    CHUNK_SIZE_MAX,
    CHUNK_SIZE_MIN,
    CHUNK_STREAMS_MAX,
    CREDIT_BYTES_MAX,
    CREDIT_BYTES_START,
    CSID_MAX,
    MESSAGE_BYTES_MAX,
    PARTIAL_BYTES_MAX,
    PARTIAL_MESSAGES_MAX,
)
from openkls.codec.rtmp.message import ABORT, AUDIO, DATA, SET_CHUNK_SIZE, VIDEO, build_number
from support_codec import feedings
from support_rtmp import TerseWriter, basic_header, chunks, header, wire

CSIDS = [2, 3, 63, 64, 65, 319, 320, 1000, CSID_MAX]
TIMESTAMPS = [0, 1, 0xFFFFFE, 0xFFFFFF, 0x1000000, 0x7FFFFFFF, 0xFFFFFFFF]


def read(data: bytes, reader: ChunkReader | None = None) -> list[Message]:
    return (reader or ChunkReader()).feed(data)


def read_in_any_split(data: bytes, rng: Random) -> list[Message]:
    """Return the messages after checking that each way of feeding gives the same."""
    expected = read(data)
    for pieces in feedings(data, rng):
        reader = ChunkReader()
        assert [message for piece in pieces for message in reader.feed(piece)] == expected
    return expected


def set_chunk_size(size: int) -> bytes:
    return wire(SET_CHUNK_SIZE, build_number(size), csid=2)


# reading


@pytest.mark.parametrize("csid", CSIDS)
@pytest.mark.parametrize("timestamp", TIMESTAMPS)
def test_message_is_read_whole(csid: int, timestamp: int, rng: Random) -> None:
    message = Message(VIDEO, timestamp, 1, rng.randbytes(300))
    assert read_in_any_split(b"".join(chunks(message, csid)), rng) == [message]


def test_one_chunk_stream_may_be_written_in_two_and_in_three_bytes() -> None:
    in_three = basic_header(0, 64, long=True) + header(0, 2, 0, 0, AUDIO)[1:]
    in_two = basic_header(2, 64) + b"\x00\x00\x05"
    assert read(in_three + in_two) == [Message(AUDIO, 0, 0, b""), Message(AUDIO, 5, 0, b"")]


def test_message_stream_id_is_little_endian() -> None:
    assert read(header(0, 3, 0, 0, AUDIO, 0x01020304))[0].stream_id == 0x01020304
    assert header(0, 3, 0, 0, AUDIO, 0x01020304)[-4:] == b"\x04\x03\x02\x01"


def test_shorter_headers_take_the_rest_from_the_last_one(rng: Random) -> None:
    data = b"".join(
        (
            header(0, 4, 1000, 2, AUDIO, 7) + b"ab",
            header(1, 4, 20, 3, VIDEO) + b"cde",
            header(2, 4, 30) + b"fgh",
            header(3, 4) + b"ijk",
        )
    )
    assert read_in_any_split(data, rng) == [
        Message(AUDIO, 1000, 7, b"ab"),
        Message(VIDEO, 1020, 7, b"cde"),
        Message(VIDEO, 1050, 7, b"fgh"),
        Message(VIDEO, 1080, 7, b"ijk"),
    ]


def test_type_3_after_type_0_adds_the_timestamp_again() -> None:
    data = header(0, 4, 40, 1, AUDIO, 1) + b"a" + header(3, 4) + b"b"
    assert [message.timestamp for message in read(data)] == [40, 80]


def test_chunk_streams_interleave(rng: Random) -> None:
    video = chunks(Message(VIDEO, 10, 1, rng.randbytes(400)), csid=6)
    audio = chunks(Message(AUDIO, 11, 1, rng.randbytes(200)), csid=4)
    data = video[0] + audio[0] + video[1] + video[2] + audio[1] + video[3]
    assert [message.type_id for message in read_in_any_split(data, rng)] == [AUDIO, VIDEO]


def test_incomplete_chunk_behind_a_message_stays_unread(rng: Random) -> None:
    first, second = wire(AUDIO, b"one"), wire(AUDIO, b"two")
    for end in range(len(second)):
        reader = ChunkReader()
        assert len(reader.feed(first + second[:end])) == 1
        assert len(reader.feed(second[end:])) == 1


def test_fresh_chunk_stream_may_begin_with_type_1_as_librtmp_pings_do() -> None:
    ping = bytes.fromhex("42 000000 000006 04 0006 00000d0f")
    assert read(ping) == [Message(4, 0, 0, bytes.fromhex("0006 00000d0f"))]


def test_abort_drops_the_part_that_came(rng: Random) -> None:
    first, second = chunks(Message(VIDEO, 0, 1, rng.randbytes(200)), csid=6)[:2]
    abort = wire(ABORT, build_number(6), csid=2)
    message = Message(VIDEO, 5, 1, b"next")
    reader = ChunkReader()
    assert reader.feed(first + abort + b"".join(chunks(message, csid=6))) == [message]
    assert reader.feed(second[:1]) == []


def test_abort_of_nothing_is_ignored() -> None:
    data = wire(AUDIO, b"a", csid=4) + wire(ABORT, build_number(4), csid=2) + wire(ABORT, build_number(77), csid=2)
    assert len(read(data)) == 1


def test_type_0_is_passed_on_as_any_other() -> None:
    assert read(wire(0, b"?")) == [Message(0, 0, 0, b"?")]


# security.md, class 1


@pytest.mark.parametrize("size", [0, 1, CHUNK_SIZE_MIN - 1, 0x80000000, 0xFFFFFFFF])
def test_class_01_chunk_size_below_the_floor_or_negative_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(set_chunk_size(size))
    assert caught.value.limit == "CHUNK_SIZE_MIN"


def test_class_01_chunk_size_at_the_floor_is_taken() -> None:
    reader = ChunkReader()
    reader.feed(set_chunk_size(CHUNK_SIZE_MIN))
    assert reader.chunk_size == CHUNK_SIZE_MIN


@pytest.mark.parametrize("size", [CHUNK_SIZE_MAX, CHUNK_SIZE_MAX + 1, 0x7FFFFFFF])
def test_class_01_huge_chunk_size_is_clamped_and_allocates_nothing(size: int, rng: Random) -> None:
    reader = ChunkReader()
    tracemalloc.start()
    reader.feed(set_chunk_size(size) + header(0, 6, 0, MESSAGE_BYTES_MAX, VIDEO, 1) + bytes(1000))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reader.chunk_size == CHUNK_SIZE_MAX
    assert peak_bytes < 100_000


# class 2


@pytest.mark.parametrize(("before", "after"), [(128, 200), (200, 128), (128, 0x7FFFFFFF)])
def test_class_02_chunk_size_changed_between_the_chunks_of_a_message(before: int, after: int, rng: Random) -> None:
    payload = rng.randbytes(1000)
    data = set_chunk_size(before) + header(0, 6, 0, 1000, VIDEO, 1) + payload[:before] + set_chunk_size(after)
    for at in range(before, 1000, after):
        data += header(3, 6) + payload[at : at + after]
    assert read_in_any_split(data, rng) == [Message(VIDEO, 0, 1, payload)]


@pytest.mark.parametrize("chunk_type", [0, 1, 2])
def test_class_02_new_header_within_a_message_is_refused(chunk_type: int) -> None:
    data = header(0, 6, 0, 200, VIDEO, 1) + bytes(128) + header(chunk_type, 6, 0, 100, VIDEO, 1)
    with pytest.raises(ProtocolError, match="within a message"):
        read(data)


# class 3


def test_class_03_chunks_without_bytes_are_refused_when_the_credit_is_spent() -> None:
    reader = ChunkReader()
    head = header(0, 4, 0, 0, AUDIO, 1)
    credit_bytes = CREDIT_BYTES_START + len(head) - CHUNK_COST_BYTES
    empty_chunks = credit_bytes // (CHUNK_COST_BYTES - 1)  # each brings one byte and costs eight
    assert len(reader.feed(head + header(3, 4) * empty_chunks)) == 1 + empty_chunks
    with pytest.raises(ProtocolError) as caught:
        reader.feed(header(3, 4))
    assert caught.value.limit == "CHUNK_COST_BYTES"


def test_class_03_credit_is_spent_within_one_feed_too() -> None:
    with pytest.raises(ProtocolError) as caught:
        read(header(0, 4, 0, 0, AUDIO, 1) + header(3, 4) * 100_000)
    assert caught.value.limit == "CHUNK_COST_BYTES"


def test_class_03_credit_saved_is_bounded() -> None:
    reader = ChunkReader()
    for _ in range(3):
        reader.feed(set_chunk_size(CHUNK_SIZE_MAX) + wire(VIDEO, bytes(CREDIT_BYTES_MAX), chunk_size=CHUNK_SIZE_MAX))
    reader.feed(header(0, 4, 0, 0, AUDIO, 1))
    burst = CREDIT_BYTES_MAX // (CHUNK_COST_BYTES - 1)
    assert len(reader.feed(header(3, 4) * burst)) == burst
    with pytest.raises(ProtocolError):
        reader.feed(header(3, 4) * 10)


def test_class_03_shortest_real_chunks_cost_nothing() -> None:
    reader = ChunkReader()
    reader.feed(header(0, 4, 0, CHUNK_COST_BYTES - 1, AUDIO, 1) + bytes(CHUNK_COST_BYTES - 1))
    for _ in range(100):
        assert len(reader.feed((header(3, 4) + bytes(CHUNK_COST_BYTES - 1)) * 100)) == 100


# class 4


def test_class_04_message_at_the_limit_is_read_and_above_refused_at_its_header() -> None:
    reader = ChunkReader()
    reader.feed(set_chunk_size(CHUNK_SIZE_MAX))
    (message,) = reader.feed(wire(VIDEO, bytes(MESSAGE_BYTES_MAX), chunk_size=CHUNK_SIZE_MAX))
    assert len(message.payload) == MESSAGE_BYTES_MAX
    with pytest.raises(ProtocolError) as caught:
        reader.feed(header(0, 6, 0, MESSAGE_BYTES_MAX + 1, VIDEO, 1))
    assert caught.value.limit == "MESSAGE_BYTES_MAX"


def test_class_04_declared_length_allocates_nothing() -> None:
    reader = ChunkReader()
    tracemalloc.start()
    for csid in range(3, 3 + PARTIAL_MESSAGES_MAX):
        reader.feed(header(0, csid, 0, MESSAGE_BYTES_MAX, VIDEO, 1) + bytes(128))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 200_000


def test_class_04_many_incomplete_bodies_are_bounded_together() -> None:
    half = PARTIAL_BYTES_MAX // 2
    reader = ChunkReader()
    reader.feed(set_chunk_size(half))
    assert half < MESSAGE_BYTES_MAX
    for csid in (3, 4):
        assert reader.feed(header(0, csid, 0, half + 1, VIDEO, 1) + bytes(half)) == []
    with pytest.raises(ProtocolError) as caught:
        reader.feed(header(3, 3))
    assert caught.value.limit == "PARTIAL_BYTES_MAX"


def test_class_04_completed_and_aborted_bodies_give_their_room_back() -> None:
    limits = ChunkLimits(partial_bytes=300, partial_messages=1)
    reader = ChunkReader(limits)
    for _ in range(5):
        assert len(reader.feed(wire(VIDEO, bytes(300), csid=6))) == 1
        reader.feed(chunks(Message(VIDEO, 0, 1, bytes(300)), csid=6)[0])
        reader.feed(wire(ABORT, build_number(6), csid=2))
    with pytest.raises(ProtocolError):
        reader.feed(wire(VIDEO, bytes(301), csid=6))


# class 5


def test_class_05_partial_messages_at_the_limit_and_above() -> None:
    reader = ChunkReader()
    for csid in range(3, 3 + PARTIAL_MESSAGES_MAX):
        reader.feed(header(0, csid, 0, 129, VIDEO, 1) + bytes(128))
    assert reader.feed(wire(AUDIO, b"whole", csid=3 + PARTIAL_MESSAGES_MAX)) != []
    with pytest.raises(ProtocolError) as caught:
        reader.feed(header(0, 4 + PARTIAL_MESSAGES_MAX, 0, 129, VIDEO, 1) + bytes(128))
    assert caught.value.limit == "PARTIAL_MESSAGES_MAX"


def test_class_05_chunk_streams_at_the_limit_and_above() -> None:
    reader = ChunkReader()
    for csid in range(2, 2 + CHUNK_STREAMS_MAX):
        reader.feed(wire(AUDIO, b"", csid=csid))
    assert len(reader.feed(wire(AUDIO, b"", csid=2))) == 1
    with pytest.raises(ProtocolError) as caught:
        reader.feed(wire(AUDIO, b"", csid=2 + CHUNK_STREAMS_MAX))
    assert caught.value.limit == "CHUNK_STREAMS_MAX"


# class 6, the two types this layer obeys


@pytest.mark.parametrize("type_id", [SET_CHUNK_SIZE, ABORT])
@pytest.mark.parametrize("length", range(4))
def test_class_06_short_chunk_size_or_abort_is_refused(type_id: int, length: int) -> None:
    with pytest.raises(ProtocolError, match="at least 4"):
        read(wire(type_id, bytes(length), csid=2))


# class 9


@pytest.mark.parametrize("chunk_type", [2, 3])
@pytest.mark.parametrize("csid", CSIDS)
def test_class_09_first_chunk_without_a_full_header_is_refused(chunk_type: int, csid: int) -> None:
    with pytest.raises(ProtocolError, match=f"chunk stream {csid} begins with a type {chunk_type}"):
        read(header(chunk_type, csid))


@pytest.mark.parametrize("chunk_type", [1, 2])
def test_class_09_timestamp_wraps_at_2_to_the_32(chunk_type: int) -> None:
    data = header(0, 4, 0xFFFFFFF0, 1, AUDIO, 1) + b"a" + header(chunk_type, 4, 0x20, 1, AUDIO) + b"b"
    assert [message.timestamp for message in read(data + header(3, 4) + b"c")] == [0xFFFFFFF0, 0x10, 0x30]


@pytest.mark.parametrize("timestamp", [0xFFFFFF, 0x1000000, 0xFFFFFFFF])
@pytest.mark.parametrize("repeat_extended", [True, False])
def test_class_09_both_dialects_of_extended_timestamps(timestamp: int, repeat_extended: bool, rng: Random) -> None:
    message = Message(VIDEO, timestamp, 1, b"\x01" * 130)
    data = b"".join(chunks(message, csid=6, repeat_extended=repeat_extended))
    assert read_in_any_split(data, rng) == [message]


@pytest.mark.parametrize("repeat_extended", [True, False])
def test_class_09_extended_delta_is_added_again_by_type_3(repeat_extended: bool, rng: Random) -> None:
    repeated = (0x2000000).to_bytes(4, "big") if repeat_extended else b""
    data = b"".join(
        (
            header(0, 4, 5, 6, AUDIO, 1) + b"first.",
            header(2, 4, 0x2000000) + b"second",
            header(3, 4) + repeated + b"third.",
        )
    )
    assert [message.timestamp for message in read_in_any_split(data, rng)] == [5, 0x2000005, 0x4000005]


def test_class_09_payload_shorter_than_a_repeated_timestamp_is_not_waited_for() -> None:
    message = Message(VIDEO, 0x1000000, 1, b"\x55" * 129)
    assert read(b"".join(chunks(message, csid=6, repeat_extended=False))) == [message]


# writing


@pytest.mark.parametrize("csid", CSIDS)
@pytest.mark.parametrize("timestamp", TIMESTAMPS)
@pytest.mark.parametrize("length", [0, 1, 127, 128, 129, 256, 70_000])
def test_built_message_is_what_the_specification_says(csid: int, timestamp: int, length: int, rng: Random) -> None:
    message = Message(VIDEO, timestamp, 1, rng.randbytes(length))
    assert build_message(*message, csid, 128) == b"".join(chunks(message, csid))


def test_built_timestamp_is_taken_modulo_2_to_the_32() -> None:
    assert build_message(AUDIO, 2**32 + 7, 1, b"a", 4, 128) == build_message(AUDIO, 7, 1, b"a", 4, 128)


def test_built_message_of_a_byte_vector() -> None:
    built = build_message(DATA, 1, 1, b"abc", 5, 2)
    assert built == bytes.fromhex("05 000001 000003 12 01000000") + b"ab" + b"\xc5" + b"c"


# properties

MESSAGES = st.lists(
    st.tuples(
        st.integers(2, 40) | st.sampled_from([64, 319, 320, CSID_MAX]),
        st.builds(
            Message,
            st.sampled_from([AUDIO, VIDEO, DATA, 20]),
            st.integers(0, 0xFFFFFFFF) | st.sampled_from(TIMESTAMPS),
            st.integers(0, 0xFFFFFFFF),
            st.binary(max_size=600),
        ),
    ),
    max_size=12,
)


@given(MESSAGES, st.integers(CHUNK_SIZE_MIN, 1000), st.randoms(use_true_random=False))
def test_built_messages_are_read_back_however_split(
    numbered: list[tuple[int, Message]], chunk_size: int, rng: Random
) -> None:
    data = set_chunk_size(chunk_size)
    data += b"".join(build_message(*message, csid, chunk_size) for csid, message in numbered)
    assert read_in_any_split(data, rng) == [message for _, message in numbered]


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.booleans())
def test_terse_and_interleaved_streams_of_any_dialect_are_read_back(
    seed: int, count: int, repeat_extended: bool
) -> None:
    rng = Random(seed)
    writer = TerseWriter(rng, 128, repeat_extended)
    timestamps = dict.fromkeys((4, 6, 70), 0)
    queues: dict[int, list[bytes]] = {csid: [] for csid in timestamps}
    written: dict[int, list[Message]] = {csid: [] for csid in timestamps}
    for _ in range(count):
        csid = rng.choice(list(queues))
        step = rng.choice([0, 23, 40, 40, 0xFFFFFE, 0xFFFFFF, 0x1000000, 0xFFFFFFFF])
        timestamps[csid] = (timestamps[csid] + step) % 2**32
        message = Message(rng.choice([AUDIO, VIDEO]), timestamps[csid], 1, rng.randbytes(rng.choice([20, 20, 300])))
        written[csid].append(message)
        queues[csid] += writer.write(message, csid)
    data = b""
    while any(queues.values()):
        data += rng.choice([queue for queue in queues.values() if queue]).pop(0)
    found = read_in_any_split(data, rng)
    assert sorted(found) == sorted(message for messages in written.values() for message in messages)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_give_messages_or_a_protocol_error(data: bytes) -> None:
    try:
        messages = read(data)
    except ProtocolError:
        return
    assert sum(len(message.payload) for message in messages) <= len(data)
