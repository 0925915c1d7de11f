"""Reads a request's parameters by the service model, and judges names and answers by it.

Rule: every bound, default and code comes from the model; nothing here knows an action or a parameter by name, but for
the envelope's own `Data`, `RetCode` and `RequestId`.

`coerce` never raises for what a caller sent: it returns the values or a `Rejection`. Each operation is compiled at its
first use into one reader per member, since this runs for every request. A reader takes a raw value that is neither
None nor "" and returns the value to use, None where the member counts it as not given, or a `Rejection`.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from openkls.model.shapes import PARAMETERS_OTHER_ERROR, Member, Operation, Shape, load, operations

LACK_OF_PARAMETERS = 1000
"""RetCode of a mandatory parameter that is absent."""

INTEGER_BITS = 64
"""Integers beyond 64 bits signed are out of bounds everywhere: no store column and no client's type holds them."""

ANSWER_INTEGER_BITS = 32
"""The document's Int is 32 bits in the typed SDKs, which throw beyond it; a shape with a maximum of its own is
bound by that instead, a Long by 64 bits."""

MAX_INTEGER_CHARACTERS = 20
"""Characters of the longest text read as an integer: the 19 digits of the largest one and a sign. Longer digits
are an integer out of bounds, and are never handed to int(), whose cost grows with the square of the length."""

MAX_QUOTED_CHARACTERS = 64
"""Length to which a Rejection's text cuts what the caller sent."""

_INTEGER = re.compile("-?[0-9]+")

Reader = Callable[[object], "str | int | Rejection | None"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A request that cannot be served as it is: the RetCode to answer, the parameter that caused it, and what was
    wrong with it in our words (for logs: at most a short, escaped piece of what was sent)."""

    ret_code: int
    parameter: str
    problem: str


def coerce(operation: str, raw: Mapping[str, object]) -> dict[str, str | int] | Rejection:
    """The parameters of `operation` (its name, not an alias) out of `raw`, as Python values, or why not.

    Values of `raw` are strings (a query or a form) or JSON values. Unknown names are ignored. Defaults and clamps are
    applied; an optional member that is absent and has no default is left out. Absent is: not there, None, "" (but for
    a member whose rule says `blank`) or one of the member's own values for it (a time of 0). A mandatory member that is
    absent is 1000, or 4999 when its name is there in another case; the first in documented order wins, before any fault
    of a value. An integer is an int (not a bool, not 5.0) or a string of decimal digits with an optional minus. Raises
    KeyError for an unknown operation. Contract, sections 1, 5 and 6.
    """
    values: dict[str, str | int] = {}
    fault: Rejection | None = None
    for name, required, default, blank, read in _steps(operation):
        given = raw.get(name)
        value = blank if given == "" else None if given is None else read(given)
        if value is None:
            if required:
                return _missing(name, raw)
            if default is not None:
                values[name] = default
        elif isinstance(value, Rejection):
            fault = fault or value
        else:
            values[name] = value
    return fault or values


def matches(shape: str, value: object) -> bool:
    """Whether `value` is a string that the string shape of this name allows (`App`, `Stream`, `Pubdomain`,
    `UniqueName`). Raises KeyError for an unknown shape, TypeError for one that has no pattern."""
    return isinstance(value, str) and _pattern(shape)(value) is not None


def conforms(operation: str, answer: object) -> list[str]:
    """What is wrong with `answer`, the whole body `{"Data": {...}, "RequestId": "..."}` of an HTTP 200; [] if nothing.

    Checked: exactly the documented members (for a success; for a failure RetCode, RetMsg and the zeroed members the
    action documents), their types and bounds, a RetCode that this action may give, and its exact text. Raises KeyError
    for an unknown operation.
    """
    asked = operations()[operation]
    code = _ret_code(answer)
    if code is None:
        return ["Data.RetCode: absent, or not an integer"]
    if code not in asked.ret_codes:
        return [f"Data.RetCode: {code} is not one that {operation} gives"]
    return list(_faults_of_answer(asked, code, answer))


@cache
def _steps(operation: str) -> tuple[tuple[str, bool, str | int | None, str | None, Reader], ...]:
    members = operations()[operation].input.members.values()
    return tuple(
        (member.name, member.required, member.rule.default, "" if member.rule.blank else None, _reader(member))
        for member in members
    )


@cache
def _pattern(shape: str) -> Callable[[str], re.Match[str] | None]:
    return _whole(load().shapes[shape].pattern)


def _whole(pattern: str | None) -> Callable[[str], re.Match[str] | None]:
    """A test of the whole text: `$` alone would let a final line break pass."""
    if pattern is None:
        raise TypeError("the shape has no pattern")
    return re.compile(pattern).fullmatch


def _reader(member: Member) -> Reader:
    if member.shape.type == "integer":
        return _integer_reader(member)
    return _choice_reader(member) if member.shape.enum else _text_reader(member)


def _text_reader(member: Member) -> Reader:
    name, rule = member.name, member.rule
    matched = _whole(member.shape.pattern)
    lowercase = rule.lowercase

    def read(given: object) -> str | Rejection:
        if not isinstance(given, str):
            return Rejection(rule.wrong_type, name, _expected("a string", given))
        if matched(given) is None:
            return Rejection(rule.malformed, name, _expected(f"a well-formed {name}", given))
        return given.lower() if lowercase else given

    return read


def _choice_reader(member: Member) -> Reader:
    name, rule = member.name, member.rule
    known = {value: value for value in member.shape.enum} | dict(rule.readings)
    wanted = "one of " + ", ".join(member.shape.enum)

    def read(given: object) -> str | Rejection:
        if not isinstance(given, str):
            return Rejection(rule.wrong_type, name, _expected("a string", given))
        value = known.get(given)
        return Rejection(rule.malformed, name, _expected(wanted, given)) if value is None else value

    return read


def _integer_reader(member: Member) -> Reader:
    name, rule = member.name, member.rule
    lowest, highest = _integer_bounds(member.shape, INTEGER_BITS)
    absent, default, default_below = rule.absent, rule.default, rule.default_below
    at_most = highest if rule.at_most is None else rule.at_most
    among = rule.among

    def read(given: object) -> str | int | Rejection | None:
        if isinstance(given, str):
            if _INTEGER.fullmatch(given) is None:
                return Rejection(rule.wrong_type, name, _expected("an integer", given))
            value = int(given) if len(given) <= MAX_INTEGER_CHARACTERS else 1 << INTEGER_BITS
        elif isinstance(given, int) and not isinstance(given, bool):
            value = given
        else:
            return Rejection(rule.wrong_type, name, _expected("an integer", given))
        if value in absent:
            return None
        if not lowest <= value <= highest:
            return Rejection(rule.malformed, name, f"expected an integer from {lowest} to {highest}")
        if among and value not in among:
            return Rejection(rule.malformed, name, f"expected one of {', '.join(map(str, among))}")
        if default_below is not None and value < default_below:
            return default
        return min(value, at_most)

    return read


def _integer_bounds(shape: Shape, bits: int) -> tuple[int, int]:
    """The least and the largest integer of the shape: its own bounds, else those of a signed word of `bits`."""
    word = 1 << (bits - 1)
    lowest = -word if shape.minimum is None else shape.minimum
    highest = word - 1 if shape.maximum is None else shape.maximum
    return lowest, highest


def _missing(name: str, raw: Mapping[str, object]) -> Rejection:
    lowered = name.lower()
    for given in raw:
        if given != name and given.lower() == lowered:
            return Rejection(PARAMETERS_OTHER_ERROR, name, f"expected the name {name}, got {_quoted(given)}")
    return Rejection(LACK_OF_PARAMETERS, name, f"{name} is mandatory; it is missing, empty or null")


def _expected(wanted: str, given: object) -> str:
    """What was wanted and what came; of anything but a string only the type, since its text may be of any size."""
    got = _quoted(given) if isinstance(given, str) else type(given).__name__
    return f"expected {wanted}, got {got}"


def _quoted(given: str) -> str:
    return ascii(given[:MAX_QUOTED_CHARACTERS])


def _ret_code(answer: object) -> int | None:
    match answer:
        case {"Data": {"RetCode": int(code)}} if not isinstance(code, bool):
            return code
    return None


def _faults_of_answer(asked: Operation, code: int, answer: Any) -> Iterator[str]:
    expected = load(asked.version).failure(asked, code)
    if code == 0:
        yield from _faults(asked.output, answer, "answer")
        if answer["Data"].get("RetMsg") != expected["RetMsg"]:
            yield f"answer.Data.RetMsg: expected {expected['RetMsg']!r}"
        return
    if answer.keys() != asked.output.members.keys():
        yield f"answer: expected {' and '.join(asked.output.members)} alone, got {', '.join(answer)}"
    if answer["Data"] != expected:
        yield f"answer.Data: expected {expected}, got {answer['Data']}"
    yield from _faults(asked.output.members["RequestId"].shape, answer.get("RequestId"), "answer.RequestId")


def _faults(shape: Shape, value: object, path: str) -> Iterator[str]:
    return _JUDGES[shape.type](shape, value, path)


def _faults_of_structure(shape: Shape, value: object, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: expected an object, got {type(value).__name__}"
        return
    if value.keys() not in shape.variants.values():
        full = shape.variants["full"]
        absent, unknown = sorted(full - value.keys()), sorted(value.keys() - full)
        yield f"{path}: expected the members of {shape.name}; absent: {absent}, unknown: {unknown}"
    for name in shape.members.keys() & value.keys():
        yield from _faults(shape.members[name].shape, value[name], f"{path}.{name}")


def _faults_of_list(shape: Shape, value: object, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: expected a list, got {type(value).__name__}"
        return
    assert shape.item is not None
    if shape.maximum is not None and len(value) > shape.maximum:
        yield f"{path}: expected at most {shape.maximum} rows, got {len(value)}"
    for index, row in enumerate(value):
        yield from _faults(shape.item, row, f"{path}[{index}]")


def _faults_of_string(shape: Shape, value: object, path: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{path}: expected a string, got {type(value).__name__}"
        return
    if shape.maximum is not None and len(value) > shape.maximum:
        yield f"{path}: expected at most {shape.maximum} characters, got {len(value)}"
    if shape.pattern is not None and _whole(shape.pattern)(value) is None:
        yield f"{path}: expected a match of {shape.pattern}, got {value!r}"


def _faults_of_integer(shape: Shape, value: object, path: str) -> Iterator[str]:
    if not isinstance(value, int) or isinstance(value, bool):
        yield f"{path}: expected an integer, got {type(value).__name__}"
        return
    bits = INTEGER_BITS if shape.type == "long" else ANSWER_INTEGER_BITS
    lowest, highest = _integer_bounds(shape, bits)
    if not lowest <= value <= highest:
        yield f"{path}: expected an integer from {lowest} to {highest}, got {value}"


def _faults_of_double(shape: Shape, value: object, path: str) -> Iterator[str]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        yield f"{path}: expected a number, got {type(value).__name__}"
        return
    if not math.isfinite(value) or (shape.minimum is not None and value < shape.minimum):
        yield f"{path}: expected a finite number not below {shape.minimum}, got {value}"


_JUDGES: Mapping[str, Callable[[Shape, object, str], Iterator[str]]] = {
    "structure": _faults_of_structure,
    "list": _faults_of_list,
    "string": _faults_of_string,
    "integer": _faults_of_integer,
    "long": _faults_of_integer,
    "double": _faults_of_double,
}
