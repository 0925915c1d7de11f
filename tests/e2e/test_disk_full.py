"""The real service on a disk that fills up: bans say 8200, publishes go on, memory answers, and all recovers."""

import asyncio
import io
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from openkls.client import KlsError
from openkls.codec.flv import VIDEO, Tag
from openkls.media import rtmp_client
from support_service import RunningService, until

pytestmark = pytest.mark.e2e

DOOR = "push.demo.local"
SIZE = "4m"
FRAME = b"\x17\x01\x00\x00\x00" + bytes(100)
FRAME_SECONDS = 0.04
# A retry of the journal waits 5 s at most (control/journal).
RECOVERY_SECONDS = 20.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB; without the right to mount one the test is skipped, but not in CI."""
    folder = tmp_path / "data"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        reason = f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def service(small_disk: Path, tmp_path: Path) -> Iterator[RunningService]:
    running = RunningService(tmp_path)
    assert running.data_dir == small_disk
    running.start()
    yield running
    running.end()


def fill(folder: Path) -> Path:
    """A file that takes every byte there is."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as out:
        for size in (65536, 4096, 512, 1):
            with pytest.raises(OSError, match="No space left"):
                _write_on(out, size)
    return ballast


def _write_on(out: io.FileIO, size: int) -> None:
    while True:
        out.write(bytes(size))


def forbid(service: RunningService, stream: str) -> int:
    try:
        service.call("ForbidStream", Pubdomain=DOOR, Stream=stream)
    except KlsError as error:
        return error.ret_code or -1
    return 0


def is_forbidden(service: RunningService, stream: str) -> int:
    return int(service.call("CheckBlacklist", Pubdomain=DOOR, Stream=stream)["CheckResult"])


def live(service: RunningService) -> set[str]:
    rows = service.call("ListRealtimeStreamsInfo", Type="push")["Streams"]
    return {row["Stream"] for row in rows}


def ended(service: RunningService) -> set[str]:
    rows = service.call("ListHistoryPubStreamsInfo", Pubdomain=DOOR)["Result"]
    return {row["Stream"] for row in rows}


async def _frames(over: asyncio.Event) -> AsyncIterator[Tag]:
    number = 0
    while not over.is_set():
        yield Tag(VIDEO, number * 40, FRAME)
        number += 1
        await asyncio.sleep(FRAME_SECONDS)


async def publish(service: RunningService, stream: str, over: asyncio.Event) -> "asyncio.Task[None]":
    """A publisher that the service has accepted."""
    started = asyncio.Event()
    url = f"rtmp://127.0.0.1:{service.rtmp_port}/live/{stream}?vhost={DOOR}"
    task = asyncio.create_task(rtmp_client.publish(url, _frames(over), on_started=started.set))
    await asyncio.wait_for(asyncio.wait({task, asyncio.create_task(started.wait())}, return_when="FIRST_COMPLETED"), 10)
    assert started.is_set(), task
    return task


async def test_full_disk_stops_bans_and_nothing_else_and_is_survived(service: RunningService) -> None:
    assert forbid(service, "banned-before") == 0
    over = asyncio.Event()
    before = await publish(service, "before", over)
    ballast = await asyncio.to_thread(fill, service.data_dir)

    # Until the write-ahead log has used what it owned already.
    codes = await asyncio.to_thread(lambda: [forbid(service, f"{'f' * 200}{number}") for number in range(200)])
    assert codes[-1] == 8200
    assert set(codes) <= {0, 8200}
    taken = codes.count(0)
    assert service.call("GetBlacklist", Pubdomain=DOOR)["Total"] == 1 + taken
    assert is_forbidden(service, "banned-before") == 1
    assert is_forbidden(service, f"{'f' * 200}199") == 0
    during = await publish(service, "during", over)
    assert await asyncio.to_thread(live, service) == {"before", "during"}
    over.set()
    await asyncio.wait_for(asyncio.gather(before, during), 10)

    ballast.unlink()
    await asyncio.to_thread(until, lambda: forbid(service, "banned-after") == 0, RECOVERY_SECONDS)
    await asyncio.to_thread(until, lambda: ended(service) == {"before", "during"}, RECOVERY_SECONDS)
    service.kill()
    service.start()
    assert is_forbidden(service, "banned-before") == is_forbidden(service, "banned-after") == 1
    assert service.call("GetBlacklist", Pubdomain=DOOR)["Total"] == 2 + taken
    assert "Traceback" not in service.log.read_text()
