"""A real Chromium plays HLS (hls.js) and HTTP-FLV (mpegts.js) in a page of another origin, and tells what it decoded.

Rule: the page and the players are served by this test, on loopback; the players come from npm by a lock file.
"""

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from support_service import RunningService, pushing, until
from support_tools import need, running

pytestmark = pytest.mark.e2e

FOLDER = Path(__file__).parent / "browser"
INSTALL_SECONDS = 120
# A browser starts slowly on a busy machine, and HLS has three segments before it plays.
PLAY_SECONDS = 60.0
FRAMES = 75
SWITCHES = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio"),
    *("--autoplay-policy=no-user-gesture-required", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-extensions"),
)


@pytest.fixture(scope="module")
def players() -> dict[str, bytes]:
    """The scripts of the players, installed as the lock file says."""
    done = FOLDER / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < (FOLDER / "package-lock.json").stat().st_mtime:
        installed = subprocess.run(
            [need("npm"), "ci"], cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
        assert installed.returncode == 0, installed.stderr
        done.touch()
    modules = FOLDER / "node_modules"
    return {
        "/hls.js": (modules / "hls.js" / "dist" / "hls.min.js").read_bytes(),
        "/mpegts.js": (modules / "mpegts.js" / "dist" / "mpegts.js").read_bytes(),
        "/player.html": (FOLDER / "player.html").read_bytes(),
    }


class Site(ThreadingHTTPServer):
    """Serves the page and keeps the newest of its reports."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.files = files
        self.report: dict[str, Any] = {}


class _Pages(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        body = self.server.files.get(self.path.partition("?")[0])
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "text/html" if ".html" in self.path else "text/javascript")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def do_POST(self) -> None:
        self.server.report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(players: dict[str, bytes]) -> Iterator[Site]:
    with Site(players) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["hls", "flv"])
def test_chromium_decodes_picture_and_sound(
    service: RunningService, clip: Path, site: Site, tmp_path: Path, kind: str
) -> None:
    chromium = need("chromium", "chromium-browser", "google-chrome")
    url = service.hls_url("shown") if kind == "hls" else service.flv_url("shown")
    page = f"http://127.0.0.1:{site.server_port}/player.html?{urlencode({'kind': kind, 'url': url})}"
    log = tmp_path / "chromium.log"
    with pushing(clip, service.push_url("shown")):
        until(lambda: service.call("ListRealtimeStreamsInfo", Type="push")["Streams"], 20)
        with running(chromium, *SWITCHES, f"--user-data-dir={tmp_path / 'profile'}", page, log=log):

            def played() -> dict[str, Any] | None:
                report = site.report
                assert not report.get("faults"), report
                return report if report.get("frames", 0) >= FRAMES else None

            report = until(played, PLAY_SECONDS)
            protocol = "hls" if kind == "hls" else "http+flv"
            until(lambda: service.call("ListRealtimeStreamsInfo", PullProtocol=protocol)["OnlineUser"] == 1)
    assert (report["width"], report["height"]) == (640, 360)
    # Three seconds of it, neither decoded in vain nor standing still.
    assert report["seconds"] >= 1.0
    assert report["corrupted"] == 0
    assert report["audioBytes"] > 0
