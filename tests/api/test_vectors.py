"""Requests of real clients, recorded on the wire, through the whole pipeline."""

import json
from pathlib import Path

import pytest

from openkls import model
from openkls.codec.amzdate import parse_amz_date
from openkls.codec.sigv4 import SignedRequest
from support_api import Site, request_bytes

CAPTURES = json.loads((Path(__file__).parents[1] / "vectors" / "sigv4-captures.json").read_text("utf-8"))["requests"]


def expected_ret_code(capture: dict) -> tuple[str, int]:
    """What the recorded request asks for, and what a site where nothing is live or forbidden answers."""
    text = capture["target"] + capture["body"] + str(capture["headers"])
    action = next(name for name in model.load().operations if name in text)
    if capture["target"] == "/?Action=GetBlacklist&Version=2017-01-01" and not capture["body"]:
        return action, 1000  # its author forgot the parameters
    if "%E4%B8%AD" in capture["target"] or "\\u4e2d" in capture["body"]:
        return action, 1004  # the stream has a blank in its name
    if action == "ListStreamDurations":
        return action, 1000  # both times are 0
    return action, 8201 if action == "ResumeStream" else 0


@pytest.mark.parametrize("capture", CAPTURES, ids=[f"{i}-{c['client']}" for i, c in enumerate(CAPTURES)])
async def test_recorded_request_verifies_and_is_answered(site: Site, capture: dict) -> None:
    headers = [(name, value) for name, value in capture["headers"]]
    dates = [value for name, value in headers if name.lower() in ("x-amz-date", "date")]
    date = parse_amz_date(dates[0])
    assert date is not None
    site.now = date
    request = SignedRequest(capture["method"], "", "", headers, capture["body"].encode())
    reply = await site.send_raw(request_bytes(request, capture["target"]))
    action, ret_code = expected_ret_code(capture)
    assert reply.data["RetCode"] == ret_code
    assert model.conforms(action, reply.json) == []
