"""codec.bits: bit fields, Exp-Golomb numbers, emulation prevention."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.codec import ProtocolError, bits
from openkls.codec.bits import BitReader, unescape


def golomb(number: int) -> str:
    """The ue(v) code of a number, as zeros and ones."""
    code = format(number + 1, "b")
    return "0" * (len(code) - 1) + code


def packed(text: str) -> bytes:
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big") if text else b""


def test_fields_follow_each_other():
    reader = BitReader(b"\x00\xa5\xff")
    assert (reader.pull(8), reader.pull(4), reader.flag(), reader.flag()) == (0, 10, False, True)
    reader.skip(2)
    assert (reader.remaining, reader.pull(8), reader.remaining) == (8, 255, 0)


def test_reading_past_the_end_is_a_protocol_error():
    for data in (b"", b"\x80"):
        reader = BitReader(data)
        reader.skip(len(data) * 8)
        for read in (reader.flag, reader.se, lambda r=reader: r.pull(1), lambda r=reader: r.skip(1)):
            with pytest.raises(ProtocolError):
                read()


def test_data_at_the_size_limit_is_read_and_one_byte_more_refused():
    assert BitReader(bytes(bits.MAX_BITS_BYTES)).remaining == bits.MAX_BITS_BYTES * 8
    with pytest.raises(ProtocolError) as caught:
        BitReader(bytes(bits.MAX_BITS_BYTES + 1))
    assert caught.value.limit == "MAX_BITS_BYTES"


@given(st.lists(st.integers(0, 2**32 - 2)))
def test_unsigned_numbers_are_read_back(numbers):
    reader = BitReader(packed("".join(golomb(number) for number in numbers)))
    assert [reader.ue(2**32) for _ in numbers] == numbers


@pytest.mark.parametrize(("number", "expected"), [(0, 0), (1, 1), (2, -1), (3, 2), (4, -2), (2**32 - 2, 1 - 2**31)])
def test_signed_numbers_alternate(number, expected):
    assert BitReader(packed(golomb(number))).se() == expected


def test_number_at_its_limit_is_read_and_one_more_refused():
    assert BitReader(packed(golomb(31))).ue(31) == 31
    with pytest.raises(ProtocolError, match="at most 31"):
        BitReader(packed(golomb(32))).ue(31)


def test_leading_zeros_at_the_limit_are_read_and_one_more_refused():
    assert BitReader(packed(golomb(2**32 - 2))).ue(2**32) == 2**32 - 2
    with pytest.raises(ProtocolError, match="no Exp-Golomb"):
        BitReader(packed(golomb(2**32 - 1))).ue(2**33)


@pytest.mark.parametrize(
    ("escaped", "plain"),
    [
        ("000003", "0000"),
        ("00000301", "000001"),
        ("000003000003", "00000000"),
        ("0003", "0003"),
        ("00000203", "00000203"),
    ],
)
def test_emulation_prevention_is_taken_out(escaped, plain):
    assert unescape(bytes.fromhex(escaped)) == bytes.fromhex(plain)
