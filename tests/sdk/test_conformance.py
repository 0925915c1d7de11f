"""The conformance cases themselves: their shape, what they cover, and that their signatures are those of others too."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from openkls import model
from tools import conformance

FILES = sorted(conformance.FOLDER.glob("*.json"))
CASES: list[dict[str, Any]] = [case for path in FILES for case in json.loads(path.read_text("utf-8"))["cases"]]
MEMBERS = {"name", "client", "clock", "action", "parameters", "pages", "requests", "answers", "waits"}
MEMBERS |= {"least_waits_seconds", "result", "error"}
ERROR_MEMBERS = {"kind", "status", "ret_code", "code", "message", "request_id", "retryable"}
LEAST_CASES = 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_case_is_of_the_form_that_the_readme_says(case: dict[str, Any]) -> None:
    assert set(case) <= MEMBERS
    assert ("result" in case) != ("error" in case)
    assert len(case["answers"]) == len(case["requests"])
    assert set(case.get("error", {})) <= ERROR_MEMBERS
    for answer in case["answers"]:
        assert set(answer) in ({"fault"}, {"status", "headers", "body"})
        assert answer.get("fault") in (None, "refused", "reset", "timeout")
    for request in case["requests"]:
        assert set(request) <= {"method", "target", "headers", "body", "signed_at"}
        assert ("body" in request) == (request["method"] == "POST")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_botocore_signs_alike(case: dict[str, Any]) -> None:
    client = conformance.DEFAULTS | case["client"]
    signer = SigV4Auth(Credentials(client["access_key"], client["secret_key"]), "kls", client["region"])
    for request in case["requests"]:
        headers = {"Host": conformance.HOST, "X-Amz-Date": request["headers"]["X-Amz-Date"]}
        if request["method"] == "POST":
            headers["Content-Type"] = request["headers"]["Content-Type"]
        url = f"http://{conformance.HOST}{request['target']}"
        aws = AWSRequest(request["method"], url, headers=headers, data=request.get("body", "").encode())
        aws.context["timestamp"] = headers["X-Amz-Date"]
        signature = signer.signature(signer.string_to_sign(aws, signer.canonical_request(aws)), aws)
        assert request["headers"]["Authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_request_carries_what_is_given_the_way_the_model_says(case: dict[str, Any]) -> None:
    given = {name: value for name, value in case["parameters"].items() if value is not None}
    for request in case["requests"]:
        operation = model.load().operations[case["action"]]
        assert request["method"] == operation.method
        query = dict(parse_qsl(request["target"].removeprefix("/?"), keep_blank_values=True))
        assert list(query) == sorted(query)
        assert (query.pop("Action"), query.pop("Version")) == (case["action"], model.load().version)
        sent = query if operation.method == "GET" else json.loads(request["body"])
        wanted = {name: str(value) for name, value in given.items()} if operation.method == "GET" else given
        if case.get("pages"):
            sent, wanted = ({**each, "Marker": "", "Limit": ""} for each in (sent, wanted))
        assert sent == wanted
        if operation.method == "POST":
            order = [*operation.input.members, "DryRun"]
            assert list(sent) == sorted(sent, key=order.index)


def test_the_files_are_as_their_tool_writes_them() -> None:
    assert conformance.main(["--check"]) == 0


def test_every_name_is_there_once_and_on_a_line_of_its_own() -> None:
    lines = [line for path in FILES for line in path.read_text("utf-8").splitlines() if '"name":' in line]
    assert all(re.fullmatch(r' *"name": ".+",', line) for line in lines)
    assert len(lines) == len(CASES) >= LEAST_CASES
    assert max(Counter(case["name"] for case in CASES).values()) == 1


def test_the_cases_cover_the_model() -> None:
    known = model.load()
    answered = {case["action"] for case in CASES if "result" in case}
    assert answered == set(known.operations)
    assert {case.get("error", {}).get("kind") for case in CASES} == {None, "Business", "Gateway", "NoAnswer", "Usage"}
    business = {case["error"]["ret_code"] for case in CASES if case.get("error", {}).get("kind") == "Business"}
    assert business >= {code for code, entry in known.ret_codes.items() if code and not entry.reserved}
    gateway = {case["error"]["code"] for case in CASES if case.get("error", {}).get("kind") == "Gateway"}
    answered_codes = {
        (json.loads(answer["body"]).get("Error") or {}).get("Code")
        for case in CASES
        for answer in case["answers"]
        if answer.get("body", "").startswith('{"RequestId"')
    }
    given = {entry.code for entry in known.gateway_errors.values() if not entry.reserved}
    assert gateway | answered_codes >= given
    assert any(answer.get("body", "").startswith("<ErrorResponse>") for case in CASES for answer in case["answers"])
    paged = {case["action"] for case in CASES if case.get("pages") and "result" in case}
    assert paged == {name for name, each in known.operations.items() if "Marker" in each.input.members}
    for method in ("GET", "POST"):
        named = [r for case in CASES for r in case["requests"] if r["method"] == method]
        assert any("%E7%9B%B4" in r["target"] or "直" in r.get("body", "") for r in named)


def test_the_readme_shows_a_case_that_is_there() -> None:
    text = Path(conformance.FOLDER, "README.md").read_text("utf-8")
    (name,) = re.findall(r'"name": "(.+)"', text)
    assert name in [case["name"] for case in CASES]
