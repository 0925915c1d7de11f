"""AMF0: vectors of the specification, limits, and properties."""

import math
import struct
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import ProtocolError, amf0
from openkls.codec.amf0 import DEPTH_MAX, UNDEFINED, VALUES_MAX, AmfDate, EcmaArray
from support_codec import with_trailing

VECTORS = [
    ("number", "00 40 00 00 00 00 00 00 00", 2.0),
    ("number, negative", "00 BF F8 00 00 00 00 00 00", -1.5),
    ("boolean true", "01 01", True),
    ("boolean false", "01 00", False),
    ("string", "02 00 04 6C 69 76 65", "live"),
    ("string, empty", "02 00 00", ""),
    ("string of two-byte letters", "02 00 06 E7 9B B4 E6 92 AD", "直播"),
    ("object", "03 00 03 61 70 70 02 00 01 78 00 00 09", {"app": "x"}),
    ("object with an empty key", "03 00 00 05 00 00 09", {"": None}),
    ("null", "05", None),
    ("undefined", "06", UNDEFINED),
    ("ECMA array", "08 00 00 00 01 00 01 61 05 00 00 09", {"a": None}),
    ("ECMA array that declares none", "08 00 00 00 00 00 01 61 05 00 00 09", {"a": None}),
    ("ECMA array that declares 2^32-1", "08 FF FF FF FF 00 01 61 05 00 00 09", {"a": None}),
    ("strict array", "0A 00 00 00 02 05 01 01", [None, True]),
    ("date", "0B 42 76 D1 41 54 00 00 00 FF C4", AmfDate(1568000000000.0, -60)),
    ("long string", "0C 00 00 00 02 68 69", "hi"),
    ("unsupported", "0D", UNDEFINED),
    ("XML document", "0F 00 00 00 04 3C 61 2F 3E", "<a/>"),
    ("typed object", "10 00 01 43 00 01 61 05 00 00 09", {"a": None}),
]
# What decodes into a plainer type, which encodes differently.
ONE_WAY = ("ECMA", "unsupported", "XML", "typed", "long string")
BOTH_WAYS = [vector for vector in VECTORS if not vector[0].startswith(ONE_WAY)]


@pytest.mark.parametrize(("name", "hexed", "value"), VECTORS, ids=[v[0] for v in VECTORS])
def test_vector_decodes_with_any_trailing_bytes(name: str, hexed: str, value: object, rng: Random) -> None:
    data = bytes.fromhex(hexed)
    for extended, _ in with_trailing(data, rng):
        assert amf0.decode(extended) == (value, len(data))
        assert amf0.decode(b"\xee" + extended, 1) == (value, len(data) + 1)


@pytest.mark.parametrize(("name", "hexed", "value"), VECTORS, ids=[v[0] for v in VECTORS])
def test_vector_cut_anywhere_is_a_protocol_error(name: str, hexed: str, value: object) -> None:
    data = bytes.fromhex(hexed)
    for end in range(len(data)):
        with pytest.raises(ProtocolError):
            amf0.decode(data[:end])


@pytest.mark.parametrize(("name", "hexed", "value"), BOTH_WAYS, ids=[v[0] for v in BOTH_WAYS])
def test_vector_encodes(name: str, hexed: str, value: object) -> None:
    assert amf0.encode(value) == bytes.fromhex(hexed)


def test_ecma_array_encodes_with_its_count() -> None:
    assert amf0.encode(EcmaArray(a=None)) == bytes.fromhex("08 00 00 00 01 00 01 61 05 00 00 09")


def test_integer_encodes_as_number_and_tuple_as_strict_array() -> None:
    assert amf0.encode(2, (2,)) == amf0.encode(2.0, [2.0])


def test_decode_all_returns_every_value() -> None:
    assert amf0.decode_all(amf0.encode("connect", 1, None)) == ["connect", 1.0, None]
    assert amf0.decode_all(b"") == []


def test_boolean_of_any_other_byte_is_true() -> None:
    assert amf0.decode(b"\x01\x7f") == (True, 2)


def test_invalid_utf8_is_replaced() -> None:
    assert amf0.decode(b"\x02\x00\x02a\xff")[0] == "a\N{REPLACEMENT CHARACTER}"


def test_lone_surrogate_encodes_as_question_mark() -> None:
    assert amf0.decode(amf0.encode("a\ud800", {"\udfff": 1})) == ("a?", 5)


def test_string_longer_than_65535_bytes_becomes_a_long_string() -> None:
    assert amf0.encode("x" * 65_535)[0] == amf0.STRING
    assert amf0.encode("x" * 65_536)[0] == amf0.LONG_STRING
    assert amf0.decode(amf0.encode("x" * 65_536))[0] == "x" * 65_536


def test_key_may_have_65535_bytes_and_no_more() -> None:
    assert amf0.decode(amf0.encode({"k" * 65_535: 1}))[0] == {"k" * 65_535: 1.0}
    with pytest.raises(ValueError, match="65536"):
        amf0.encode({"k" * 65_536: 1})


def test_foreign_type_does_not_encode() -> None:
    with pytest.raises(TypeError, match="bytes"):
        amf0.encode(b"raw")


@pytest.mark.parametrize("marker", [0x04, 0x07, 0x09, 0x0E, 0x11, 0x12, 0xFF])
def test_marker_that_is_not_a_value_is_a_protocol_error(marker: int) -> None:
    with pytest.raises(ProtocolError, match=f"0x{marker:02x}"):
        amf0.decode(bytes([marker, 0, 0, 0, 0, 0, 0, 0, 0]))


# security.md, class 7


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    return opening * depth + b"\x05" + closing * depth


CONTAINERS = [
    pytest.param(b"\x03\x00\x01a", b"\x00\x00\x09", id="object"),
    pytest.param(b"\x08\xff\xff\xff\xff\x00\x01a", b"\x00\x00\x09", id="ECMA array"),
    pytest.param(b"\x10\x00\x00\x00\x01a", b"\x00\x00\x09", id="typed object"),
    pytest.param(b"\x0a\x00\x00\x00\x01", b"", id="strict array"),
]


@pytest.mark.parametrize(("opening", "closing"), CONTAINERS)
def test_class_07_amf_depth_at_the_limit_and_above(opening: bytes, closing: bytes) -> None:
    amf0.decode(nested(DEPTH_MAX, opening, closing))
    with pytest.raises(ProtocolError) as caught:
        amf0.decode(nested(DEPTH_MAX + 1, opening, closing))
    assert caught.value.limit == "DEPTH_MAX"
    with pytest.raises(ProtocolError):
        amf0.decode(nested(100_000, opening, closing))


def test_class_07_amf_values_at_the_limit_and_above() -> None:
    assert len(amf0.decode_all(b"\x05" * VALUES_MAX)) == VALUES_MAX
    with pytest.raises(ProtocolError) as caught:
        amf0.decode_all(b"\x05" * (VALUES_MAX + 1))
    assert caught.value.limit == "VALUES_MAX"


def test_class_07_amf_values_within_containers_count() -> None:
    array = b"\x0a\xff\xff\xff\xff" + b"\x05" * VALUES_MAX
    with pytest.raises(ProtocolError) as caught:
        amf0.decode(array)
    assert caught.value.limit == "VALUES_MAX"


@pytest.mark.parametrize("marker", [b"\x0a", b"\x0c", b"\x0f", b"\x08"])
def test_class_07_amf_count_or_length_of_4_gib_is_not_believed(marker: bytes) -> None:
    with pytest.raises(ProtocolError):
        amf0.decode(marker + b"\xff\xff\xff\xff" + b"\x05" * 100)


# properties

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.just(UNDEFINED)
    | st.builds(AmfDate, st.floats(allow_nan=False), st.integers(-720, 720)),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=5)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=5).map(
            EcmaArray
        )
    ),
    max_leaves=20,
)


@given(st.lists(VALUES, max_size=5))
def test_values_survive_the_round_trip(values: list[object]) -> None:
    assert amf0.decode_all(amf0.encode(*values)) == values


def test_not_a_number_survives_the_round_trip() -> None:
    assert math.isnan(amf0.decode(amf0.encode(math.nan))[0])


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_values_or_a_protocol_error(data: bytes) -> None:
    try:
        values = amf0.decode_all(data)
    except ProtocolError:
        return
    again = amf0.encode(*values)
    assert amf0.encode(*amf0.decode_all(again)) == again


@given(st.lists(VALUES, min_size=1, max_size=3), st.data())
def test_one_changed_byte_gives_values_or_a_protocol_error(values: list[object], data: st.DataObject) -> None:
    damaged = bytearray(amf0.encode(*values))
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] = data.draw(st.integers(0, 255))
    with suppress(ProtocolError):
        amf0.decode_all(bytes(damaged))


def test_date_is_milliseconds_then_signed_minutes() -> None:
    data = b"\x0b" + struct.pack(">dh", 1.0, -480)
    assert amf0.decode(data)[0] == AmfDate(1.0, -480)
