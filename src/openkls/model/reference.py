"""The API reference, written from the service model as Markdown pages.

Rule: pure text out of the model, so that a page can never say what the service does not do; the same model gives the
same bytes. `tools/reference.py` writes the pages under `docs/reference`, and a test compares them with what is there.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from openkls.model.shapes import (
    CONTRACT_VERSION,
    OWN_VERSION,
    GatewayError,
    Member,
    Operation,
    RetCode,
    ServiceModel,
    Shape,
    services,
)

GENERATED = "<!-- Generated from the service model by `python -m tools.reference`; edit the model instead. -->"
"""First line of every page, so that nobody edits a page that the next run would overwrite."""


Provokers = Mapping[str | int, str]
"""The test that makes a code happen, by the name of a gateway error, a RetCode or a break code."""

NOT_PROVOKED = "none yet"


FOLDERS: Mapping[str, str] = {CONTRACT_VERSION: "", OWN_VERSION: "own/"}
"""Where below `docs/reference` the pages of a version are."""


def all_pages(provokers: Provokers) -> dict[str, str]:
    """Every page of the reference of all versions: its path below `docs/reference`, with `/`, and its text."""
    return {
        FOLDERS[version] + path: text
        for version, model in services().items()
        for path, text in pages(model, provokers).items()
    }


def pages(model: ServiceModel, provokers: Provokers) -> dict[str, str]:
    """Every page of the reference of one version: its path below that version's folder, and its text."""
    texts = {
        "actions.md": _index(model),
        "errors.md": _errors(model, provokers),
        "shapes.md": _shapes(model),
    }
    for operation in model.operations.values():
        texts[f"actions/{operation.name}.md"] = _action(model, operation)
    return {path: f"{GENERATED}\n\n{text}" for path, text in texts.items()}


_OF_CODES = "Every code that can be got has a test that makes it happen; it is named in the last column."


def codes(model: ServiceModel) -> frozenset[str | int]:
    """What can be got from the service, and so wants a test: all that is not reserved."""
    found: set[str | int] = {name for name, error in model.gateway_errors.items() if not error.reserved}
    found.update(code for code, ret_code in model.ret_codes.items() if not ret_code.reserved)
    found.update(model.break_codes)
    return frozenset(found)


def example(shape: Shape) -> Any:
    """An example value of a structure or list, made of its members' own examples: a list has one row."""
    if shape.item is not None:
        return [example(shape.item)]
    if shape.type != "structure":
        return shape.example
    return {
        member.name: example(member.shape) if member.example is None else member.example
        for member in shape.members.values()
    }


def _index(model: ServiceModel) -> str:
    rows = (
        [f"[{name}](actions/{name}.md)", operation.method, _rate(operation), operation.documentation]
        for name, operation in model.operations.items()
    )
    return _join(
        f"# Actions of version {model.version}",
        model.documentation,
        _table(["Action", "Method", "Rate for an account", "What it does"], rows),
        "Every action is accepted by GET and POST; the method above is the documented one. Unknown parameters are"
        " ignored. An integer may be sent as a string of decimal digits. An empty string or null is an absent value.",
        "See also [errors and codes](errors.md) and [shapes of values](shapes.md).",
    )


def _action(model: ServiceModel, operation: Operation) -> str:
    aliases = "".join(f"\n- Also called as: `{alias}`" for alias in operation.aliases)
    failed = [f"`{name}: {json.dumps(value)}`" for name, value in operation.failure.items()]
    return _join(
        f"# {operation.name}",
        operation.documentation,
        f"- Request: `{operation.method} {operation.request_uri}`\n- Rate: {_rate(operation)}{aliases}",
        "## Parameters",
        operation.input.documentation,
        *_parameters(operation),
        "## Answer",
        "`Data` of a success; `RequestId` stands beside it.",
        *_structures(operation.data, "Data"),
        f"`Data` of a business failure holds no others than: {', '.join([*failed, '`RetCode`', '`RetMsg`'])}.",
        "## Example",
        _code("http", _request(operation)),
        _code("json", json.dumps(example(operation.output), indent=2)),
        "## Business codes",
        _table(
            ["RetCode", "RetMsg", "When"],
            (_ret_code(model.ret_codes[code]) for code in operation.ret_codes),
        ),
        "## Gateway errors",
        _table(
            ["Status", "Code", "Message"],
            (_gateway_error(model.gateway_errors[name])[:3] for name in operation.errors),
        ),
        "What each means: [errors and codes](../errors.md).",
    )


def _parameters(operation: Operation) -> Iterator[str]:
    members = operation.input.members.values()
    if members:
        yield _table(
            ["Name", "Type", "Mandatory", "Default", "Unit", "If malformed, of another type", "Example", "Meaning"],
            (_parameter(member) for member in members),
        )
        yield "Patterns and bounds: [shapes of values](../shapes.md)."


def _parameter(member: Member) -> list[str]:
    rule = member.rule
    code = str(rule.malformed) if rule.malformed == rule.wrong_type else f"{rule.malformed}, {rule.wrong_type}"
    return [
        f"`{member.name}`",
        f"{member.shape.type} ([{member.shape.name}](../shapes.md#{member.shape.name.lower()}))",
        "yes" if member.required else "no",
        "" if rule.default is None else f"`{rule.default}`",
        member.unit or "",
        code,
        f"`{member.example}`",
        member.documentation,
    ]


def _structures(shape: Shape, title: str) -> Iterator[str]:
    """A table for the structure, then one for each structure inside it, in reading order."""
    yield f"### {title}"
    yield shape.documentation
    rows = []
    inner = []
    for member in shape.members.values():
        item = member.shape.item
        if item is not None and item.members:
            inner.append((item, f"{member.name}[]"))
        elif member.shape.members:
            inner.append((member.shape, member.name))
        rows.append(
            [
                f"`{member.name}`",
                member.shape.type if item is None else f"list of {item.name if item.members else item.type}",
                member.unit or "",
                "" if member.example is None else f"`{member.example}`",
                member.documentation,
            ]
        )
    yield _table(["Name", "Type", "Unit", "Example", "Meaning"], rows)
    for variant, names in shape.variants.items():
        if variant != "full":
            kept = ", ".join(f"`{name}`" for name in shape.members if name in names)
            yield f"With Type `{variant}` a row holds: {kept}."
    for item, name in inner:
        yield from _structures(item, name)


def _request(operation: Operation) -> str:
    values = {member.name: member.example for member in operation.input.members.values() if member.required}
    if operation.method == "GET":
        return f"GET {operation.request_uri}&{urlencode(values)} HTTP/1.1"
    head = f"POST {operation.request_uri} HTTP/1.1\nContent-Type: application/json"
    return f"{head}\n\n{json.dumps(values, indent=2)}"


def _errors(model: ServiceModel, provokers: Provokers) -> str:
    errors = model.gateway_errors.values()
    ret_codes = model.ret_codes.values()

    def test(code: str | int) -> str:
        return f"`{provokers[code]}`" if code in provokers else NOT_PROVOKED

    return _join(
        "# Errors and codes",
        _OF_CODES + (" Those that these actions never give are [reserved](#reserved)." if _has_reserved(model) else ""),
        "## Gateway errors",
        "A request that does not reach its action is answered with the status below and an error envelope: JSON"
        " when Accept holds `application/json`, XML otherwise. Type is `Sender`, or `Receiver` for 5xx. Each `%s` is"
        " cut to 256 characters.",
        _table(
            ["Status", "Code", "Message", "When", "Actions", "Test"],
            (
                [*_gateway_error(entry), _actions(model, entry), test(entry.name)]
                for entry in errors
                if not entry.reserved
            ),
        ),
        "## Business codes",
        "A request that reaches its action is answered with HTTP 200; `Data.RetCode` tells how it went.",
        _table(
            ["RetCode", "RetMsg", "When", "Actions", "Test"],
            (
                [*_ret_code(entry), _actions(model, entry), test(entry.code)]
                for entry in ret_codes
                if not entry.reserved
            ),
        ),
        *_break_codes(model, test),
        *_reserved(model),
    )


def _break_codes(model: ServiceModel, test: Callable[[str | int], str]) -> Iterator[str]:
    if not model.break_codes:
        return
    yield "## Break codes"
    yield (
        "StatusCode and StatusMessage in the history of pushes. A push is checked in the order given; the first that"
        " applies is answered."
    )
    yield _table(
        ["StatusCode", "StatusMessage", "Checked", "When", "Test"],
        (
            [
                str(entry.code),
                entry.text,
                "" if entry.rank is None else str(entry.rank),
                entry.documentation,
                test(entry.code),
            ]
            for entry in model.break_codes.values()
        ),
    )


def _has_reserved(model: ServiceModel) -> bool:
    codes = model.ret_codes.values()
    return any(entry.reserved for entry in model.gateway_errors.values()) or any(entry.reserved for entry in codes)


def _reserved(model: ServiceModel) -> Iterator[str]:
    if not _has_reserved(model):
        return
    errors = [entry for entry in model.gateway_errors.values() if entry.reserved]
    ret_codes = [entry for entry in model.ret_codes.values() if entry.reserved]
    yield "## Reserved"
    yield "In the vendor's tables, never given by these actions."
    yield _table(["Status", "Code", "Message", "Why"], (_gateway_error(entry) for entry in errors))
    yield _table(["RetCode", "RetMsg", "Why"], (_ret_code(entry) for entry in ret_codes))


def _gateway_error(entry: GatewayError) -> list[str]:
    return [str(entry.status), f"`{entry.code}`", entry.text, entry.documentation]


def _ret_code(entry: RetCode) -> list[str]:
    return [str(entry.code), entry.text, entry.documentation]


def _actions(model: ServiceModel, entry: GatewayError | RetCode) -> str:
    """The actions that give it; the others where those are fewer."""
    others = [name for name in model.operations if name not in entry.actions]
    if not others:
        return "all"
    if len(others) < len(entry.actions):
        return "all but " + ", ".join(others)
    return ", ".join(entry.actions)


def _shapes(model: ServiceModel) -> str:
    sections = []
    for shape in sorted(model.shapes.values(), key=lambda shape: shape.name):
        if not shape.members and shape.item is None:
            sections += [f"## {shape.name}", f"{shape.type}. {shape.documentation}", _bounds(shape)]
    return _join("# Shapes of values", "Patterns are of Python's `re`, for the whole value.", *sections)


def _bounds(shape: Shape) -> str:
    what = "Length" if shape.type == "string" else "Value"
    facts = []
    if shape.minimum is not None:
        facts.append(f"- {what} at least: {shape.minimum}")
    if shape.maximum is not None:
        facts.append(f"- {what} at most: {shape.maximum}")
    if shape.pattern is not None:
        facts.append(f"- Pattern: `{shape.pattern}`")
    if shape.enum:
        facts.append("- One of: " + ", ".join(f"`{value}`" for value in shape.enum))
    return "\n".join(facts) or "- Bounds: those of its type."


def _rate(operation: Operation) -> str:
    rate = operation.rate
    period = "a second" if rate.per_seconds == 1 else f"in {rate.per_seconds} seconds"
    return f"{rate.requests} {period}"


def _table(heads: list[str], rows: Iterator[list[str]] | list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads)]
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _code(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _join(*blocks: str) -> str:
    return "\n\n".join(blocks) + "\n"
