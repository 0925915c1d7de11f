"""`make screenshots`: every page of the console, of a service with a real stream and a history, as pictures to look at:
`python -m tools.screenshots [--to FOLDER] [--only PAGE ...]`.

Rule: the service, its data and its streams are made for this and end with it.
"""

import argparse
import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from playwright.sync_api import Browser

from tests.support_browser import MORE_KEYS, PAGES, PHONE, PUBDOMAIN, WIDE, Visit, build_console, chromium, visiting
from tests.support_service import FFMPEG, RunningService, make_clip, pushing, until

FOLDER: Final = Path("build") / "screenshots"
LOCALES: Final = {"en": "en-GB", "zh": "zh-CN"}
# So that the plots have something to show: their series have a value every ten seconds.
PLOT_SECONDS: Final = 35.0
PREVIEW_SECONDS: Final = 20.0
STREAM: Final = ("demo", "live", PUBDOMAIN, "camera-1")
MORE_SPACES: Final = """
[[account.space]]
unique_name = "events"
apps = ["live", "stage"]
publish_domains = ["push.events.local"]
[[account.space.play_domain]]
id = "2001"
name = "play.events.local"
auth = "md5"
keys = ["654321"]
"""


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(prog="python -m tools.screenshots", description=__doc__)
    parser.add_argument("--to", type=Path, default=FOLDER, help=f"the folder ({FOLDER})")
    parser.add_argument("--only", nargs="*", default=[], choices=["login", "stream", "ban", *PAGES], metavar="PAGE")
    asked = parser.parse_args()
    build_console()
    asked.to.mkdir(parents=True, exist_ok=True)
    with showing() as service, chromium() as browser:
        for language in LOCALES:
            for size, viewport in (("wide", WIDE), ("phone", PHONE)):
                _shoot(browser, service, asked.to, language, size, viewport, asked.only)
    print(f"screenshots are in {asked.to}")


@contextlib.contextmanager
def showing() -> Iterator[RunningService]:
    """A service with two live streams, one that ended, refusals, and bans."""
    with tempfile.TemporaryDirectory(prefix="openkls-screenshots-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        service = RunningService(folder, MORE_SPACES + MORE_KEYS)
        service.start()
        stack.callback(service.end)
        clip = make_clip(folder / "clip.flv", seconds=20)
        make_history(service, clip)
        for stream in ("camera-1", "camera-2"):
            stack.enter_context(pushing(clip, service.push_url(stream)))
        until(lambda: service.call("ListRealtimeStreamsInfo", Type="push", Stream="camera-2")["Streams"], 20)
        for url in (service.flv_url("camera-1"), service.hls_url("camera-1"), service.push_url("camera-1")):
            stack.enter_context(watching(url))
        time.sleep(PLOT_SECONDS)
        yield service


@contextlib.contextmanager
def watching(url: str) -> Iterator[None]:
    """A viewer that throws away what it gets."""
    quiet = subprocess.DEVNULL
    command = [FFMPEG, "-loglevel", "quiet", "-i", url, "-c", "copy", "-f", "null", "-"]
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)  # noqa: S603 - of this file
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


def make_history(service: RunningService, clip: Path) -> None:
    """A publish that was cut, one that was refused, bans of several lengths."""
    with pushing(clip, service.push_url("rehearsal")) as encoder:
        until(lambda: service.call("ListRealtimeStreamsInfo", Type="push", Stream="rehearsal")["Streams"], 20)
        service.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="rehearsal")
        encoder.wait(20)
    with pushing(clip, service.push_url("rehearsal")) as encoder:
        encoder.wait(20)
    with pushing(clip, service.push_url("unsigned", "127.0.0.1") + "?vhost=md5.demo.local") as encoder:
        encoder.wait(20)
    service.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="forever", ForbidTillUnixTime=-1)
    service.call("ForbidStream", Pubdomain=PUBDOMAIN, Stream="soon", ForbidTillUnixTime=int(time.time()) + 600)


def _shoot(
    browser: Browser, service: RunningService, folder: Path, language: str, size: str, viewport: object, only: list[str]
) -> None:
    with visiting(browser, service, locale=LOCALES[language], viewport=viewport) as visit:
        visit.page.goto(visit.base)
        visit.arrived("login")
        shots: dict[str, Callable[[], object]] = {
            "login": lambda: None,
            "stream": lambda: _with_preview(visit),
            "ban": lambda: _with_dialog(visit),
            **{name: partial(visit.open, name) for name in PAGES},
            "urls": lambda: visit.open("urls?" + urlencode({"space": "events", "stream": "final"})),
        }
        for name, arrange in shots.items():
            if name == "stream":
                visit.log_in()
            if only and name not in only:
                continue
            arrange()
            for scheme in ("light", "dark"):
                visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
                visit.page.screenshot(path=folder / f"{name}-{language}-{size}-{scheme}.png", full_page=True)
        visit.open("nodes")


def _with_preview(visit: Visit) -> None:
    """The page of a stream, with its picture."""
    page = visit.open("stream", *STREAM)
    page.locator(".preview-start button").click()
    until(lambda: page.locator("video").evaluate("video => video.currentTime") > 0, PREVIEW_SECONDS)


def _with_dialog(visit: Visit) -> None:
    """What a ban will do, before it is done."""
    page = visit.open("stream", *STREAM)
    page.locator(".page-head button.danger").click()
    page.locator("dialog button.primary").click()


if __name__ == "__main__":
    main()
