"""`conforms` sees each way in which an answer can differ from the model."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from openkls.model import conforms, load
from openkls.model.reference import example

REQUEST_ID = "36d7f12e-2345-4e5e-a5f4-7b1c9d0e27eb"
REALTIME = "ListRealtimeStreamsInfo"
PUSHED = "ListRealtimePubStreamsInfo"

Change = Callable[[dict[str, Any]], object]


def good(operation: str) -> dict[str, Any]:
    answer: dict[str, Any] = copy.deepcopy(example(load().operations[operation].output))
    return answer


def row(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer["Data"]["Streams"][0]
    return found


def test_type_push_and_pull_rows_conform() -> None:
    pushed, pulled = good(REALTIME), good(REALTIME)
    for name in ("OnlineUser", "Bw", "Pulls"):
        del row(pushed)[name]
    pulled["Data"]["Streams"] = [{name: row(pulled)[name] for name in ("Stream", "OnlineUser", "Bw", "Pulls")}]
    assert conforms(REALTIME, pushed) == []
    assert conforms(REALTIME, pulled) == []


@pytest.mark.parametrize("operation", load().operations)
def test_failures_of_the_action_conform_and_no_others(operation: str) -> None:
    model = load()
    asked = model.operations[operation]
    for code in model.ret_codes.keys() - {0}:
        answer = {"Data": model.failure(asked, code), "RequestId": REQUEST_ID}
        if code in asked.ret_codes:
            assert conforms(operation, answer) == []
        else:
            assert conforms(operation, answer) == [f"Data.RetCode: {code} is not one that {operation} gives"]


CHANGES: list[tuple[str, Change, str]] = [
    (REALTIME, lambda a: a.update(RetCode=0), "answer: expected the members"),
    (REALTIME, lambda a: a.pop("RequestId"), "answer: expected the members"),
    (REALTIME, lambda a: a.update(RequestId="1"), "answer.RequestId: expected a match"),
    (REALTIME, lambda a: a.update(RequestId=None), "answer.RequestId: expected a string"),
    (REALTIME, lambda a: a["Data"].update(RetMsg="Success"), "answer.Data.RetMsg: expected 'success'"),
    (REALTIME, lambda a: a["Data"].update(RetMsg="s" * 65), "answer.Data.RetMsg: expected at most 64"),
    (REALTIME, lambda a: a["Data"].update(Total=1), "answer.Data: expected the members"),
    (REALTIME, lambda a: a["Data"].pop("Bw"), "answer.Data: expected the members"),
    (REALTIME, lambda a: a["Data"].update(Streams={}), "answer.Data.Streams: expected a list"),
    (REALTIME, lambda a: a["Data"].update(Streams=[None]), "answer.Data.Streams[0]: expected an object"),
    (REALTIME, lambda a: a["Data"].update(Streams=[row(a)] * 10_001), "answer.Data.Streams: expected at most 10000"),
    (REALTIME, lambda a: row(a).pop("Node"), "answer.Data.Streams[0]: expected the members"),
    (REALTIME, lambda a: row(a).update(BwReal=223.5), "answer.Data.Streams[0].BwReal: expected an integer, got float"),
    (REALTIME, lambda a: row(a).update(BwReal=2**31), "answer.Data.Streams[0].BwReal: expected an integer from 0"),
    (REALTIME, lambda a: row(a).update(Width=True), "answer.Data.Streams[0].Width: expected an integer, got bool"),
    (REALTIME, lambda a: row(a).update(Bw=2**63), "answer.Data.Streams[0].Bw: expected an integer from 0"),
    (REALTIME, lambda a: row(a).update(Bw=-1), "answer.Data.Streams[0].Bw: expected an integer from 0"),
    (REALTIME, lambda a: row(a).update(BwIn="1"), "answer.Data.Streams[0].BwIn: expected a number, got str"),
    (REALTIME, lambda a: row(a).update(BwIn=True), "answer.Data.Streams[0].BwIn: expected a number, got bool"),
    (REALTIME, lambda a: row(a).update(BwIn=-0.5), "answer.Data.Streams[0].BwIn: expected a finite number"),
    (REALTIME, lambda a: row(a).update(BwDiff=float("nan")), "answer.Data.Streams[0].BwDiff: expected a finite number"),
    (PUSHED, lambda a: a["Data"]["Result"][0].update(BwIn=1), "answer.Data.Result[0].BwIn: expected a string"),
    (PUSHED, lambda a: a["Data"]["Result"][0].update(BwIn="1.5"), "answer.Data.Result[0].BwIn: expected a match"),
]


@pytest.mark.parametrize(("operation", "change", "fault"), CHANGES)
def test_one_change_of_a_success_is_one_fault(operation: str, change: Change, fault: str) -> None:
    answer = good(operation)
    change(answer)
    faults = conforms(operation, answer)
    assert [found for found in faults if found.startswith(fault)] == faults[:1]
    assert faults


def test_values_at_the_bounds_conform() -> None:
    answer = good(REALTIME)
    row(answer).update(BwReal=2**31 - 1, Bw=2**63 - 1, BwIn=0, BwDiff=-500.25, Vcodec="", FLR=100)
    answer["Data"]["Streams"] = [row(answer)] * 10_000
    assert conforms(REALTIME, answer) == []


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"Data": []},
        {"Data": {}},
        {"Data": {"RetCode": "0"}},
        {"Data": {"RetCode": True}},
        {"Data": {"RetCode": None}},
    ],
)
def test_answer_without_ret_code_is_a_fault(answer: object) -> None:
    assert conforms("ForbidStream", answer) == ["Data.RetCode: absent, or not an integer"]


FAILURE_CHANGES: list[tuple[Change, str]] = [
    (lambda a: a.update(Error={}), "answer: expected Data and RequestId alone"),
    (lambda a: a["Data"].update(RetMsg="no"), "answer.Data: expected"),
    (lambda a: a["Data"].update(Total=1), "answer.Data: expected"),
    (lambda a: a["Data"].pop("Streams"), "answer.Data: expected"),
    (lambda a: a["Data"].update(UniqueName="demo"), "answer.Data: expected"),
    (lambda a: a.update(RequestId="x"), "answer.RequestId: expected a match"),
]


@pytest.mark.parametrize(("change", "fault"), FAILURE_CHANGES)
def test_one_change_of_a_failure_is_one_fault(change: Change, fault: str) -> None:
    model = load()
    answer: dict[str, Any] = {"Data": model.failure(model.operations[REALTIME], 6406), "RequestId": REQUEST_ID}
    change(answer)
    faults = conforms(REALTIME, answer)
    assert len(faults) == 1
    assert faults[0].startswith(fault)


def test_failure_without_request_id_is_a_fault() -> None:
    answer = {"Data": {"RetCode": 8502, "RetMsg": "stream is not exist"}}
    assert len(conforms("ForbidStream", answer)) == 2


def test_unknown_operation_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        conforms("Nothing", {})
