"""The generated modules of the Python SDK: results, signatures, tables of actions and codes."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from openkls import model
from openkls.model import Member, Operation, Shape
from tools.sdkgen import core

MODULES = ("codes", "methods", "results", "tables")
FOLDER = "src/openkls/client"
WIDTH = 114

# RetCodes that a program tells apart; the model has no names for them.
NAMED_RET_CODES = {
    3802: "AlreadyForbidden",
    4001: "InvalidTime",
    6406: "SpaceOfAnother",
    8200: "BanNotStored",
    8201: "NotForbidden",
    8501: "NotCut",
    8502: "NotLive",
    9016: "OverSpeedLimit",
}
SCALARS = {"string": "str", "integer": "int", "long": "int", "double": "float"}
ZEROS = {"string": '""', "integer": "0", "long": "0", "double": "0.0"}


def files() -> dict[str, str]:
    """The modules, formatted as the repository is."""
    environment = core.environment("python")
    environment.filters.update(snake=core.snake, doc=_doc, repr=repr)
    service = model.load()
    facts: dict[str, Any] = {
        "generated": core.GENERATED,
        "version": core.version(),
        "service": service,
        "operations": list(service.operations.values()),
        "structures": list(_structures(service.operations.values())),
        "ret_codes": [entry for code, entry in sorted(service.ret_codes.items()) if code and not entry.reserved],
        "gateway_errors": [
            (error.code, error.status, error.text.partition("%s")[0], _advice(error.documentation))
            for error in service.gateway_errors.values()
            if not error.reserved
        ],
        "gateway_names": sorted({error.code for error in service.gateway_errors.values() if not error.reserved}),
        "named_ret_codes": NAMED_RET_CODES,
        "annotation": _annotation,
        "described": _described,
        "default": _default,
        "rows": _rows,
    }
    return {
        f"{FOLDER}/{name}.py": _formatted(environment.get_template(f"{name}.py.j2").render(facts)) for name in MODULES
    }


def _structures(operations: Any) -> Iterator[Shape]:
    """The structures of the answers, each once, those inside before those that hold them."""
    seen: set[str] = set()

    def inner(shape: Shape) -> Iterator[Shape]:
        if shape.item is not None:
            yield from inner(shape.item)
        if shape.type == "structure" and shape.name not in seen:
            seen.add(shape.name)
            for member in shape.members.values():
                yield from inner(member.shape)
            yield shape

    for operation in operations:
        yield from inner(operation.data)


def _annotation(shape: Shape) -> str:
    if shape.type == "list":
        assert shape.item is not None
        return f"list[{_annotation(shape.item)}]"
    return SCALARS.get(shape.type, shape.name)


def _default(member: Member) -> str:
    """What a member is where the answer lacks it: None for one that some answers leave out, else its zero."""
    if not member.required:
        return "None"
    if member.shape.type == "list":
        return "msgspec.field(default_factory=list)"
    return ZEROS[member.shape.type]


def _rows(operation: Operation) -> tuple[str, int, int] | None:
    """Of an action with pages: the type of a row, the default and the greatest Limit."""
    if "Marker" not in operation.input.members:
        return None
    rows = operation.data.members["Result"].shape
    assert rows.item is not None
    rule = operation.input.members["Limit"].rule
    assert isinstance(rule.default, int)
    assert rule.at_most is not None
    return rows.item.name, rule.default, rule.at_most


def _described(member: Member) -> str:
    """A member's documentation with its unit and its values."""
    text = member.documentation
    if member.unit:
        text += f" Unit: {member.unit}."
    if member.shape.enum:
        text += " One of " + ", ".join(f"`{value}`" for value in member.shape.enum) + "."
    return text


def _doc(text: str, indent: int = 4, hanging: int = 0, closing: int = 0) -> str:
    """Text broken into lines of a docstring that stands ``indent`` deep; later lines ``hanging`` deeper."""
    text = text.replace("\\", "\\\\")
    lines = textwrap.wrap(text, WIDTH - indent - closing, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * (indent + hanging)}".join(lines)


def _advice(documentation: str) -> str:
    """Without what is said of placeholders, which is for who writes the service."""
    return documentation.partition(" Placeholder")[0]


def _formatted(text: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "generated.py", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=core.ROOT, check=True)  # noqa: S603
    return done.stdout
