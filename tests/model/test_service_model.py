"""Lints the service model: complete, documented, consistent with itself, the vendor's tables word for word.

Rule: facts that the model must agree with are written out here, never computed from the model.
"""

import json
import re
from collections.abc import Iterator

import pytest

from openkls.model import Member, ServiceModel, Shape, conforms, load, matches, source
from openkls.model.reference import example

RAW = json.loads(source())

NUMERIC = {"integer", "long", "double"}

ACTIONS = {
    "ListRealtimeStreamsInfo": ("POST", 50, 60),
    "ListRealtimePubStreamsInfo": ("GET", 50, 60),
    "ListHistoryPubStreamsInfo": ("GET", 50, 60),
    "ListHistoryPubStreamsErrInfo": ("GET", 50, 60),
    "ListStreamDurations": ("GET", 50, 60),
    "ForbidStream": ("POST", 200, 1),
    "ResumeStream": ("POST", 100, 1),
    "GetBlacklist": ("GET", 100, 1),
    "CheckBlacklist": ("GET", 100, 1),
}

# A trailing ! marks a mandatory parameter.
PARAMETERS = {
    "ListRealtimeStreamsInfo": "UniqueName! App! Stream DomainIds PullProtocol Type",
    "ListRealtimePubStreamsInfo": "UniqueName! App! Pubdomain! Stream OrderTime Marker Limit",
    "ListHistoryPubStreamsInfo": (
        "UniqueName! App! Pubdomain! Stream OrderTime Marker Limit StartUnixTime EndUnixTime"
    ),
    "ListHistoryPubStreamsErrInfo": (
        "UniqueName! App! Pubdomain! Stream OrderTime Marker Limit StartUnixTime EndUnixTime"
    ),
    "ListStreamDurations": "UniqueName! App! Pubdomain! Stream StartUnixTime! EndUnixTime!",
    "ForbidStream": "UniqueName! App! Pubdomain! Stream! ForbidTillUnixTime",
    "ResumeStream": "UniqueName! App! Pubdomain! Stream!",
    "GetBlacklist": "UniqueName! App! Pubdomain!",
    "CheckBlacklist": "UniqueName! App! Pubdomain! Stream!",
}

# s string, i 32-bit integer, l 64-bit integer, d number; X[...] a list of structures.
_HISTORY = (
    "App s, Count i, EndUnixTime i, Marker i, OrderTime i, Pubdomain s, Result[Detail[Clientip s, Fintime i, Pubtime i,"
    " StatusCode i, StatusMessage s], Stream s], RetCode i, RetMsg s, StartUnixTime i, Total i, UniqueName s"
)
ANSWERS = {
    "ListRealtimeStreamsInfo": (
        "App s, Bw l, Count i, OnlineUser l, RetCode i, RetMsg s, Streams[Acodec s, Bw l, BwDiff d, BwIn d,"
        " BwInAudio d, BwReal i, ClientIP s, Curbitrate d, Curfps i, FLR i, FrameRate i, Height i, Node s,"
        " OnlineUser l, PubTime i, Pulls[Bw l, OnlineUser l, Stream s], SampleRate i, Stream s, Vcodec s, Width i],"
        " UniqueName s"
    ),
    "ListRealtimePubStreamsInfo": (
        "App s, Count i, Marker i, OrderTime i, Pubdomain s, Result[BwIn s, BwInAudio s, BwReal s, Clientip s,"
        " Curbitrate i, Curfps i, FrameRate s, Height s, Pubtime i, SampleRate s, Stream s, UpdateTime i, Width s],"
        " RetCode i, RetMsg s, Total i, UniqueName s"
    ),
    "ListHistoryPubStreamsInfo": _HISTORY,
    "ListHistoryPubStreamsErrInfo": _HISTORY,
    "ListStreamDurations": (
        "App s, Count i, Pubdomain s, Result[Duration i, EndTime i, StartTime i, Stream s], RetCode i, RetMsg s,"
        " UniqueName s"
    ),
    "ForbidStream": "RetCode i, RetMsg s",
    "ResumeStream": "RetCode i, RetMsg s",
    "GetBlacklist": (
        "App s, Pubdomain s, Recs[ForbidTillUnixTime i, ForbidUnixTime i, Stream s], RetCode i, RetMsg s, Total i,"
        " UniqueName s"
    ),
    "CheckBlacklist": "CheckResult i, RetCode i, RetMsg s",
}

# The document's first table: code, text, status; those given are marked with a trailing * on the code.
_LIMIT_EXCEEDED = (
    "Request was rejected because the request speed of this openAPI is beyond the current flow control limit."
)
GATEWAY_ROWS = (
    """
MissingParameter|The input parameter "%s" that is mandatory for processing this request is not supplied.|400
InvalidParameter|The input parameter "%s" is not valid.|400
InvalidParameterValue|The input parameter value "%s" is not valid.|400
InvalidParameterValue*|The input parameter value type error.|400
LimitExceeded*|@|409
StreamNotExist|The Live stream does not exist.|404
UnknownError|The request processing has failed due to some unknown error.|400
InvalidParameterValue|Uniquename, pubdomain and app do not match.|400
MissingKs3Bucket|There is no Ks3Bucket for storing files.|403
MissingKs3Bucket|Ks3Bucket does not exist.|404
ServiceUnavailable*|The service is unavailable due to an internal exception.|500
UnavailableRegion*|The region %s is unavailable for the openapi|400
InaccessibleOpenapi|Without access to call Inner Openapi.|401
UnavailableAccountID*|The Account ID is invalid.|401
ServiceTimeout*|Internal Service is unavailable because of time out.|500
ErrorDryRun*|Request would have succeeded, but DryRun flag is set.|412
InvalidAuthenticationCode*|the policy deny to [%s] the resources[%s]|403
InvalidAuthenticationCode*|lack of policy to [%s] the resources[%s]|403
InvalidAuthenticationCode*|Request was rejected because of lack of policy.|403
SignatureNotMatch*|The Signature is not matched|400
InvalidAccesskey*|Invalid Accesskey(%s)|400
MissingAccesskey*|Access Key is Missing|400
InvalidTimestamp*|Invalid Timestamp(%s). Pls in 15mins|400
InvalidActionOrVersion*|The action %s or version %s is not valid for this web service|400
ServiceUnavailable*|Invalid service(%s)|404
MissingSignature*|The Request is missing Signature Parameter.|400
MissingTimestamp*|The request is missing timestamp parameter.|400
MissingParameter*|The request is missing %s parameter.|400
UndefinedError*|Undefine Internal Error. Pls Contact With Admin.|500
""".strip()
    .replace("@", _LIMIT_EXCEEDED)
    .splitlines()
)

# The document's second table and 0; those the nine actions give are marked with a trailing *.
RET_CODE_ROWS = """
0*|success
1|other error
1000*|lack of parameters
1002*|invalid uniquenessname
1003*|invalid app name
1004*|invalid stream name
1005|invalid preset name
1200|task does not exist
1201|task already exists
1202|failed to insert records
1203|failed to delete records
1204|failed to update records
3802*|stream has been banned and no change forbid information
4000*|invalid pubdomain
4001*|invalid time
4201*|get result error
4999*|parameters other error
5000*|the user does not exist
6000|no files(m3u8) during the task
6010|splash started, but no online stream
6400|failed to get the number of tasks
6401|recording number reach upper limit
6402|get stream record status error
6403|stream is recording
6404|stream record has been stopped
6405|RecID does not exist
6406*|unique_name and accountId not match
6701|get ej_jobName empty
6702|ej interface use or return fail
6703|start time error
6704|end time error
6705|file name or path error
6706|HLS vod should be enable
6707|Hls or mp4 Bucket error
6708|Record Status error
6709|Recording time not be less than 1 minute
8200*|failed to insert redis
8201*|stream is not on the blacklist
8500|error nodeip
8501*|kill stream fail
8502*|stream is not exist
9014*|PullProtocol error
9015*|Type error
9016*|Over the speed limit
""".strip().splitlines()

COMMON_CODES = {0, 1000, 1002, 1003, 4000, 4999, 5000, 6406}
RET_CODES = {
    "ListRealtimeStreamsInfo": {1004, 9014, 9015, 9016},
    "ListRealtimePubStreamsInfo": {1004, 4201},
    "ListHistoryPubStreamsInfo": {1004, 4201, 4001},
    "ListHistoryPubStreamsErrInfo": {1004, 4201, 4001},
    "ListStreamDurations": {1004, 4201, 4001},
    "ForbidStream": {1004, 4201, 4001, 3802, 8200, 8501, 8502},
    "ResumeStream": {1004, 4201, 8200, 8201},
    "GetBlacklist": {4201},
    "CheckBlacklist": {1004, 4201},
}

BREAK_CODES = {
    200: "Success operation!",
    422: "Already exist stream!",
    423: "Forbidden by blacklist!",
    425: "Url expired!",
    426: "Signature does not match!",
    428: "Bad params!",
}

ERRORS_BY_STEP = {
    "size": {"RequestTooLarge"},
    "credential": {"MissingAccesskey"},
    "date": {"MissingTimestamp"},
    "signature": {"MissingSignature"},
    "accesskey": {"InvalidAccesskey"},
    "timestamp": {"InvalidTimestamp"},
    "service": {"ServiceUnavailableInvalid"},
    "region": {"UnavailableRegion"},
    "signature-match": {"SignatureNotMatch"},
    "account": {"UnavailableAccountID"},
    "action": {"MissingParameter", "InvalidActionOrVersion"},
    "body": {"InvalidParameterValueType"},
    "policy": {"InvalidAuthenticationCode", "InvalidAuthenticationCodeDeny", "InvalidAuthenticationCodeLack"},
    "rate": {"LimitExceeded"},
    "dry-run": {"ErrorDryRun"},
    "store": {"ServiceTimeout", "ServiceUnavailable"},
    "any": {"UndefinedError"},
}


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    return load()


def structures(shape: Shape) -> Iterator[Shape]:
    """The structure and all those inside it."""
    yield shape
    for member in shape.members.values():
        inner = member.shape.item or member.shape
        if inner.members:
            yield from structures(inner)


def every_member(model: ServiceModel) -> list[tuple[str, Member]]:
    return [
        (f"{shape.name}.{member.name}", member) for shape in model.shapes.values() for member in shape.members.values()
    ]


def spelled(shape: Shape) -> str:
    letters = {"string": "s", "integer": "i", "long": "l", "double": "d"}
    parts = []
    for name in sorted(shape.members):
        inner = shape.members[name].shape
        parts.append(f"{name}[{spelled(inner.item)}]" if inner.item else f"{name} {letters[inner.type]}")
    return ", ".join(parts)


def test_operations_are_the_nine_of_the_document_with_method_and_rate(model: ServiceModel) -> None:
    found = {
        name: (operation.method, operation.rate.requests, operation.rate.per_seconds)
        for name, operation in model.operations.items()
    }
    assert list(found) == list(ACTIONS)
    assert found == ACTIONS


@pytest.mark.parametrize("name", ACTIONS)
def test_request_uri_names_action_and_version(model: ServiceModel, name: str) -> None:
    assert model.operations[name].request_uri == f"/?Action={name}&Version=2017-01-01"
    assert RAW["operations"][name]["name"] == name


@pytest.mark.parametrize("name", ACTIONS)
def test_parameters_are_the_documented_ones_in_documented_order(model: ServiceModel, name: str) -> None:
    members = model.operations[name].input.members.values()
    assert " ".join(member.name + "!" * member.required for member in members) == PARAMETERS[name]
    location = "query" if ACTIONS[name][0] == "GET" else "body"
    assert {member.location for member in members} == {location}


@pytest.mark.parametrize("name", ACTIONS)
def test_answer_has_the_contract_members_and_types(model: ServiceModel, name: str) -> None:
    operation = model.operations[name]
    assert spelled(operation.data) == ANSWERS[name]
    assert list(operation.output.members) == ["Data", "RequestId"]


def test_type_push_and_pull_rows_have_their_own_members(model: ServiceModel) -> None:
    variants = model.shapes["DataByStream"].variants
    assert variants["push"] == variants["full"] - {"OnlineUser", "Bw", "Pulls"}
    assert variants["pull"] == {"Stream", "OnlineUser", "Bw", "Pulls"}


def test_alias_of_list_realtime_pub_streams_info_is_the_same_operation(model: ServiceModel) -> None:
    assert model.actions["RealtimePubStreamsInfo"] is model.operations["ListRealtimePubStreamsInfo"]
    assert set(model.actions) == {*ACTIONS, "RealtimePubStreamsInfo"}


def test_gateway_errors_are_the_document_rows_and_one_of_ours(model: ServiceModel) -> None:
    found = [
        f"{entry.code}{'' if entry.reserved else '*'}|{entry.text}|{entry.status}"
        for entry in model.gateway_errors.values()
    ]
    assert found[:-1] == GATEWAY_ROWS
    ours = model.gateway_errors["RequestTooLarge"]
    assert (ours.code, ours.status, ours.reserved) == ("RequestTooLarge", 413, False)
    assert len(found) == len(GATEWAY_ROWS) + 1


def test_gateway_errors_are_named_after_their_code(model: ServiceModel) -> None:
    assert all(name.startswith(entry.code) and name == entry.name for name, entry in model.gateway_errors.items())


def test_gateway_error_type_is_receiver_from_status_500(model: ServiceModel) -> None:
    for entry in model.gateway_errors.values():
        assert entry.type == ("Receiver" if entry.status >= 500 else "Sender")
        assert RAW["shapes"][entry.name]["error"]["senderFault"] == (entry.type == "Sender")


def test_each_given_gateway_error_has_its_step_and_actions(model: ServiceModel) -> None:
    for step, names in ERRORS_BY_STEP.items():
        assert {entry.name for entry in model.gateway_errors.values() if entry.step == step} == names
    for entry in model.gateway_errors.values():
        assert entry.reserved == (entry.step == "") == (entry.actions == ())
    lists = tuple(ACTIONS)[:5]
    partly = {entry.name: entry.actions for entry in model.gateway_errors.values() if 0 < len(entry.actions) < 9}
    assert partly == {
        "LimitExceeded": tuple(ACTIONS)[1:],
        "ServiceUnavailable": lists,
        "ServiceTimeout": lists,
    }


def test_ret_codes_are_the_document_rows_and_success(model: ServiceModel) -> None:
    found = [f"{entry.code}{'' if entry.reserved else '*'}|{entry.text}" for entry in model.ret_codes.values()]
    assert found == RET_CODE_ROWS


@pytest.mark.parametrize("name", ACTIONS)
def test_ret_codes_of_each_action_are_those_of_the_contract(model: ServiceModel, name: str) -> None:
    assert set(model.operations[name].ret_codes) == COMMON_CODES | RET_CODES[name]


def test_ret_code_is_reserved_exactly_when_no_action_gives_it(model: ServiceModel) -> None:
    assert all(entry.reserved == (entry.actions == ()) for entry in model.ret_codes.values())
    assert all(set(entry.actions) <= set(ACTIONS) for entry in model.ret_codes.values())


def test_codes_of_parameters_are_among_those_the_action_gives(model: ServiceModel) -> None:
    for operation in model.operations.values():
        for member in operation.input.members.values():
            assert {member.rule.malformed, member.rule.wrong_type} <= set(operation.ret_codes), member.name


def test_break_codes_have_text_and_the_order_of_checks(model: ServiceModel) -> None:
    assert {code: entry.text for code, entry in model.break_codes.items()} == BREAK_CODES
    ranked = {entry.rank: code for code, entry in model.break_codes.items() if entry.rank is not None}
    assert [ranked[rank] for rank in sorted(ranked)] == [428, 425, 426, 423, 422]


def test_everything_is_documented(model: ServiceModel) -> None:
    texts = [model.documentation]
    texts += [operation.documentation for operation in model.operations.values()]
    texts += [shape.documentation for shape in model.shapes.values()]
    texts += [member.documentation for _, member in every_member(model)]
    texts += [entry.documentation for entry in model.gateway_errors.values()]
    texts += [entry.documentation for entry in model.ret_codes.values()]
    texts += [entry.documentation for entry in model.break_codes.values()]
    assert [text for text in texts if not re.fullmatch(r"(?s)\S.*[.]", text)] == []


def test_every_scalar_member_has_an_example_that_its_shape_allows(model: ServiceModel) -> None:
    for path, member in every_member(model):
        shape, value = member.shape, member.example
        if shape.type in ("structure", "list"):
            assert value is None, path
        elif shape.enum:
            assert value in shape.enum, path
        elif shape.type == "string":
            assert isinstance(value, str), path
            assert shape.pattern is None or matches(shape.name, value), path
        else:
            assert isinstance(value, (int, float) if shape.type == "double" else int), path


def test_every_number_has_a_unit(model: ServiceModel) -> None:
    numbers = {path: member for path, member in every_member(model) if member.shape.type in NUMERIC}
    numbers |= {path: member for path, member in every_member(model) if member.shape.name == "NumberText"}
    assert len(numbers) > 50
    assert [path for path, member in numbers.items() if member.unit in (None, "as the member says")] == []


@pytest.mark.parametrize("name", ACTIONS)
def test_answer_made_of_the_examples_conforms(model: ServiceModel, name: str) -> None:
    assert conforms(name, example(model.operations[name].output)) == []


def test_required_names_are_members_and_answers_require_all_they_always_have(model: ServiceModel) -> None:
    for name, raw in RAW["shapes"].items():
        assert set(raw.get("required", ())) <= set(raw.get("members", ())), name
    for operation in model.operations.values():
        for shape in structures(operation.output):
            always = frozenset.intersection(*shape.variants.values())
            assert {member.name for member in shape.members.values() if member.required} == always, shape.name


def test_every_request_parameter_is_bounded(model: ServiceModel) -> None:
    for operation in model.operations.values():
        for member in operation.input.members.values():
            shape = member.shape
            if shape.type == "string":
                assert shape.enum or (shape.pattern and shape.minimum == 1 and shape.maximum), shape.name
            else:
                assert shape.minimum is not None or member.rule.default_below is not None, shape.name


def test_names_are_camel_case() -> None:
    names = [*RAW["operations"], *RAW["shapes"]]
    names += [member for shape in RAW["shapes"].values() for member in shape.get("members", ())]
    assert [name for name in names if not re.fullmatch(r"(?:[A-Z][A-Za-z0-9]*)", name)] == []


def test_no_shape_is_unused(model: ServiceModel) -> None:
    exceptions = {name for name, raw in RAW["shapes"].items() if raw.get("exception")}
    assert set(model.gateway_errors) == exceptions
    assert set(RAW["shapes"]) - exceptions == set(model.shapes)


def test_extra_keys_are_prefixed() -> None:
    grammar = {"version", "metadata", "operations", "shapes", "documentation"}
    assert [key for key in RAW if key not in grammar and not key.startswith("x-kls-")] == []
    known = {
        "type",
        "documentation",
        "members",
        "member",
        "required",
        "min",
        "max",
        "pattern",
        "enum",
        "exception",
        "error",
        "x-kls",
    }
    assert {key for shape in RAW["shapes"].values() for key in shape} == known
    known = {"name", "http", "input", "output", "errors", "documentation", "x-kls"}
    assert {key for operation in RAW["operations"].values() for key in operation} == known


def test_signing_facts_are_those_of_the_contract() -> None:
    metadata = RAW["metadata"]
    assert metadata["apiVersion"] == "2017-01-01"
    assert metadata["endpointPrefix"] == metadata["signingName"] == "kls"
    assert (metadata["protocol"], metadata["signatureVersion"]) == ("rest-json", "v4")
    assert metadata["uid"] == "kls-2017-01-01"
