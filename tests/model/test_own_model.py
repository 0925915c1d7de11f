"""Lints the model of our own version: complete by itself, one with the contract's, documented, bounded.

Rule: facts that the model must agree with are written out here, never computed from the model.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel as BotocoreModel

from openkls import model
from openkls.model import Member, Rejection, Shape, coerce, conforms
from openkls.model.openapi import document
from openkls.model.reference import all_pages, example
from support_openapi import faults

OWN = model.load(model.OWN_VERSION)
CONTRACT = model.load()
RAW = json.loads(model.source(model.OWN_VERSION))
DOCUMENT = document(OWN)

# Name: method, parameters (! is mandatory), members of Data. s string, i integer, d number, X[...] a list, X{...} a
# structure.
ACTIONS = {
    "DescribeStreamMetrics": (
        "GET",
        "UniqueName App Stream Period StartUnixTime EndUnixTime",
        "App s, Period i, Series[Name s, Unit s, Values[d]], Stream s, Times[i], UniqueName s",
    ),
    "DescribeLiveStreams": (
        "GET",
        "UniqueName App Stream",
        "Bw i, BwReal d, Count i, OnlineUser i, Streams[Acodec s, App s, Bw i, BwDiff d, BwIn d, BwInAudio d, BwReal d,"
        " ClientIp s, ClientPort i, Curbitrate d, Curfps i, FLR i, FrameRate i, Height i, Node s, OnlineFlv i,"
        " OnlineHls i, OnlineRtmp i, OnlineUser i, PubTime i, Pubdomain s, SampleRate i, SessionId s, Stream s,"
        " UniqueName s, Vcodec s, Width i], UpdateTime i",
    ),
    "DescribeSpaces": (
        "GET",
        "",
        "AccountId s, ByAddress i, Node s, PlayPort i, Region s, RtmpPort i, Spaces[Apps[s], Callback i, Durations i,"
        " PlayDomains[Auth s, Id s, Name s], PublishDomains[Auth s, Name s, RecordedAs s], UniqueName s]",
    ),
    "DescribeNodes": (
        "GET",
        "",
        "Nodes[BootId s, Bw i, BwReal d, Live i, Node s, OnlineUser i, StartTime i, Streams i, UpdateTime i]",
    ),
    "DescribeAudit": (
        "GET",
        "Marker Limit",
        "Count i, Marker i, Rows[AccessKey s, Action s, Address s, Detail s, Number i, Outcome s, RequestId s,"
        " Resource s, Time i], Total i",
    ),
    "DescribeAccessKeys": (
        "GET",
        "",
        "Keys[AccessKey s, CreateTime i, ExpireTime i, Policy s, Source s, State s]",
    ),
    "CreateAccessKey": ("POST", "Policy", "AccessKey s, SecretKey s"),
    "RotateAccessKey": ("POST", "AccessKey! GraceSeconds", "AccessKey s, SecretKey s"),
    "DisableAccessKey": ("POST", "AccessKey!", ""),
    "SetAccessKeyPolicy": ("POST", "AccessKey! Policy!", ""),
    "DescribeStreamUrls": (
        "GET",
        "UniqueName! App! Pubdomain! Stream! ExpireUnixTime",
        "ExpireUnixTime i, Plays[Auth s, Domain s, Protocol s, Url s], Push{Auth s, Server s, StreamKey s, Url s}",
    ),
}
OWN_CODES = {
    7001: "access key does not exist",
    7002: "access key is read only",
    7003: "access key has ended",
    7004: "policy error",
    7005: "too many access keys",
}
# Beside 0 and 5000, which every action gives.
CODES = {
    "DescribeStreamMetrics": {1000, 1002, 1003, 1004, 4001, 4999, 6406},
    "DescribeLiveStreams": {1002, 1003, 1004, 4999, 6406},
    "DescribeSpaces": set(),
    "DescribeNodes": set(),
    "DescribeAudit": {4999},
    "DescribeAccessKeys": set(),
    "CreateAccessKey": {4999, 7004, 7005},
    "RotateAccessKey": {1000, 4999, 7001, 7002, 7003, 7005},
    "DisableAccessKey": {1000, 4999, 7001, 7002},
    "SetAccessKeyPolicy": {1000, 4999, 7001, 7002, 7004},
    "DescribeStreamUrls": {1000, 1002, 1003, 1004, 4000, 4001, 4201, 4999, 6406},
}


def spelled(shape: Shape, without: frozenset[str] = frozenset()) -> str:
    letters = {"string": "s", "integer": "i", "long": "i", "double": "d"}
    parts = []
    for name in sorted(shape.members.keys() - without):
        inner = shape.members[name].shape
        if inner.item is not None:
            parts.append(f"{name}[{spelled(inner.item) if inner.item.members else letters[inner.item.type]}]")
        elif inner.members:
            parts.append(f"{name}{{{spelled(inner)}}}")
        else:
            parts.append(f"{name} {letters[inner.type]}")
    return ", ".join(parts)


def every_member() -> Iterator[tuple[str, Member]]:
    for shape in OWN.shapes.values():
        for member in shape.members.values():
            yield f"{shape.name}.{member.name}", member


# -- both versions ---------------------------------------------------------------------------------------------------


def test_versions_are_the_contracts_and_ours() -> None:
    assert list(model.services()) == ["2017-01-01", "2026-01-01"] == [model.CONTRACT_VERSION, model.OWN_VERSION]
    assert (CONTRACT.version, OWN.version) == ("2017-01-01", "2026-01-01")
    with pytest.raises(KeyError):
        model.load("2016-01-01")


def test_no_name_is_in_both_versions() -> None:
    assert not CONTRACT.actions.keys() & OWN.actions.keys()
    assert list(model.operations()) == [*CONTRACT.operations, *OWN.operations]


def test_action_is_found_in_its_own_version_alone() -> None:
    for version, service in model.services().items():
        for name, operation in service.actions.items():
            assert model.find(name, version) is operation
            assert operation.version == version
            assert all(model.find(name, other) is None for other in model.services() if other != version)
    assert model.find("ForbidStream", "2016-01-01") is None


def test_what_both_versions_have_is_the_same_in_both() -> None:
    contract = json.loads(model.source())
    texts = {entry["code"]: entry["text"] for entry in contract["x-kls-ret-codes"]}
    for entry in RAW["x-kls-ret-codes"]:
        assert entry["text"] == texts.get(entry["code"], OWN_CODES.get(entry["code"])), entry
    assert not texts.keys() & OWN_CODES.keys()
    shared = RAW["shapes"].keys() & contract["shapes"].keys()
    assert len(shared) > 30
    # What a key with a policy meets is explained in words of its own.
    explained = {"InvalidAuthenticationCode"}
    for name in shared:
        ours, theirs = dict(RAW["shapes"][name]), dict(contract["shapes"][name])
        if name in explained:
            del ours["documentation"], theirs["documentation"]
        assert ours == theirs, name


def test_gateway_errors_are_all_the_contracts() -> None:
    assert OWN.gateway_errors.keys() <= CONTRACT.gateway_errors.keys()
    assert not OWN.break_codes


# -- our own ---------------------------------------------------------------------------------------------------------


def test_actions_are_those_agreed_on() -> None:
    envelope = frozenset(("RetCode", "RetMsg"))
    found = {
        name: (
            operation.method,
            " ".join(each.name + "!" * each.required for each in operation.input.members.values()),
            spelled(operation.data, envelope),
        )
        for name, operation in OWN.operations.items()
    }
    assert found == ACTIONS
    for name, operation in OWN.operations.items():
        assert operation.request_uri == f"/?Action={name}&Version=2026-01-01"
        assert (operation.rate.requests, operation.rate.per_seconds) == (120, 60)
        location = "query" if operation.method == "GET" else "body"
        assert {member.location for member in operation.input.members.values()} <= {location}
        assert list(operation.data.members)[-2:] == ["RetCode", "RetMsg"]
        assert set(operation.data.members) == {each.name for each in operation.data.members.values() if each.required}


def test_ret_codes_are_those_agreed_on() -> None:
    assert {name: set(each.ret_codes) - {0, 5000} for name, each in OWN.operations.items()} == CODES
    assert not any(entry.reserved for entry in OWN.ret_codes.values())
    assert {code: OWN.ret_codes[code].text for code in OWN_CODES} == OWN_CODES


def test_codes_of_parameters_are_among_those_the_action_gives() -> None:
    for operation in OWN.operations.values():
        for member in operation.input.members.values():
            assert {member.rule.malformed, member.rule.wrong_type} <= set(operation.ret_codes), member.name


def test_changes_tell_of_a_store_that_fails_and_so_does_the_audit() -> None:
    asks_store = {name for name, each in OWN.operations.items() if "ServiceUnavailable" in each.errors}
    assert asks_store == {name for name, (method, _, _) in ACTIONS.items() if method == "POST"} | {"DescribeAudit"}


def test_everything_is_documented_has_examples_and_units() -> None:
    texts = [OWN.documentation]
    texts += [operation.documentation for operation in OWN.operations.values()]
    texts += [shape.documentation for shape in OWN.shapes.values()]
    texts += [member.documentation for _, member in every_member()]
    texts += [entry.documentation for entry in OWN.ret_codes.values()]
    assert [text for text in texts if not re.fullmatch(r"(?s)\S.*[.]", text)] == []
    for path, member in every_member():
        shape = member.shape
        if shape.type in ("structure", "list"):
            assert member.example is None, path
        else:
            assert member.example is not None, path
            assert shape.type == "string" or member.unit, path


@pytest.mark.parametrize("action", ACTIONS)
def test_answer_made_of_the_examples_conforms_also_to_the_openapi_document(action: str) -> None:
    answer = example(OWN.operations[action].output)
    assert conforms(action, answer) == []
    assert faults(DOCUMENT, action, answer) == []


@pytest.mark.parametrize("action", ACTIONS)
def test_answer_with_a_member_too_many_or_too_few_does_not_conform(action: str) -> None:
    answer = example(OWN.operations[action].output)
    answer["Data"]["More"] = 1
    assert conforms(action, answer)
    assert faults(DOCUMENT, action, answer)
    del answer["Data"]["More"], answer["Data"]["RetMsg"]
    assert conforms(action, answer)


def test_values_inside_lists_of_numbers_and_texts_are_held_against_their_shapes() -> None:
    answer = example(OWN.operations["DescribeStreamMetrics"].output)
    for values in (["1"], [float("nan")], [None], [[1]]):
        answer["Data"]["Series"][0]["Values"] = values
        assert conforms("DescribeStreamMetrics", answer), values
    answer = example(OWN.operations["DescribeSpaces"].output)
    answer["Data"]["Spaces"][0]["Apps"] = ["live", 5]
    assert conforms("DescribeSpaces", answer)


def test_every_request_parameter_is_bounded() -> None:
    for operation in OWN.operations.values():
        for member in operation.input.members.values():
            shape = member.shape
            if shape.type == "string":
                assert shape.pattern, shape.name
                assert shape.minimum == 1, shape.name
                assert shape.maximum, shape.name
            else:
                assert shape.minimum is not None or member.rule.default_below is not None, shape.name


def test_no_shape_is_unused() -> None:
    exceptions = {name for name, raw in RAW["shapes"].items() if raw.get("exception")}
    assert set(OWN.gateway_errors) == exceptions
    assert set(RAW["shapes"]) - exceptions == set(OWN.shapes)


# -- parameters ------------------------------------------------------------------------------------------------------


def code_of(action: str, **raw: object) -> int | dict[str, Any]:
    outcome = coerce(action, raw)
    return outcome.ret_code if isinstance(outcome, Rejection) else outcome


@pytest.mark.parametrize(
    ("period", "outcome"),
    [("10", 10), (60, 60), (None, 10), ("", 10), (30, 4999), (11, 4999), (0, 4999), (61, 4999), (10.0, 4999)],
)
def test_period_is_one_of_two(period: object, outcome: int) -> None:
    found = code_of("DescribeStreamMetrics", Period=period)
    assert found == (outcome if outcome > 60 else {"Period": outcome})


def test_refused_period_is_told_what_there_is() -> None:
    refused = coerce("DescribeStreamMetrics", {"Period": 30})
    assert isinstance(refused, Rejection)
    assert refused.problem == "expected one of 10, 60"


def test_blank_is_a_value_where_it_is_a_setting_and_absent_elsewhere() -> None:
    assert code_of("SetAccessKeyPolicy", AccessKey="AK", Policy="") == {"AccessKey": "AK", "Policy": ""}
    assert code_of("SetAccessKeyPolicy", AccessKey="AK", Policy=None) == 1000
    assert code_of("SetAccessKeyPolicy", AccessKey="AK") == 1000
    assert code_of("SetAccessKeyPolicy", AccessKey="AK", policy="") == 4999
    assert code_of("CreateAccessKey", Policy="") == {}


@pytest.mark.parametrize(("length", "code"), [(128, {"AccessKey": "k" * 128}), (129, 7001)])
def test_access_key_has_a_longest(length: int, code: object) -> None:
    assert code_of("DisableAccessKey", AccessKey="k" * length) == code


@pytest.mark.parametrize("text", ["a b", "a/b", "a\n", "é", "\x00"])
def test_access_key_is_printable_ascii(text: str) -> None:
    assert code_of("DisableAccessKey", AccessKey=text) == 7001


@pytest.mark.parametrize(("length", "refused"), [(65_536, False), (65_537, True)])
def test_policy_has_a_longest(length: int, refused: bool) -> None:
    found = code_of("CreateAccessKey", Policy="\n" * length)
    assert (found == 7004) == refused


# -- other readers ---------------------------------------------------------------------------------------------------


def test_botocore_loads_the_file_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "kls" / model.OWN_VERSION
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_bytes(model.source(model.OWN_VERSION))
    loader = Loader(extra_search_paths=[str(tmp_path)], include_default_search_paths=False)
    service = BotocoreModel(loader.load_service_model("kls", "service-2", model.OWN_VERSION))
    assert service.operation_names == list(ACTIONS)
    for name in service.operation_names:
        operation = service.operation_model(name)
        assert {"Data", "RequestId"} == set(operation.output_shape.members)
        assert all(error.name in CONTRACT.gateway_errors for error in operation.error_shapes)


def test_openapi_document_has_every_action_and_says_which_periods_there_are() -> None:
    assert set(DOCUMENT["paths"]) == {f"/api/{name}/2026-01-01" for name in ACTIONS} | {"/openapi.json"}
    parameters = DOCUMENT["paths"]["/api/DescribeStreamMetrics/2026-01-01"]["get"]["parameters"]
    (period,) = (each["schema"] for each in parameters if each.get("name") == "Period")
    assert (period["enum"], period["default"]) == ([10, 60], 10)


def test_reference_has_the_pages_of_both_versions_apart() -> None:
    pages = all_pages({})
    assert {f"own/actions/{name}.md" for name in ACTIONS} <= set(pages)
    assert "## Break codes" in pages["errors.md"]
    assert "## Break codes" not in pages["own/errors.md"]
    assert "eserved" in pages["errors.md"]
    assert "eserved" not in pages["own/errors.md"]
    urls = pages["own/actions/DescribeStreamUrls.md"]
    assert "### Push\n" in urls
    assert "### Plays[]\n" in urls
    assert "| `Times` | list of integer |" in pages["own/actions/DescribeStreamMetrics.md"]
    assert "| Name |" not in pages["own/actions/DescribeSpaces.md"].partition("## Answer")[0]
