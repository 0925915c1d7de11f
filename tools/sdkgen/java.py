"""The generated classes of the Java SDK: client, requests, results, failures by name, tables of actions and codes."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from openkls import model
from openkls.model import GatewayError, Member, Operation, Shape
from tools.sdkgen import core

FOLDER = "sdk/java/src/main/java/com/ksc/kls"
WIDTH = 116  # of a line of Javadoc, without its indent
LARGEST_INT = 2**31 - 1

# The names that the official Java SDK gives these shapes: code written for it imports them.
OFFICIAL_NAMES = {
    "CheckBlacklistResponse": "CheckBlacklistsResult",
    "CheckBlacklistData": "CheckBlacklisDetail",
    "DataByPull": "ThirdStreamsInfoPullsInfo",
    "DataByStream": "ThirdStreamsInfoDetail",
    "ForbidRecord": "ListBlacklist",
    "ForbidStreamData": "ForbidStreamDetail",
    "GetBlacklistData": "GetBlacklistDetail",
    "HistoryPubStream": "PubStreamHistoryDetail",
    "HistoryPubStreamsPage": "ListPubStreamHistoryDetail",
    "ListRealtimePubStreamsInfoData": "ListRealtimePubStreamsInfo",
    "ListStreamDurationsData": "ListStreamDurations",
    "PubDetail": "StreamDetail",
    "RealtimePubStream": "StreamInfo",
    "ResumeStreamData": "ResumeStreamDetail",
    "StreamDuration": "StreamDurationsDetail",
}
# Getters that it spells in another way: of which shape, which member, and how.
OFFICIAL_GETTERS = {
    ("DataByStream", "ClientIP"): "Clientip",
    ("DataByStream", "PubTime"): "Pubtime",
    ("HistoryPubStreamsPage", "EndUnixTime"): "EndUnixtime",
}
PRIMITIVES = {"integer": "int", "long": "long", "double": "double"}
BOXES = {"int": "Integer", "long": "Long", "double": "Double"}


def files() -> dict[str, str]:
    """Every generated class by its path."""
    service = model.load()
    operations = list(service.operations.values())
    errors = [error for error in service.gateway_errors.values() if not error.reserved]
    environment = core.environment("java")
    environment.filters.update(doc=_doc, text=_text, name=_name, camel=_camel, constant=_constant, advice=_advice)
    environment.globals.update(
        generated=core.GENERATED,
        version=core.version(),
        service=service,
        operations=operations,
        errors=errors,
        codes=sorted({error.code for error in errors}),
        ret_codes=[entry for _, entry in sorted(service.ret_codes.items())],
        advice=_advice,
        meaning=_meaning,
        old_getter=lambda shape, member: OFFICIAL_GETTERS.get((shape.name, member.name)),
        request_type=_scalar,
        prefix=_prefix,
        client_imports=sorted(set(_imports(operations, data=True))),
        interface_imports=sorted(set(_imports(operations, data=False))),
        failures=sorted(_exception(code) for code in {error.code for error in errors}),
        result_type=_result_type,
        boxed=lambda name: BOXES.get(name, name),
        row=lambda operation: _name(_rows(operation).name),
    )

    def rendered(template: str, **facts: Any) -> str:
        return environment.get_template(f"{template}.java.j2").render(facts)

    tree = {f"{name}.java": rendered(name) for name in ("KSCKSLClient", "KSCKLS", "RetCodes", "Service")}
    for operation in operations:
        tree[f"model/{operation.name}Request.java"] = rendered("Request", operation=operation)
        tree[f"model/{_name(operation.output.name)}.java"] = rendered("Result", operation=operation)
    for shape in _structures(operation.data for operation in operations):
        tree[f"model/{_name(shape.name)}.java"] = rendered("Shape", shape=shape)
    for code in sorted({error.code for error in errors}):
        meant = [error for error in errors if error.code == code]
        tree[f"model/{_exception(code)}.java"] = rendered("Failure", code=code, meant=meant, name=_exception(code))
    return {f"{FOLDER}/{path}": text for path, text in tree.items()}


def _structures(shapes: Iterable[Shape]) -> Iterator[Shape]:
    """Each structure once, what it is made of before it."""
    seen: dict[str, Shape] = {}

    def visit(shape: Shape) -> None:
        if shape.item is not None:
            visit(shape.item)
        for member in shape.members.values():
            visit(member.shape)
        if shape.type == "structure":
            seen[shape.name] = shape

    for each in shapes:
        visit(each)
    yield from seen.values()


def _imports(operations: Iterable[Operation], *, data: bool) -> Iterator[str]:
    """The classes of com.ksc.kls.model that the actions' signatures name; with ``data``, those that paging does."""
    for operation in operations:
        yield f"{operation.name}Request"
        yield _name(operation.output.name)
        if "Marker" in operation.input.members:
            yield _name(_rows(operation).name)
            if data:
                yield _name(operation.data.name)


def _rows(operation: Operation) -> Shape:
    item = operation.data.members["Result"].shape.item
    assert item is not None, f"Result of {operation.name} is a list"
    return item


def _name(shape: str) -> str:
    """The class of a shape."""
    return OFFICIAL_NAMES.get(shape, re.sub("Response$", "Result", shape))


def _exception(code: str) -> str:
    return f"{code}Exception"


def _camel(name: str) -> str:
    """``UniqueName`` as ``uniqueName``, ``FLR`` as ``flr``, ``ClientIP`` as ``clientIp``."""
    first, *rest = core.snake(name).split("_")
    return first + "".join(part.capitalize() for part in rest)


def _constant(text: str) -> str:
    return re.sub("[^A-Z0-9]+", "_", text.upper()).strip("_")


def _scalar(member: Member) -> str:
    """The type of a string or number. A moment is a long: an int of seconds ends in 2038."""
    primitive = PRIMITIVES.get(member.shape.type, "String")
    wide = member.unit == "Unix seconds" or (member.shape.maximum or 0) > LARGEST_INT
    return "long" if primitive == "int" and wide else primitive


def _result_type(member: Member) -> str:
    """As it stands in an answer: what may be absent is boxed, so that null is told from 0."""
    if member.shape.item is not None:
        return f"List<{_name(member.shape.item.name)}>"
    scalar = _scalar(member)
    return scalar if member.required else BOXES.get(scalar, scalar)


def _advice(documentation: str) -> str:
    """What a code's text says to whoever meets it, without the note for whoever fills in its placeholders."""
    return documentation.partition(" Placeholder")[0]


def _prefix(error: GatewayError) -> str:
    """What a message begins with, by which failures of one code and status are told apart."""
    return error.text.partition("%s")[0]


def _meaning(member: Member) -> str:
    """What a member is, in which unit, of which values."""
    parts = [member.documentation]
    if member.shape.enum:
        parts.append("One of " + ", ".join(f"`{value}`" for value in member.shape.enum) + ".")
    if member.unit is not None:
        parts.append(f"In {member.unit}.")
    return " ".join(parts)


def _text(value: str) -> str:
    """A string literal."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _doc(text: str, indent: str = "", more: str = "") -> str:
    """A Javadoc comment of a text of the model and of lines ready made; the model's backticks are code."""
    parts = [f"{{@code {part}}}" if index % 2 else _escaped(part) for index, part in enumerate(text.split("`"))]
    lines = textwrap.wrap("".join(parts), WIDTH - len(indent), break_on_hyphens=False)
    if len(lines) == 1 and not more:
        return f"{indent}/** {lines[0]} */"
    if more:
        lines += ["", *more.splitlines()]
    body = [f"{indent} * {line}".rstrip() for line in lines]
    return "\n".join([f"{indent}/**", *body, f"{indent} */"])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")
