"""The OpenAPI document is valid, complete, and says of each action what the model says."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from openkls.model import load, matches
from openkls.model.openapi import PATH, document, portable_pattern
from openkls.model.reference import example
from support_openapi import faults, faults_of

DOCUMENT = document(load())
ACTIONS = list(load().operations)


def operation(action: str) -> Any:
    """What the document has under the action's path, and its method."""
    (item,) = DOCUMENT["paths"][f"/api/{action}/2017-01-01"].items()
    return item


def test_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_document_is_the_same_at_each_run() -> None:
    assert document(load()) == DOCUMENT


def test_document_has_the_nine_actions_and_itself() -> None:
    assert set(DOCUMENT["paths"]) == {*(f"/api/{action}/2017-01-01" for action in ACTIONS), PATH}
    assert DOCUMENT["paths"][PATH]["get"]["security"] == []


@pytest.mark.parametrize("action", ACTIONS)
def test_action_stands_under_its_documented_method(action: str) -> None:
    method, shown = operation(action)
    assert (method.upper(), shown["operationId"]) == (load().operations[action].method, action)
    assert load().operations[action].request_uri in shown["description"]


@pytest.mark.parametrize("action", ACTIONS)
def test_action_has_each_parameter_with_shape_need_and_default(action: str) -> None:
    method, shown = operation(action)
    if method == "get":
        listed = {each["name"]: each for each in shown["parameters"] if "$ref" not in each}
        schemas = {name: each["schema"] for name, each in listed.items()}
        required = {name for name, each in listed.items() if each["required"]}
        assert {each["in"] for each in listed.values()} == {"query"}
    else:
        kinds = shown["requestBody"]["content"]
        assert set(kinds) == {"application/json", "application/x-www-form-urlencoded"}
        (ref,) = {kind["schema"]["$ref"] for kind in kinds.values()}
        body = DOCUMENT["components"]["schemas"][ref.rpartition("/")[2]]
        schemas, required = body["properties"], set(body["required"])
    members = load().operations[action].input.members
    assert list(schemas) == list(members)
    assert required == {name for name, member in members.items() if member.required}
    for name, member in members.items():
        assert schemas[name]["$ref"] == f"#/components/schemas/{member.shape.name}"
        assert schemas[name].get("default") == member.rule.default
    assert {"$ref": "#/components/parameters/DryRun"} in shown["parameters"]


@pytest.mark.parametrize("action", ACTIONS)
def test_action_has_each_gateway_error_under_its_status_and_no_other(action: str) -> None:
    responses = operation(action)[1]["responses"]
    said = {
        (int(status), name)
        for status, response in responses.items()
        if status != "200"
        for name in response["content"]["application/json"]["examples"]
    }
    errors = load().gateway_errors
    assert said == {(errors[name].status, name) for name in load().operations[action].errors}
    assert all({"application/json", "application/xml"} == set(responses[str(status)]["content"]) for status, _ in said)


@pytest.mark.parametrize("action", ACTIONS)
def test_answers_of_an_action_have_exactly_its_ret_codes(action: str) -> None:
    model = load()
    for code in model.ret_codes:
        if code:
            data = model.failure(model.operations[action], code)
            answer = {"Data": data, "RequestId": example(model.operations[action].output)["RequestId"]}
            assert bool(faults(DOCUMENT, action, answer)) == (code not in model.operations[action].ret_codes)
            assert faults(DOCUMENT, action, {**answer, "Data": {**data, "RetMsg": "another text"}})


@pytest.mark.parametrize("action", ACTIONS)
def test_every_example_fits_its_schema(action: str) -> None:
    for status, response in operation(action)[1]["responses"].items():
        for name, each in response["content"]["application/json"]["examples"].items():
            shown = each if "value" in each else DOCUMENT["components"]["examples"][name]
            assert faults(DOCUMENT, action, shown["value"], int(status)) == []


def spoilt(value: Any) -> Iterator[Any]:
    """Copies of an answer with one member left out, or added, or of another type, at any depth."""
    if isinstance(value, dict):
        yield {**value, "Unknown": 1}
        for name, inner in value.items():
            yield {key: each for key, each in value.items() if key != name}
            for each in spoilt(inner):
                yield {**value, name: each}
    elif isinstance(value, list):
        yield from ([each] for inner in value for each in spoilt(inner))
    else:
        yield None


@pytest.mark.parametrize("action", ACTIONS)
def test_answer_with_a_member_too_few_or_too_many_or_of_another_type_does_not_fit(action: str) -> None:
    answer = example(load().operations[action].output)
    before = copy.deepcopy(answer)
    assert faults(DOCUMENT, action, answer) == []
    for each in spoilt(answer):
        assert faults(DOCUMENT, action, each), each
    assert answer == before


@pytest.mark.parametrize("variant", ["full", "push", "pull"])
def test_live_stream_has_the_members_of_one_type_of_list(variant: str) -> None:
    shape = load().shapes["DataByStream"]
    row = {name: value for name, value in example(shape).items() if name in shape.variants[variant]}
    assert faults_of(DOCUMENT, "DataByStream", row) == []
    for name in row:
        assert faults_of(DOCUMENT, "DataByStream", {key: value for key, value in row.items() if key != name})


def test_security_is_sigv4_in_the_header_or_in_the_query_of_a_get() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert (schemes["sigv4"]["in"], schemes["sigv4"]["name"]) == ("header", "Authorization")
    assert (schemes["presigned"]["in"], schemes["presigned"]["name"]) == ("query", "X-Amz-Signature")
    assert DOCUMENT["security"] == [{"sigv4": []}]
    for action in ACTIONS:
        method, shown = operation(action)
        assert shown.get("security") == ([{"sigv4": []}, {"presigned": []}] if method == "get" else None)


def test_every_component_is_referred_to() -> None:
    used = set(re.findall(r"'#/components/(\w+/\w+)'", str(DOCUMENT)))
    there = {
        f"{kind}/{name}" for kind, each in DOCUMENT["components"].items() for name in each if kind != "securitySchemes"
    }
    assert used == there


@pytest.mark.parametrize("shape", ["App", "Stream", "UniqueName", "Pubdomain"])
def test_pattern_is_the_models_for_ascii(shape: str) -> None:
    pattern = re.compile(DOCUMENT["components"]["schemas"][shape]["pattern"])
    texts = [chr(code) for code in range(128)]
    texts += ["", ".", "..", "...", "a.b", "a" * 64, "a" * 65, "a" * 256, "a" * 257, "a-", "-a", "::1", "a..b"]
    for text in texts:
        assert (pattern.search(text) is not None) == matches(shape, text), repr(text)


def test_pattern_lets_other_scripts_pass() -> None:
    pattern = re.compile(DOCUMENT["components"]["schemas"]["Stream"]["pattern"])
    assert pattern.search("大厅-1")
    assert pattern.search("大厅 1") is None


@pytest.mark.parametrize(
    ("pattern", "portable"),
    [
        ("[0-9]{1,19}", "^(?:[0-9]{1,19})$"),
        (r"(?=.{2}\Z)a|b", "^(?:(?=.{2}$)a|b)$"),
        (r"[^\W\]\x61-\x7a]", r"^(?:[^\W\]\x61-\x7a])$"),
        (r"[\w\]]", r"^(?:[^\x00-\x2f\x3a-\x40\x5b-\x5c\x5e\x60\x7b-\x7f])$"),
    ],
)
def test_pattern_becomes_one_that_is_searched(pattern: str, portable: str) -> None:
    assert portable_pattern(pattern) == portable
