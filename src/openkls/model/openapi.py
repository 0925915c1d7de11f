"""The API as an OpenAPI 3.1 document, made from the service model.

Rule: pure values out of the model, so that the document can never say what the service does not do; the same model
gives the same document.

OpenAPI tells operations apart by path and method, never by query, so each action stands under the path that names it,
`/api/<Action>/<Version>`, with its documented method; `/?Action=..&Version=..` means the same. Schemas of answers are
closed (no further members), those of requests open: unknown parameters are ignored. Patterns are rewritten for the
searched, ECMA 262 expressions of JSON Schema, in a form that Python's `re` reads alike.
"""

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

from openkls.model.reference import example
from openkls.model.shapes import GatewayError, Member, Operation, Rate, RetCode, ServiceModel, Shape

OPENAPI_VERSION: Final = "3.1.0"
TITLE: Final = "KLS live streaming"
PATH: Final = "/openapi.json"
"""Where a running service has the document, unsigned."""

Schema = dict[str, Any]

_INT32_MAX: Final = (1 << 31) - 1
_ASCII: Final = 128
_BRACKETED: Final = re.compile(r"\[(?:[^\]\\]|\\.)*\]")

_SIGV4 = """AWS Signature Version 4 with the service `kls`. The header is `AWS4-HMAC-SHA256 Credential=<access key>/\
<YYYYMMDD>/<region>/kls/aws4_request, SignedHeaders=<names>, Signature=<hexadecimal>`; `host` must be signed, and the \
request needs an `X-Amz-Date` within 15 minutes of the server's clock. Any SigV4 signer works: botocore, \
`curl --aws-sigv4`, the vendor's SDKs."""
_PRESIGNED = """The same signature in the query of a GET: X-Amz-Algorithm, X-Amz-Credential, X-Amz-Date, \
X-Amz-Expires (at most 604800 seconds), X-Amz-SignedHeaders and X-Amz-Signature."""
_DESCRIPTION = """{model}

Every action is accepted by GET and POST, over this path or `/?Action=<Action>&Version={version}`; a GET takes its \
parameters from the query, a POST from a JSON or form body. An integer may be sent as a string of decimal digits. An \
empty string or null is an absent value; unknown parameters are ignored. HTTP 200 holds `Data.RetCode`, which is 0 for \
a success; another status holds an error, as JSON when Accept holds `application/json` and as XML otherwise."""
_DRY_RUN = "With `true` nothing is done: a request that would have reached its action is answered ErrorDryRun, 412."


def document(model: ServiceModel) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a model, as JSON values."""
    given = [entry for entry in model.gateway_errors.values() if not entry.reserved]
    request_id = _request_id(next(iter(model.operations.values())))
    paths = {f"/api/{name}/{model.version}": _path(model, each) for name, each in model.operations.items()}
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": TITLE,
            "version": model.version,
            "description": _DESCRIPTION.format(model=model.documentation, version=model.version),
        },
        "servers": [{"url": "/"}],
        "security": [{"sigv4": []}],
        "paths": paths | {PATH: {"get": _itself()}},
        "components": {
            "schemas": _schemas(model),
            "parameters": {"DryRun": _query_parameter("DryRun", {"type": "boolean", "default": False}, _DRY_RUN)},
            "headers": {
                "RequestId": _header("The answer's RequestId.", "RequestId"),
                "ErrorType": _header("The error's Code.", None),
            },
            "examples": {entry.name: _error_example(entry, request_id) for entry in given},
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": _SIGV4,
                    "x-amazon-apigateway-authtype": "awsSigv4",
                },
                "presigned": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "X-Amz-Signature",
                    "description": _PRESIGNED,
                    "x-amazon-apigateway-authtype": "awsSigv4",
                },
            },
        },
    }


# -- operations ---------------------------------------------------------------------------------------------------


def _path(model: ServiceModel, operation: Operation) -> dict[str, Any]:
    """The path item of an action: its documented method alone."""
    shown: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.documentation.partition(". ")[0].rstrip("."),
        "description": f"{operation.documentation}\n\nThe same as `{operation.method} {operation.request_uri}`."
        f" At most {_rate(operation.rate)} an account.",
    }
    dry_run = {"$ref": "#/components/parameters/DryRun"}
    members = operation.input.members.values()
    if operation.method == "GET":
        shown["security"] = [{"sigv4": []}, {"presigned": []}]
        shown["parameters"] = [*(_parameter(member) for member in members), dry_run]
    else:
        schema = {"$ref": f"#/components/schemas/{operation.input.name}"}
        shown["parameters"] = [dry_run]
        shown["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {"schema": schema},
                "application/x-www-form-urlencoded": {"schema": schema},
            },
        }
    shown["responses"] = {"200": _answered(model, operation)} | _refused(model, operation)
    return {operation.method.lower(): shown}


def _rate(rate: Rate) -> str:
    period = "a second" if rate.per_seconds == 1 else f"in {rate.per_seconds} seconds"
    return f"{rate.requests} requests {period} for"


def _parameter(member: Member) -> dict[str, Any]:
    return _query_parameter(member.name, _requested(member, described=False), _meaning(member), member.required)


def _query_parameter(name: str, schema: Schema, description: str, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def _requested(member: Member, described: bool = True) -> Schema:
    """A member of a request: its shape, and the default that an absent one has."""
    schema: Schema = {"$ref": f"#/components/schemas/{member.shape.name}"}
    if described:
        schema["description"] = _meaning(member)
    if member.rule.default is not None:
        schema["default"] = member.rule.default
    if member.rule.among:
        schema["enum"] = list(member.rule.among)
    return schema


def _meaning(member: Member) -> str:
    return f"{member.documentation} Unit: {member.unit}." if member.unit else member.documentation


def _answered(model: ServiceModel, operation: Operation) -> dict[str, Any]:
    """HTTP 200: a success, or a RetCode with its text and the zeroed members that the action documents."""
    ref = {"$ref": f"#/components/schemas/{operation.data.name}"}
    success = {**ref, "properties": {"RetCode": {"const": 0}, "RetMsg": {"const": model.ret_codes[0].text}}}
    zeroed: dict[str, Any] = {name: {"const": value} for name, value in operation.failure.items()}
    failure = _object([*zeroed.items(), ("RetCode", {"type": "integer"}), ("RetMsg", {"type": "string"})])
    failure["required"] = list(failure["properties"])
    failure["additionalProperties"] = False
    failure["oneOf"] = [{"$ref": f"#/components/schemas/RetCode{code}"} for code in operation.ret_codes if code]
    return {
        "description": "The action's answer: `Data.RetCode` is 0 for a success, or tells what was wrong.",
        "headers": {"x-amzn-RequestId": {"$ref": "#/components/headers/RequestId"}},
        "content": {
            "application/json": {
                "schema": {"oneOf": [_envelope(success), _envelope(failure)]},
                "examples": {
                    "success": {"value": example(operation.output)},
                    "failure": {"value": _failure_example(model, operation)},
                },
            }
        },
    }


def _envelope(data: Schema) -> Schema:
    whole = _object([("Data", data), ("RequestId", {"$ref": "#/components/schemas/RequestId"})])
    return {**whole, "required": ["Data", "RequestId"], "additionalProperties": False}


def _failure_example(model: ServiceModel, operation: Operation) -> dict[str, Any]:
    data = model.failure(operation, next(filter(None, operation.ret_codes)))
    return {"Data": data, "RequestId": _request_id(operation)}


def _request_id(operation: Operation) -> object:
    return operation.output.members["RequestId"].example


def _refused(model: ServiceModel, operation: Operation) -> dict[str, Any]:
    """A response for each status the action's gateway errors have."""
    errors = sorted((model.gateway_errors[name] for name in operation.errors), key=lambda entry: entry.status)
    return {str(status): _refusal(list(group)) for status, group in groupby(errors, key=lambda entry: entry.status)}


def _refusal(errors: list[GatewayError]) -> dict[str, Any]:
    codes = list(dict.fromkeys(entry.code for entry in errors))
    schema = {
        "$ref": "#/components/schemas/GatewayFailure",
        "properties": {"Error": {"properties": {"Code": {"enum": codes}, "Type": {"const": errors[0].type}}}},
    }
    examples = {entry.name: {"$ref": f"#/components/examples/{entry.name}"} for entry in errors}
    return {
        "description": ", ".join(codes),
        "headers": {
            "x-amzn-RequestId": {"$ref": "#/components/headers/RequestId"},
            "x-amzn-errortype": {"$ref": "#/components/headers/ErrorType"},
        },
        "content": {
            "application/json": {"schema": schema, "examples": examples},
            "application/xml": {"schema": {**schema, "xml": {"name": "ErrorResponse"}}},
        },
    }


def _itself() -> dict[str, Any]:
    return {
        "operationId": "OpenApi",
        "summary": "This document",
        "description": "This document. It needs no signature.",
        "security": [],
        "responses": {"200": {"description": "It.", "content": {"application/json": {"schema": {"type": "object"}}}}},
    }


# -- components ---------------------------------------------------------------------------------------------------


def _schemas(model: ServiceModel) -> dict[str, Schema]:
    """The shapes that answers and parameters refer to, the bodies of requests, the business codes, the one error."""
    operations = model.operations.values()
    inputs = {each.input.name for each in operations}
    elsewhere = inputs | {each.output.name for each in operations}
    schemas = {name: _schema(shape) for name, shape in sorted(model.shapes.items()) if name not in elsewhere}
    schemas |= {each.input.name: _request_body(each) for each in operations if each.method == "POST"}
    schemas |= {f"RetCode{code}": _ret_code(entry) for code, entry in model.ret_codes.items() if entry.actions and code}
    return schemas | {"GatewayFailure": _gateway_failure()}


def _request_body(operation: Operation) -> Schema:
    members = operation.input.members.values()
    schema = _object((member.name, _requested(member)) for member in members)
    return schema | {"required": [member.name for member in members if member.required]}


def _ret_code(entry: RetCode) -> Schema:
    return {
        "description": entry.documentation,
        "properties": {"RetCode": {"const": entry.code}, "RetMsg": {"const": entry.text}},
    }


def _gateway_failure() -> Schema:
    error = _object(
        [
            ("Type", {"type": "string", "enum": ["Sender", "Receiver"]}),
            ("Code", {"type": "string"}),
            ("Message", {"type": "string"}),
        ]
    )
    error |= {"required": ["Type", "Code", "Message"], "additionalProperties": False}
    whole = _object([("RequestId", {"$ref": "#/components/schemas/RequestId"}), ("Error", error)])
    return whole | {"required": ["RequestId", "Error"], "additionalProperties": False}


def _header(description: str, shape: str | None) -> dict[str, Any]:
    schema = {"type": "string"} if shape is None else {"$ref": f"#/components/schemas/{shape}"}
    return {"description": description, "required": True, "schema": schema}


def _error_example(entry: GatewayError, request_id: object) -> dict[str, Any]:
    message = entry.message(*["..."] * entry.text.count("%s"))
    error = {"Type": entry.type, "Code": entry.code, "Message": message}
    return {"summary": entry.documentation, "value": {"RequestId": request_id, "Error": error}}


def _schema(shape: Shape) -> Schema:
    schema: Schema = {"description": shape.documentation}
    if shape.item is not None:
        schema |= {"type": "array", "items": {"$ref": f"#/components/schemas/{shape.item.name}"}}
        bounds = ("minItems", "maxItems")
    elif shape.type == "structure":
        return schema | _structure(shape)
    elif shape.type == "string":
        schema["type"] = "string"
        bounds = ("minLength", "maxLength")
    else:
        schema |= _number(shape)
        bounds = ("minimum", "maximum")
    values: dict[str, Any] = {bounds[0]: shape.minimum, bounds[1]: shape.maximum}
    values["pattern"] = None if shape.pattern is None else portable_pattern(shape.pattern)
    values["enum"] = list(shape.enum) or None
    return schema | {name: value for name, value in values.items() if value is not None}


def _number(shape: Shape) -> Schema:
    if shape.type == "double":
        return {"type": "number", "format": "double"}
    wide = shape.type == "long" or (shape.maximum or 0) > _INT32_MAX
    return {"type": "integer", "format": "int64" if wide else "int32"}


def _structure(shape: Shape) -> Schema:
    """A structure of an answer: exactly its members, or exactly those of one of its variants."""
    schema = _object((member.name, _reported(member)) for member in shape.members.values())
    schema["additionalProperties"] = False
    if len(shape.variants) == 1:
        schema["required"] = list(shape.members)
        return schema
    schema["oneOf"] = [
        {
            "title": name,
            "required": [member for member in shape.members if member in names],
            "maxProperties": len(names),
        }
        for name, names in shape.variants.items()
    ]
    return schema


def _reported(member: Member) -> Schema:
    schema: Schema = {"$ref": f"#/components/schemas/{member.shape.name}", "description": _meaning(member)}
    return schema if member.example is None else schema | {"examples": [member.example]}


def _object(members: Iterable[tuple[str, Schema]]) -> Schema:
    return {"type": "object", "properties": dict(members)}


def portable_pattern(pattern: str) -> str:
    r"""A pattern of the model, which Python matches against the whole value, for JSON Schema, which searches.

    A set with `\w` becomes one of the ASCII characters that are not in it, negated: expressions of ECMA 262 and of
    Python have no common notation for the letters and digits of every script, so any other character passes here and
    is the service's to judge.
    """

    def rewrite(found: re.Match[str]) -> str:
        return _negated(found[0]) if r"\w" in found[0] else found[0]

    return f"^(?:{_BRACKETED.sub(rewrite, pattern)})$".replace(r"\Z", "$")


def _negated(bracketed: str) -> str:
    allowed = re.compile(bracketed)
    outside = [code for code in range(_ASCII) if allowed.fullmatch(chr(code)) is None]
    # Consecutive codes are as far from their own numbers.
    runs = [[code for _, code in run] for _, run in groupby(enumerate(outside), key=lambda pair: pair[1] - pair[0])]
    ends = (sorted({run[0], run[-1]}) for run in runs)
    return "[^" + "".join("-".join(f"\\x{code:02x}" for code in pair) for pair in ends) + "]"
