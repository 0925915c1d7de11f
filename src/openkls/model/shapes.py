"""The service models as Python values: operations, shapes, codes and errors read from a file for each version.

Rule: this module reads the data files and derives look-ups from them; it decides nothing that a file could say.

`service-2.json` is the vendor's version, the contract; `openkls-2026-01-01.json` has the actions of our own. Both are
in botocore's grammar (protocol rest-json), so that stock botocore loads them; what that grammar cannot say stands under
keys that begin with `x-kls`. Each is complete by itself; what both have is the same in both, and no action's name is in
both. `load()` reads a file once and links every reference, so that the rest of the program does dictionary look-ups on
frozen values. The files are part of the package: a mistake in one is a bug of ours, shows as a KeyError or TypeError at
the first load, and is what `tests/model` lints for.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

MAX_PLACEHOLDER_CHARACTERS = 256
"""Length to which each value put into a gateway error's text is cut (contract, section 3)."""

PARAMETERS_OTHER_ERROR = 4999
"""RetCode of a value of the wrong type or out of its set, where its member names no code of its own."""

CONTRACT_VERSION = "2017-01-01"
"""The vendor's."""

OWN_VERSION = "2026-01-01"
"""Of the actions that are ours alone."""

_FILES: Mapping[str, str] = MappingProxyType(
    {CONTRACT_VERSION: "service-2.json", OWN_VERSION: f"openkls-{OWN_VERSION}.json"}
)

ShapeType = Literal["string", "integer", "long", "double", "list", "structure"]
Location = Literal["query", "body"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How `check.coerce` reads one request member; all of it is data in the model.

    `absent`: integers that count as not given. `default`: the value of a member that is not given (None: left out).
    `default_below`: integers below it are replaced by the default. `at_most`: larger integers are replaced by it.
    `among`: the only integers that are understood; empty: all within the shape's bounds. `blank`: an empty string is
    given, and a value. `lowercase`: the value is lower-cased. `readings`: other spellings that are understood, and what
    they mean.
    `wrong_type`, `malformed`: the RetCodes of a value of another type, and of one outside pattern, enum or bounds.
    """

    default: str | int | None = None
    absent: tuple[int, ...] = ()
    default_below: int | None = None
    at_most: int | None = None
    among: tuple[int, ...] = ()
    blank: bool = False
    lowercase: bool = False
    readings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    wrong_type: int = PARAMETERS_OTHER_ERROR
    malformed: int = PARAMETERS_OTHER_ERROR


@dataclass(frozen=True, slots=True)
class Shape:
    """A type of the model.

    `minimum` and `maximum` bound the value of a number and the length of a string or list. `pattern` is a Python
    regular expression for the whole value (`re.fullmatch`). `members` are a structure's in documented order, `item`
    is a list's element. `variants` are the exact sets of member names that a structure may have in an answer, by
    name; there is always `full`. `example` is there for scalars.
    """

    name: str
    type: ShapeType
    documentation: str
    minimum: int | None
    maximum: int | None
    pattern: str | None
    enum: tuple[str, ...]
    members: Mapping[str, "Member"]
    item: "Shape | None"
    variants: Mapping[str, frozenset[str]]
    example: str | int | float | None


@dataclass(frozen=True, slots=True)
class Member:
    """A named place for a value in a structure; `unit` is None for what has none, `example` only for scalars."""

    name: str
    shape: Shape
    required: bool
    location: Location
    documentation: str
    unit: str | None
    example: str | int | float | None
    rule: Rule


@dataclass(frozen=True, slots=True)
class Rate:
    """How often one account may call one action: `requests` in any `per_seconds`."""

    requests: int
    per_seconds: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One action. `data` is the shape of the answer's `Data`; `failure` is what a business failure's Data holds
    besides RetCode and RetMsg; `ret_codes` and `errors` are what the action can answer (ascending codes; names)."""

    name: str
    version: str
    method: Literal["GET", "POST"]
    request_uri: str
    documentation: str
    input: Shape
    output: Shape
    data: Shape
    rate: Rate
    aliases: tuple[str, ...]
    ret_codes: tuple[int, ...]
    errors: tuple[str, ...]
    failure: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RetCode:
    """A business code: `text` is RetMsg, exactly; `actions` are those that give it, none when `reserved`."""

    code: int
    text: str
    documentation: str
    reserved: bool
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GatewayError:
    """A failure before the action: one row of the document's first table, or one of ours.

    `name` is unique and is the shape's name; several may share the wire `code`. `text` has a `%s` for each value
    that `message` wants. `type` is `Sender`, or `Receiver` for a status of 500 and above. `step` is the check that
    gives it (contract, section 4), empty when `reserved`.
    """

    name: str
    code: str
    status: int
    text: str
    type: Literal["Sender", "Receiver"]
    documentation: str
    reserved: bool
    step: str
    actions: tuple[str, ...]

    def message(self, *values: str) -> str:
        """The text with `values` put in for its `%s`, each cut to 256 characters; not escaped for any envelope.

        Raises TypeError when the number of values is not the number of placeholders.
        """
        return self.text % tuple(value[:MAX_PLACEHOLDER_CHARACTERS] for value in values)


@dataclass(frozen=True, slots=True)
class BreakCode:
    """Why a push ended or was refused: StatusCode and StatusMessage of the history; `rank` orders the checks of a
    push (1 is first), None for what is not a refusal."""

    code: int
    text: str
    documentation: str
    rank: int | None


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """The whole model. `operations` is in the document's order; `actions` has the aliases too."""

    version: str
    documentation: str
    operations: Mapping[str, Operation]
    actions: Mapping[str, Operation]
    shapes: Mapping[str, Shape]
    ret_codes: Mapping[int, RetCode]
    gateway_errors: Mapping[str, GatewayError]
    break_codes: Mapping[int, BreakCode]

    def failure(self, operation: Operation, code: int) -> dict[str, Any]:
        """The `Data` of a business failure: the action's zeroed members, if it has any, RetCode and RetMsg.

        A new dictionary at each call. Raises KeyError for a code that is not in the table.
        """
        data = {name: list(value) if isinstance(value, list) else value for name, value in operation.failure.items()}
        return data | {"RetCode": code, "RetMsg": self.ret_codes[code].text}


def source(version: str = CONTRACT_VERSION) -> bytes:
    """The bytes of a version's model file, as shipped; what botocore would read as `kls/<version>/service-2.json`.
    Raises KeyError for an unknown version."""
    return files("openkls.model").joinpath(_FILES[version]).read_bytes()


def load(version: str = CONTRACT_VERSION) -> ServiceModel:
    """The service model of a version; read and linked at the first call, the same object afterwards. Raises KeyError
    for an unknown version."""
    return services()[version]


@cache
def services() -> Mapping[str, ServiceModel]:
    """All models by their versions, the contract's first."""
    return MappingProxyType({version: _Linker(json.loads(source(version))).service() for version in _FILES})


@cache
def operations() -> Mapping[str, Operation]:
    """The actions of all versions by name, without aliases."""
    return MappingProxyType({name: each for model in services().values() for name, each in model.operations.items()})


def find(action: str, version: str) -> Operation | None:
    """The action of this name, or alias, in this version; None when there is none."""
    model = services().get(version)
    return None if model is None else model.actions.get(action)


class _Linker:
    """Turns the file's dictionaries into linked values; lives for one load."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw
        self._shapes: dict[str, Shape] = {}

    def service(self) -> ServiceModel:
        ret_codes = {entry["code"]: self._ret_code(entry) for entry in self._raw["x-kls-ret-codes"]}
        operations = {name: self._operation(name, ret_codes) for name in self._raw["operations"]}
        errors = {
            name: self._gateway_error(name, raw, operations)
            for name, raw in self._raw["shapes"].items()
            if raw.get("exception", False)
        }
        actions = dict(operations)
        for operation in operations.values():
            actions.update(dict.fromkeys(operation.aliases, operation))
        break_codes = [BreakCode(**entry) for entry in self._raw["x-kls-break-codes"]]
        return ServiceModel(
            version=self._raw["metadata"]["apiVersion"],
            documentation=self._raw["documentation"],
            operations=MappingProxyType(operations),
            actions=MappingProxyType(actions),
            shapes=MappingProxyType(self._shapes),
            ret_codes=MappingProxyType(ret_codes),
            gateway_errors=MappingProxyType(errors),
            break_codes=MappingProxyType({entry.code: entry for entry in break_codes}),
        )

    def _ret_code(self, entry: dict[str, Any]) -> RetCode:
        actions = entry["actions"]
        if actions == "all":
            actions = tuple(self._raw["operations"])
        return RetCode(entry["code"], entry["text"], entry["documentation"], entry["reserved"], tuple(actions))

    def _operation(self, name: str, ret_codes: Mapping[int, RetCode]) -> Operation:
        raw = self._raw["operations"][name]
        ours = raw["x-kls"]
        output = self._shape(raw["output"]["shape"])
        return Operation(
            name=name,
            version=self._raw["metadata"]["apiVersion"],
            method=raw["http"]["method"],
            request_uri=raw["http"]["requestUri"],
            documentation=raw["documentation"],
            input=self._shape(raw["input"]["shape"]),
            output=output,
            data=output.members["Data"].shape,
            rate=Rate(**ours["rate"]),
            aliases=tuple(ours.get("aliases", ())),
            ret_codes=tuple(sorted(code for code, entry in ret_codes.items() if name in entry.actions)),
            errors=tuple(reference["shape"] for reference in raw["errors"]),
            failure=MappingProxyType(ours.get("failure", {})),
        )

    def _gateway_error(self, name: str, raw: dict[str, Any], operations: Mapping[str, Operation]) -> GatewayError:
        status = raw["error"]["httpStatusCode"]
        return GatewayError(
            name=name,
            code=raw["error"]["code"],
            status=status,
            text=raw["x-kls"]["text"],
            type="Receiver" if status >= 500 else "Sender",
            documentation=raw["documentation"],
            reserved=raw["x-kls"]["reserved"],
            step=raw["x-kls"]["step"],
            actions=tuple(action for action, operation in operations.items() if name in operation.errors),
        )

    def _shape(self, name: str) -> Shape:
        if name not in self._shapes:
            self._shapes[name] = self._build_shape(name, self._raw["shapes"][name])
        return self._shapes[name]

    def _build_shape(self, name: str, raw: dict[str, Any]) -> Shape:
        required = frozenset(raw.get("required", ()))
        members = {
            member: self._member(member, reference, member in required)
            for member, reference in raw.get("members", {}).items()
        }
        variants = {"full": frozenset(members)}
        for variant, names in raw.get("x-kls", {}).get("variants", {}).items():
            variants[variant] = frozenset(names)
        return Shape(
            name=name,
            type=raw["type"],
            documentation=raw["documentation"],
            minimum=raw.get("min"),
            maximum=raw.get("max"),
            pattern=raw.get("pattern"),
            enum=tuple(raw.get("enum", ())),
            members=MappingProxyType(members),
            item=self._shape(raw["member"]["shape"]) if "member" in raw else None,
            variants=MappingProxyType(variants),
            example=raw.get("x-kls", {}).get("example"),
        )

    def _member(self, name: str, reference: dict[str, Any], required: bool) -> Member:
        raw = self._raw["shapes"][reference["shape"]]
        ours = raw.get("x-kls", {}) | reference.get("x-kls", {})
        rule = dict(ours.get("rule", {}))
        for name_of_list in rule.keys() & {"absent", "among"}:
            rule[name_of_list] = tuple(rule[name_of_list])
        if "readings" in rule:
            rule["readings"] = MappingProxyType(rule["readings"])
        return Member(
            name=name,
            shape=self._shape(reference["shape"]),
            required=required,
            location="query" if reference.get("location") == "querystring" else "body",
            documentation=reference.get("documentation", raw["documentation"]),
            unit=ours.get("unit"),
            example=ours.get("example"),
            rule=Rule(**rule),
        )
