"""Every break code, as a publisher meets it and as the history shows it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from openkls import model
from openkls.codec.flv import VIDEO, Tag
from openkls.codec.pushauth import sign_md5
from openkls.media import rtmp_client
from support_service import RunningService, until

pytestmark = pytest.mark.e2e

DOOR = "push.demo.local"
SIGNED_DOOR = "md5.demo.local"
KEY = "123456"
FRAME = b"\x17\x01\x00\x00\x00" + bytes(100)
MOST_SECONDS = 20.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("break-codes"))
    running.start()
    yield running
    running.end()


def publish(service: RunningService, stream: str, app: str = "live", door: str = DOOR, query: str = "") -> str:
    """Publish a second of video; "" when it ran to its end, else what the service said."""
    url = f"rtmp://127.0.0.1:{service.rtmp_port}/{app}/{stream}?vhost={door}{query}"
    try:
        asyncio.run(asyncio.wait_for(rtmp_client.publish(url, _frames(10)), MOST_SECONDS))
    except rtmp_client.StreamRefused as error:
        return error.description
    return ""


async def _frames(count: int) -> AsyncIterator[Tag]:
    for number in range(count):
        yield Tag(VIDEO, number * 40, FRAME)
        await asyncio.sleep(0.02)


def left(service: RunningService) -> str:
    return publish(service, "b200")


def twice(service: RunningService) -> str:
    async def both() -> str:
        url = f"rtmp://127.0.0.1:{service.rtmp_port}/live/b422?vhost={DOOR}"
        started = asyncio.Event()
        first = asyncio.create_task(rtmp_client.publish(url, _frames(1000), on_started=started.set))
        try:
            await asyncio.wait_for(started.wait(), MOST_SECONDS)
            with pytest.raises(rtmp_client.StreamRefused) as refused:
                await asyncio.wait_for(rtmp_client.publish(url, _frames(1)), MOST_SECONDS)
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
        return refused.value.description

    return asyncio.run(both())


def forbidden(service: RunningService) -> str:
    service.call("ForbidStream", Pubdomain=DOOR, Stream="b423")
    return publish(service, "b423")


def expired(service: RunningService) -> str:
    return publish(service, "b425", door=SIGNED_DOOR, query="&" + sign_md5(KEY, "b425", 1560096712))


def forged(service: RunningService) -> str:
    query = sign_md5("another", "b426", int(time.time()) + 60)
    return publish(service, "b426", door=SIGNED_DOOR, query=f"&{query}")


def unsigned(service: RunningService) -> str:
    return publish(service, "b428", door=SIGNED_DOOR)


RECIPES: dict[int, Callable[[RunningService], str]] = {
    200: left,
    422: twice,
    423: forbidden,
    425: expired,
    426: forged,
    428: unsigned,
}


@pytest.mark.parametrize("code", [pytest.param(code, marks=pytest.mark.provokes(code)) for code in RECIPES])
def test_break_code_is_told_and_recorded(service: RunningService, code: int) -> None:
    text = model.load().break_codes[code].text
    said = RECIPES[code](service)
    assert said == ("" if code == 200 else f"{code} {text}")
    action = "ListHistoryPubStreamsInfo" if code == 200 else "ListHistoryPubStreamsErrInfo"
    door = DOOR if code < 425 else SIGNED_DOOR

    def row() -> dict[str, Any] | None:
        rows = service.call(action, Pubdomain=door, Stream=f"b{code}")["Result"]
        return rows[0]["Detail"][0] if rows else None

    detail = until(row)
    assert (detail["StatusCode"], detail["StatusMessage"]) == (code, text)


def test_every_break_code_of_the_model_has_a_recipe() -> None:
    assert RECIPES.keys() == model.load().break_codes.keys()


def test_cut_publisher_is_told_423_and_recorded_so(service: RunningService) -> None:
    async def cut() -> str:
        url = f"rtmp://127.0.0.1:{service.rtmp_port}/live/cut?vhost={DOOR}"
        started = asyncio.Event()
        publishing = asyncio.create_task(rtmp_client.publish(url, _frames(1000), on_started=started.set))
        await asyncio.wait_for(started.wait(), MOST_SECONDS)
        await asyncio.to_thread(service.call, "ForbidStream", Pubdomain=DOOR, Stream="cut", ForbidTillUnixTime=1)
        with pytest.raises(rtmp_client.StreamRefused) as refused:
            await asyncio.wait_for(publishing, MOST_SECONDS)
        return refused.value.description

    assert asyncio.run(cut()) == "423 Forbidden by blacklist!"
    rows = until(lambda: service.call("ListHistoryPubStreamsErrInfo", Pubdomain=DOOR, Stream="cut")["Result"])
    assert [detail["StatusCode"] for detail in rows[0]["Detail"]] == [423]
