"""AMF0 values: bytes to Python and back.

Rule: no count a peer declares is believed; memory and work are bounded by the bytes that are there, by
DEPTH_MAX and by VALUES_MAX.

Mapping (AMF 0 specification, December 2007, section 2):
number float, boolean bool, string and long string and XML document str, object and typed object and ECMA
array dict (the class name and the declared count are dropped), strict array list, date AmfDate, null None,
undefined and unsupported UNDEFINED. References, movie clips, record sets and the switch to AMF3 are refused.
Encoding knows int (as a number) and EcmaArray besides.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

from openkls.codec.errors import ProtocolError

DEPTH_MAX = 64
"""Containers within containers; the cap ZLMediaKit chose after its issue 4787, far above any real metadata."""

VALUES_MAX = 65_536
"""Values in one message. A two-hour recording's key frame index has some 10,000; decoding this many takes
tens of milliseconds, which is the most one message may cost the event loop."""

AmfValue: TypeAlias = Any
"""float | bool | str | dict[str, AmfValue] | list[AmfValue] | AmfDate | None | Undefined."""

NUMBER = 0x00
BOOLEAN = 0x01
STRING = 0x02
OBJECT = 0x03
NULL = 0x05
UNDEFINED_MARKER = 0x06
ECMA_ARRAY = 0x08
OBJECT_END = 0x09
STRICT_ARRAY = 0x0A
DATE = 0x0B
LONG_STRING = 0x0C
UNSUPPORTED = 0x0D
XML_DOCUMENT = 0x0F
TYPED_OBJECT = 0x10

_SHORT_STRING_BYTES_MAX = 0xFFFF

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_DOUBLE = struct.Struct(">d")
_MARKED_DOUBLE = struct.Struct(">Bd")
_MARKED_COUNT = struct.Struct(">BI")
_MARKED_DATE = struct.Struct(">Bdh")
_DATE = struct.Struct(">dh")
_END = b"\x00\x00\x09"


class Undefined(Enum):
    """The type of the one value UNDEFINED, which is not None: AMF0 tells null and undefined apart."""

    UNDEFINED = "undefined"


UNDEFINED: Final = Undefined.UNDEFINED


class EcmaArray(dict[str, AmfValue]):
    """A dict that is encoded as an ECMA array, which is what players expect of onMetaData."""


@dataclass(frozen=True, slots=True)
class AmfDate:
    """Milliseconds since 1970-01-01 UTC; the time zone in minutes is reserved and mostly 0 (section 2.13)."""

    milliseconds: float
    timezone_minutes: int = 0


def decode(data: bytes, offset: int = 0) -> tuple[AmfValue, int]:
    """Return the value at `offset` and the offset behind it. Raises ProtocolError."""
    reader = _Reader(data, offset)
    value = reader.pull_value(0)
    return value, reader.offset


def decode_all(data: bytes) -> list[AmfValue]:
    """Return all values of `data`, which must end with the last one. Raises ProtocolError."""
    reader = _Reader(data, 0)
    values = []
    while reader.offset < len(data):
        values.append(reader.pull_value(0))
    return values


def encode(*values: AmfValue) -> bytes:
    """Return the values one after another. Raises TypeError for a type AMF0 has not.

    A lone surrogate in a text becomes `?`. A dict's key longer than 65,535 bytes raises ValueError.
    """
    out = bytearray()
    for value in values:
        _push_value(out, value)
    return bytes(out)


class _Reader:
    """A cursor over one message's bytes with the count of values left to it."""

    __slots__ = ("data", "offset", "values_left")

    def __init__(self, data: bytes, offset: int) -> None:
        self.data = data
        self.offset = offset
        self.values_left = VALUES_MAX

    def pull_value(self, depth: int) -> AmfValue:
        self.values_left -= 1
        if self.values_left < 0:
            raise ProtocolError(f"AMF0: more than {VALUES_MAX} values in one message", "VALUES_MAX")
        marker = self._take(1)[0]
        pull = _PULLS.get(marker)
        if pull is None:
            raise ProtocolError(f"AMF0: marker 0x{marker:02x} at {self.offset - 1} is not one we read")
        return pull(self, depth)

    def _take(self, count: int) -> bytes:
        end = self.offset + count
        taken = self.data[self.offset : end]
        if len(taken) < count:
            raise ProtocolError(f"AMF0: {count} bytes expected at {self.offset}, {len(taken)} left")
        self.offset = end
        return taken

    def _number(self, _depth: int) -> float:
        return float(_DOUBLE.unpack(self._take(8))[0])

    def _boolean(self, _depth: int) -> bool:
        return self._take(1) != b"\x00"

    def _string(self, _depth: int) -> str:
        return self._take(_U16.unpack(self._take(2))[0]).decode("utf-8", "replace")

    def _long_string(self, _depth: int) -> str:
        return self._take(_U32.unpack(self._take(4))[0]).decode("utf-8", "replace")

    def _null(self, _depth: int) -> None:
        return None

    def _undefined(self, _depth: int) -> Undefined:
        return UNDEFINED

    def _date(self, _depth: int) -> AmfDate:
        milliseconds, timezone_minutes = _DATE.unpack(self._take(10))
        return AmfDate(milliseconds, timezone_minutes)

    def _object(self, depth: int) -> dict[str, AmfValue]:
        _check_depth(depth)
        found: dict[str, AmfValue] = {}
        while True:
            key = self._string(depth)
            # An empty key followed by the end marker closes the object; an empty key is legal otherwise.
            if not key and self.data[self.offset : self.offset + 1] == b"\x09":
                self.offset += 1
                return found
            found[key] = self.pull_value(depth + 1)

    def _ecma_array(self, depth: int) -> dict[str, AmfValue]:
        self._take(4)  # the count is a hint (section 2.10); encoders write 0, the true count, or nonsense
        return self._object(depth)

    def _typed_object(self, depth: int) -> dict[str, AmfValue]:
        self._string(depth)  # the class name
        return self._object(depth)

    def _strict_array(self, depth: int) -> list[AmfValue]:
        _check_depth(depth)
        count = _U32.unpack(self._take(4))[0]
        found: list[AmfValue] = []
        for _ in range(count):  # a lying count runs out of bytes or of values, it allocates nothing
            found.append(self.pull_value(depth + 1))  # noqa: PERF401 (readable with the reason beside it)
        return found


_PULLS: dict[int, Callable[[_Reader, int], AmfValue]] = {
    NUMBER: _Reader._number,
    BOOLEAN: _Reader._boolean,
    STRING: _Reader._string,
    OBJECT: _Reader._object,
    NULL: _Reader._null,
    UNDEFINED_MARKER: _Reader._undefined,
    ECMA_ARRAY: _Reader._ecma_array,
    STRICT_ARRAY: _Reader._strict_array,
    DATE: _Reader._date,
    LONG_STRING: _Reader._long_string,
    UNSUPPORTED: _Reader._undefined,
    XML_DOCUMENT: _Reader._long_string,
    TYPED_OBJECT: _Reader._typed_object,
}


def _check_depth(depth: int) -> None:
    if depth >= DEPTH_MAX:
        raise ProtocolError(f"AMF0: containers nested deeper than {DEPTH_MAX}", "DEPTH_MAX")


def _push_value(out: bytearray, value: AmfValue) -> None:
    if isinstance(value, bool):  # before the numbers: bool is an int
        out += b"\x01\x01" if value else b"\x01\x00"
    elif isinstance(value, (int, float)):
        out += _MARKED_DOUBLE.pack(NUMBER, value)
    elif isinstance(value, str):
        text = value.encode("utf-8", "replace")
        if len(text) <= _SHORT_STRING_BYTES_MAX:
            out.append(STRING)
            out += _U16.pack(len(text))
        else:
            out += _MARKED_COUNT.pack(LONG_STRING, len(text))
        out += text
    elif isinstance(value, dict):
        if isinstance(value, EcmaArray):
            out += _MARKED_COUNT.pack(ECMA_ARRAY, len(value))
        else:
            out.append(OBJECT)
        _push_properties(out, value)
    elif isinstance(value, (list, tuple)):
        out += _MARKED_COUNT.pack(STRICT_ARRAY, len(value))
        for item in value:
            _push_value(out, item)
    elif isinstance(value, AmfDate):
        out += _MARKED_DATE.pack(DATE, value.milliseconds, value.timezone_minutes)
    elif value is None:
        out.append(NULL)
    elif value is UNDEFINED:
        out.append(UNDEFINED_MARKER)
    else:
        raise TypeError(f"AMF0 has no type for {type(value).__name__}")


def _push_properties(out: bytearray, properties: dict[str, AmfValue]) -> None:
    for key, value in properties.items():
        name = key.encode("utf-8", "replace")
        if len(name) > _SHORT_STRING_BYTES_MAX:
            raise ValueError(f"AMF0: a key of {len(name)} bytes; at most {_SHORT_STRING_BYTES_MAX}")
        out += _U16.pack(len(name))
        out += name
        _push_value(out, value)
    out += _END
