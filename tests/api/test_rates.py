"""Request rates over the wire: exact, per account and action and bucket, in both envelopes, with Retry-After."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from openkls import config, model
from openkls.api import pipeline
from openkls.app import Service
from openkls.cli import top
from openkls.client import Client, KlsError
from support_api import REGION, VERSION, Reply, Site

OPERATIONS = model.load().operations
DOCUMENTED = {
    "ForbidStream": (200, 1),
    "ResumeStream": (100, 1),
    "GetBlacklist": (100, 1),
    "CheckBlacklist": (100, 1),
    "ListRealtimeStreamsInfo": (50, 60),
    "ListRealtimePubStreamsInfo": (50, 60),
    "ListHistoryPubStreamsInfo": (50, 60),
    "ListHistoryPubStreamsErrInfo": (50, 60),
    "ListStreamDurations": (50, 60),
}
DEMO = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}


@pytest.fixture
def limited(site: Site) -> Site:
    """An API that keeps the documented rates."""
    site.rates.enforced = True
    return site


def refused(reply: Reply) -> bool:
    if reply.status == 200:
        return bool(reply.data["RetCode"] == pipeline.OVER_THE_SPEED_LIMIT)
    return reply.error_code == "LimitExceeded"


async def ask(site: Site, action: str = "GetBlacklist", bucket: str | None = None, **claims: str) -> Reply:
    """A call that gets as far as its parameters, which are missing."""
    headers = [("Accept", "application/json")]
    if bucket is not None:
        headers.append(("X-OpenKLS-Bucket", bucket))
    return await site.send(site.signed("GET", f"/?Action={action}&Version={VERSION}", b"", headers, **claims))


async def spend(site: Site, action: str = "GetBlacklist", **claims: str) -> None:
    """Use a window up, one call after the other."""
    for _ in range(DOCUMENTED[action][0]):
        assert not refused(await ask(site, action, **claims))


@pytest.mark.parametrize(("action", "rate"), DOCUMENTED.items())
async def test_last_call_of_the_documented_rate_is_accepted_and_the_next_refused(
    limited: Site, action: str, rate: tuple[int, int]
) -> None:
    requests, seconds = rate
    assert (OPERATIONS[action].rate.requests, OPERATIONS[action].rate.per_seconds) == (requests, seconds)
    await spend(limited, action)
    limited.ticks += seconds - 0.25
    reply = await ask(limited, action)
    assert refused(reply)
    assert reply.headers["retry-after"] == "1"
    limited.ticks += 0.25
    assert not refused(await ask(limited, action))
    assert set(DOCUMENTED) == set(OPERATIONS)


async def test_refusal_is_409_with_the_wait_in_whole_seconds(limited: Site) -> None:
    await spend(limited, "ListStreamDurations")
    limited.ticks += 10.5
    reply = await ask(limited, "ListStreamDurations")
    assert (reply.status, reply.error_code) == (409, "LimitExceeded")
    assert reply.headers["retry-after"] == "50"
    assert reply.json["Error"]["Message"] == (
        "Request was rejected because the request speed of this openAPI is beyond the current flow control limit."
    )


async def test_realtime_streams_say_it_in_their_own_envelope(limited: Site) -> None:
    await spend(limited, "ListRealtimeStreamsInfo")
    reply = await limited.call("ListRealtimeStreamsInfo", UniqueName="demo", App="live")
    assert (reply.data["RetCode"], reply.data["RetMsg"]) == (9016, "Over the speed limit")
    assert reply.headers["retry-after"] == "60"


async def test_answer_that_is_no_refusal_has_no_retry_after(limited: Site) -> None:
    assert "retry-after" not in (await limited.call("GetBlacklist", **DEMO)).headers
    assert "retry-after" not in (await ask(limited)).headers


async def test_refused_calls_do_not_count(limited: Site) -> None:
    await spend(limited)
    for _ in range(20):
        assert refused(await ask(limited))
    limited.ticks += 1
    await spend(limited)


async def test_call_that_fails_later_counts(limited: Site) -> None:
    for _ in range(100):
        assert (await ask(limited)).data["RetCode"] == 1000
    assert refused(await ask(limited))


async def test_call_that_is_not_signed_or_not_allowed_does_not_count(limited: Site) -> None:
    for _ in range(101):
        assert (await ask(limited, secret_key="SKWRONG")).error_code == "SignatureNotMatch"
    limited.services.keys.disabled_accounts.add("2000001")
    for _ in range(101):
        assert (await ask(limited)).error_code == "UnavailableAccountID"
    limited.services.keys.disabled_accounts.clear()
    assert not refused(await ask(limited))


async def test_another_account_and_another_action_have_rates_of_their_own(limited: Site) -> None:
    await spend(limited)
    assert refused(await ask(limited))
    assert not refused(await ask(limited, access_key="AKTHEIRS", secret_key="SKTHEIRS"))
    assert not refused(await ask(limited, "CheckBlacklist"))


async def test_alias_counts_as_its_action(limited: Site) -> None:
    await spend(limited, "ListRealtimePubStreamsInfo")
    assert refused(await ask(limited, "RealtimePubStreamsInfo"))


async def test_calls_at_the_same_time_are_counted_each(limited: Site) -> None:
    replies = await asyncio.gather(*(ask(limited) for _ in range(130)))
    assert sum(map(refused, replies)) == 30


async def test_rates_that_are_switched_off_refuse_nothing(limited: Site) -> None:
    await spend(limited)
    limited.rates.enforced = False
    assert not refused(await ask(limited))
    limited.rates.enforced = True
    assert refused(await ask(limited))


# -- buckets -----------------------------------------------------------------------------------------------------------


async def test_top_draws_on_a_bucket_of_its_own(limited: Site) -> None:
    await spend(limited, "ListRealtimeStreamsInfo")
    assert refused(await ask(limited, "ListRealtimeStreamsInfo"))
    for _ in range(50):
        assert not refused(await ask(limited, "ListRealtimeStreamsInfo", "top"))
    assert refused(await ask(limited, "ListRealtimeStreamsInfo", "top"))


@pytest.mark.parametrize("bucket", ["", "Top", "top2", "other", "top,top"])
async def test_bucket_that_nobody_knows_is_the_common_one(limited: Site, bucket: str) -> None:
    await spend(limited)
    assert refused(await ask(limited, bucket=bucket))


async def test_client_names_its_bucket_and_signs_for_it(limited: Site) -> None:
    await spend(limited, "ListRealtimeStreamsInfo")
    host, port = limited.address

    def look(bucket: str) -> int | None:
        with Client(
            f"http://{host}:{port}", "AKTEST", "SKTEST", REGION, bucket=bucket, clock=lambda: limited.now
        ) as api:
            try:
                api.call("ListRealtimeStreamsInfo", {"UniqueName": "demo", "App": "live"})
            except KlsError as error:
                return error.ret_code
        return 0

    assert await asyncio.to_thread(look, "top") == 0
    assert await asyncio.to_thread(look, "") == 9016


async def test_service_keeps_the_rates_unless_its_configuration_says_otherwise(tmp_path: Path) -> None:
    key = config.Key("AKTEST", "SKTEST")
    settings = config.Config(
        server=config.Server(data_dir=str(tmp_path)),
        api=config.Api(listen="127.0.0.1:0"),
        rtmp=config.Rtmp(listen="127.0.0.1:0"),
        play=config.Play(listen="127.0.0.1:0"),
        account=(config.Account("1", (key,), (config.Space("demo", publish_domains=("push.demo.local",)),)),),
    )
    service = await Service.start(settings)

    def ask_often(calls: int) -> int:
        """How many are accepted."""
        host, port = service.api_address
        accepted = 0
        with Client(f"http://{host}:{port}", key.access_key, key.secret_key, retries=0) as api:
            for _ in range(calls):
                answer = api.send("ListHistoryPubStreamsInfo", {})
                assert answer.error_type in ("", "LimitExceeded")
                accepted += answer.error_type == ""
        return accepted

    try:
        assert await asyncio.to_thread(ask_often, 52) == 50
        service.reload(msgspec.structs.replace(settings, limits=config.Limits(enforce=False)))
        assert await asyncio.to_thread(ask_often, 60) == 60
        service.reload(settings)
        assert await asyncio.to_thread(ask_often, 1) == 0
    finally:
        await service.stop()


def test_top_asks_no_more_than_its_bucket_holds() -> None:
    rate = model.load(top.ACTION.version).operations[top.ACTION.name].rate
    assert rate.per_seconds / top.REFRESH_SECONDS <= rate.requests
