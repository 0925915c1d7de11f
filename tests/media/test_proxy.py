"""A real nginx in front of the play port, set up as docs/how-to/play.md says."""

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openkls.codec import flv
from openkls.config import Address
from support_hls import Player, made, push, the_packager
from support_media import House, Wire, frame, seen
from tools.ports import free_ports

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "play.md"
HOST = "play.guarded.local"


def configuration(folder: Path, port: int, play_port: int) -> str:
    """The page's snippet, within what every nginx.conf has around it."""
    (snippet,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for there, here in (
        ("/var/cache/nginx/hls", f"{folder}/cache"),
        ("127.0.0.1:8081", f"127.0.0.1:{play_port}"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("play.demo.local", HOST),
    ):
        assert snippet.count(there) == 1
        snippet = snippet.replace(there, here)
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/log; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{snippet} }}\n"
    )


@contextlib.asynccontextmanager
async def nginx(house: House, folder: Path) -> AsyncIterator[Address]:
    """A running nginx; ended by its own id."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.fail("nginx is not installed (see .ci/run)") if os.environ.get("CI") else pytest.skip("no nginx")
    (port,) = free_ports(1)
    path = folder / "nginx.conf"
    path.write_text(configuration(folder, port, house.flv_address.port))
    process = await asyncio.create_subprocess_exec(program, "-c", str(path), "-e", str(folder / "log"))
    try:
        address = Address("127.0.0.1", port)
        async with asyncio.timeout(10):
            while True:
                assert process.returncode is None, (folder / "log").read_text()
                with contextlib.suppress(OSError):
                    await (await Wire.dial(address)).close()
                    break
                await asyncio.sleep(0.02)
        yield address
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_hls_and_flv_play_through_nginx_which_keeps_segments(house: House, tmp_path: Path) -> None:
    async with nginx(house, tmp_path) as address:
        publisher = await house.published(host="push.guarded.local")
        players = [Player(await Wire.dial(address), HOST) for _ in range(3)]
        await players[0].ask("/live/s1.m3u8")
        await seen(lambda: house.hls._packagers)
        await push(publisher, 1)
        await made(house, 1)
        await players[0].reply()
        bodies = set()
        for player in players:
            await player.open()
            listing = await player.listing()
            bodies.add(await player.segment(listing.uris[0]))
            await player.listing()
        assert len(bodies) == 1
        (edition,) = the_packager(house).editions.values()
        assert edition.sent.total_bytes < 2 * len(bodies.pop()) + 10_000  # one of them from here, two from the cache
        hls = house.viewers._groups[the_packager(house).hub.name]
        assert sum(group.online for group in hls.values()) == 3
        viewer = await Wire.dial(address)
        await viewer.send(f"GET /live/s1.flv HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        head = await viewer.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        await seen(lambda: house.viewers.online() == 4)
        await publisher.media(flv.VIDEO, 2040, frame(b"\x00\x00\x00\x05later"))
        await viewer.read_until(b"later")
        await viewer.close()
        await seen(lambda: house.viewers.online() == 3)
