"""Answers held against the schemas of an OpenAPI document."""

from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from openkls import model

Document = dict[str, Any]


def faults(document: Document, action: str, answer: object, status: int = 200) -> list[str]:
    """What is wrong with an answer's body, as JSON, for its action and status; [] if nothing."""
    operation = model.operations()[action]
    path = f"~1api~1{action}~1{operation.version}"
    where = f"paths/{path}/{operation.method.lower()}/responses/{status}/content/application~1json/schema"
    return [error.message for error in _validator(document, where).iter_errors(answer)]


def faults_of(document: Document, schema: str, value: object) -> list[str]:
    """The same for a component's schema."""
    return [error.message for error in _validator(document, f"components/schemas/{schema}").iter_errors(value)]


def _validator(document: Document, where: str) -> Draft202012Validator:
    resource = DRAFT202012.create_resource(document)
    registry = Registry().with_resource("urn:openkls", resource)
    return Draft202012Validator({"$ref": f"urn:openkls#/{where}"}, registry=registry)
