"""Stock botocore, with the service model as it is shipped, calls all nine actions on a running API."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.session import Session

from openkls import model
from support_api import REGION, Site

DOOR = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local"}
KEY = DOOR | {"Stream": "流~1"}


@pytest.fixture
def client(site: Site, tmp_path: Path) -> Any:
    site.now = time.time()  # botocore signs with the real clock
    folder = tmp_path / "kls" / "2017-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_bytes(model.source())
    session = Session()
    session.register_component("data_loader", Loader(extra_search_paths=[str(tmp_path)]))
    return session.create_client(
        "kls",
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{site.address.port}",
        aws_access_key_id="AKTEST",
        aws_secret_access_key="SKTEST",
        config=Config(retries={"max_attempts": 0}, connect_timeout=10, read_timeout=10),
    )


async def call(client: Any, action: str, **parameters: Any) -> dict[str, Any]:
    # botocore derives the method's name: ForbidStream is forbid_stream.
    name = next(name for name, api in client.meta.method_to_api_mapping.items() if api == action)
    answer = await asyncio.to_thread(getattr(client, name), **parameters)
    metadata = answer.pop("ResponseMetadata")
    assert metadata["HTTPHeaders"]["x-amzn-requestid"] == answer["RequestId"]
    assert model.conforms(action, answer) == []
    return dict(answer["Data"])


async def test_botocore_calls_the_nine_actions(site: Site, client: Any) -> None:
    day = int(site.now) // 86400 * 86400
    await site.record("old", int(site.now) - 100, int(site.now) - 50)
    site.publish("流~1")
    site.watch("流~1")

    live = await call(client, "ListRealtimeStreamsInfo", UniqueName="demo", App="live", PullProtocol="http+flv")
    assert [row["Stream"] for row in live["Streams"]] == ["流~1"]
    assert (await call(client, "ListRealtimePubStreamsInfo", **DOOR, Limit=1))["Total"] == 1
    assert (await call(client, "ListHistoryPubStreamsInfo", **DOOR))["Total"] == 1
    assert (await call(client, "ForbidStream", **KEY, ForbidTillUnixTime=-1))["RetCode"] == 0
    assert (await call(client, "CheckBlacklist", **KEY))["CheckResult"] == 1
    (ban,) = (await call(client, "GetBlacklist", **DOOR))["Recs"]
    assert (ban["Stream"], ban["ForbidTillUnixTime"]) == ("流~1", -1)
    assert (await call(client, "ResumeStream", **KEY))["RetCode"] == 0
    assert (await call(client, "ListHistoryPubStreamsErrInfo", **DOOR))["Total"] == 0
    window = {"StartUnixTime": day - 86400, "EndUnixTime": day + 2 * 86400}
    assert (await call(client, "ListStreamDurations", **DOOR, **window))["Count"] == 1


async def test_botocore_reads_a_business_failure_as_an_answer(client: Any) -> None:
    assert (await call(client, "ResumeStream", **KEY))["RetCode"] == 8201


async def test_botocore_raises_a_gateway_failure_by_its_code(site: Site, client: Any) -> None:
    site.now += 3600
    with pytest.raises(ClientError) as raised:
        await call(client, "CheckBlacklist", **KEY)
    assert raised.value.response["Error"]["Code"] == "InvalidTimestamp"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
