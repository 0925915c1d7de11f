"""The linked model: what `load` gives, and the two texts derived from it."""

import dataclasses

import pytest

from openkls.model import load

PLACEHOLDER_CHARACTERS = 256


def test_load_reads_the_file_once() -> None:
    assert load() is load()
    assert load().version == "2017-01-01"


def test_model_is_frozen() -> None:
    model = load()
    with pytest.raises(TypeError):
        model.operations["Other"] = model.operations["ForbidStream"]  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.version = "2"  # type: ignore[misc]


def test_failure_holds_ret_code_and_text_alone() -> None:
    model = load()
    assert model.failure(model.operations["ForbidStream"], 8501) == {"RetCode": 8501, "RetMsg": "kill stream fail"}


def test_failure_of_list_realtime_streams_info_has_zeroed_members() -> None:
    model = load()
    assert model.failure(model.operations["ListRealtimeStreamsInfo"], 6406) == {
        "UniqueName": "",
        "App": "",
        "Count": 0,
        "Bw": 0,
        "OnlineUser": 0,
        "Streams": [],
        "RetCode": 6406,
        "RetMsg": "unique_name and accountId not match",
    }


def test_failure_shares_nothing_with_the_next_one() -> None:
    model = load()
    operation = model.operations["ListRealtimeStreamsInfo"]
    model.failure(operation, 1000)["Streams"].append("row")
    assert model.failure(operation, 1000)["Streams"] == []


def test_message_puts_values_in_for_placeholders() -> None:
    errors = load().gateway_errors
    assert errors["InvalidAccesskey"].message("AKX") == "Invalid Accesskey(AKX)"
    assert errors["MissingParameterMandatory"].message("App") == (
        'The input parameter "App" that is mandatory for processing this request is not supplied.'
    )
    assert errors["MissingAccesskey"].message() == "Access Key is Missing"
    assert errors["InvalidActionOrVersion"].message("100%s", "v") == (
        "The action 100%s or version v is not valid for this web service"
    )


@pytest.mark.parametrize("length", [PLACEHOLDER_CHARACTERS, PLACEHOLDER_CHARACTERS + 1])
def test_message_cuts_values_to_256_characters(length: int) -> None:
    assert load().gateway_errors["InvalidAccesskey"].message("k" * length) == (
        f"Invalid Accesskey({'k' * PLACEHOLDER_CHARACTERS})"
    )


@pytest.mark.parametrize("values", [(), ("a", "b")])
def test_message_refuses_another_number_of_values(values: tuple[str, ...]) -> None:
    with pytest.raises(TypeError):
        load().gateway_errors["InvalidAccesskey"].message(*values)
