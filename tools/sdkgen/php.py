"""The PHP SDK's generated part: the client's methods, the result classes, the exceptions of the gateway and the tables.

Rule: every name, type, unit and text comes from the service model; PHP's own names for them are derived here alone.
"""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

from openkls import model
from openkls.model import GatewayError, Member, Operation, ServiceModel, Shape
from tools.sdkgen import core

SOURCE = "sdk/php/src/OpenKls"
LINE = 118
_SCALARS = {"string": "string", "integer": "int", "long": "int", "double": "float"}


def files() -> dict[str, str]:
    """The generated files of ``sdk/php``: repository-relative paths and their texts."""
    service = model.load()
    templates = core.environment("php")
    templates.filters |= {"variable": variable, "literal": literal, "type": php_type, "docs": docs, "reader": reader}
    templates.globals |= {"generated": core.GENERATED}

    def render(template: str, **values: Any) -> str:
        return templates.get_template(template).render(service=service, **values)

    operations = [_operation(each) for each in service.operations.values()]
    codes = _exceptions(service)
    texts = {
        "KlsClient.php": render("client.php.j2", operations=operations),
        "Model.php": render("model.php.j2", operations=operations, version=core.version(), errors=_errors(service)),
        "RetCode.php": render("retcode.php.j2", codes=list(_constants(service))),
    }
    data = {each.data.name for each in service.operations.values()}
    for shape in _structures(service):
        texts[f"Result/{shape.name}.php"] = render("result.php.j2", shape=shape, whole=shape.name in data)
    for code, meanings in codes.items():
        texts[f"Exception/{code}Exception.php"] = render("exception.php.j2", code=code, meanings=meanings)
    return {f"{SOURCE}/{path}": text for path, text in texts.items()}


def variable(name: str) -> str:
    """``UniqueName`` as ``uniqueName``, ``ClientIP`` as ``clientIP``, ``FLR`` as ``flr``."""
    return name.lower() if name.isupper() else name[0].lower() + name[1:]


def literal(value: str) -> str:
    """A text as PHP's single-quoted string."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def php_type(member: Member) -> str:
    """The type of a member's property or argument; nullable where it may be absent."""
    name = "array" if member.shape.item else _SCALARS[member.shape.type]
    return name if member.required else f"?{name}"


def reader(member: Member) -> str:
    """The method of ``Fields`` that reads the member, with its arguments."""
    if member.shape.item is not None:
        called = f"rows('{member.name}', {member.shape.item.name}::class)"
    else:
        called = f"{_SCALARS[member.shape.type]}('{member.name}')"
    return called if member.required else f"has('{member.name}') ? $fields->{called} : null"


def docs(text: str, indent: int, first: str = "") -> str:
    """A text as lines of a docblock: `` * ...``; ``first`` stands before it and leads the following lines' indent."""
    lead = " " * indent + " * "
    lines = textwrap.wrap(
        first + text.replace("*/", "* /"), LINE - len(lead), subsequent_indent="    " if first else ""
    )
    return "\n".join(lead + line for line in lines)


def _operation(operation: Operation) -> dict[str, Any]:
    # Mandatory parameters stand first, as PHP wants them; on the wire the model's order rules.
    members = sorted(operation.input.members.values(), key=lambda member: not member.required)
    rows = next((member for member in operation.data.members.values() if member.shape.item), None)
    paged = {"Marker", "Limit"} <= operation.input.members.keys()
    return {
        "name": operation.name,
        "method": operation.method,
        "about": operation.documentation,
        "rate": operation.rate,
        "members": members,
        "wire": list(operation.input.members),
        "result": operation.data.name,
        "codes": [code for code in operation.ret_codes if code],
        "rows": rows if paged else None,
        "limit": operation.input.members["Limit"].rule if paged else None,
    }


def _structures(service: ServiceModel) -> Iterator[Shape]:
    """The structures of all answers, each once."""
    seen: set[str] = set()
    waiting = [operation.data for operation in service.operations.values()]
    while waiting:
        shape = waiting.pop(0)
        if shape.name in seen:
            continue
        seen.add(shape.name)
        yield shape
        waiting += [member.shape.item for member in shape.members.values() if member.shape.item is not None]


def _exceptions(service: ServiceModel) -> dict[str, list[GatewayError]]:
    """The codes that the gateway gives, each with what it may mean."""
    found: dict[str, list[GatewayError]] = {}
    for error in service.gateway_errors.values():
        if not error.reserved:
            found.setdefault(error.code, []).append(error)
    return found


def _errors(service: ServiceModel) -> list[dict[str, Any]]:
    """The gateway's errors, with an expression that their text matches."""
    return [
        {"error": error, "pattern": "~^" + ".*".join(map(_quoted, error.text.split("%s"))) + "$~Ds"}
        for errors in _exceptions(service).values()
        for error in errors
    ]


def _quoted(text: str) -> str:
    """As PHP's preg_quote, for the characters that the texts have."""
    return re.sub(r"([.\\+*?\[^\]$(){}=!<>|:\-#~])", r"\\\1", text)


def _constants(service: ServiceModel) -> Iterator[dict[str, Any]]:
    for code in service.ret_codes.values():
        if not code.reserved:
            name = "_".join(re.findall("[A-Z]?[a-z]+|[A-Z]+|[0-9]+", code.text)).upper()
            yield {"name": name, "code": code}
