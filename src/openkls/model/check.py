"""Reads a request's parameters by the service model, and judges names and answers by it.

Rule: every bound, default and code comes from the model; nothing here knows an action or a parameter by name.

`coerce` never raises for what a caller sent: it returns the values or a `Rejection`. Each operation is compiled at its
first use into one reader per member, since this runs for every request.
"""

from collections.abc import Mapping
from dataclasses import dataclass


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
    applied; an optional member that is absent and has no default is left out. Absent is: not there, None, "" or one
    of the member's own values for it (a time of 0). A mandatory member that is absent is 1000, or 4999 when its name
    is there in another case; the first in documented order wins, before any fault of a value. An integer is an int
    (not a bool, not 5.0) or a string of decimal digits with an optional minus. Raises KeyError for an unknown
    operation. Contract, sections 1, 5 and 6.
    """
    raise NotImplementedError


def matches(shape: str, value: object) -> bool:
    """Whether `value` is a string that the string shape of this name allows (`App`, `Stream`, `Pubdomain`,
    `UniqueName`). Raises KeyError for an unknown shape."""
    raise NotImplementedError


def conforms(operation: str, answer: object) -> list[str]:
    """What is wrong with `answer`, the whole body `{"Data": {...}, "RequestId": "..."}` of an HTTP 200; [] if nothing.

    Checked: exactly the documented members (for a success; for a failure RetCode, RetMsg and the zeroed members the
    action documents), their types and bounds, a RetCode that this action may give, and its exact text.
    """
    raise NotImplementedError
