"""The console's main job in a real Chromium, on a real stream: what is live, is it healthy, stop that one.

Rule: whatever the browser's console, its policy or its network complains of fails the test that saw it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from support_service import ACCESS_KEY, SECRET_KEY, RunningService, pushing, until
from tests.support_browser import PUBDOMAIN, WIDE, Visit, visiting

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

FPS = 25
CAMERA = ("demo", "live", PUBDOMAIN, "camera")
FRAMES = 50
DECODED = "video => video.getVideoPlaybackQuality().totalVideoFrames"


@pytest.fixture(scope="module")
def camera(console_service: RunningService, clip: Path) -> Iterator[None]:
    """A stream for all tests here."""
    with pushing(clip, console_service.push_url("camera")):
        until(lambda: is_live(console_service, "camera"), 20)
        yield


@pytest.fixture(scope="module")
def desk(browser: Browser, console_service: RunningService) -> Iterator[Visit]:
    """Somebody with full rights, logged in."""
    with visiting(browser, console_service) as visit:
        visit.log_in()
        yield visit


@pytest.fixture(autouse=True)
def _nothing_wrong(desk: Visit) -> Iterator[None]:
    yield
    desk.watch.check()


def is_live(service: RunningService, stream: str) -> bool:
    return bool(service.call("ListRealtimeStreamsInfo", Type="push", Stream=stream)["Streams"])


def row_of(page: Page, text: str) -> Locator:
    """The table's row with this text."""
    return page.get_by_role("grid").get_by_role("row").filter(has_text=text)


def seconds_left(row: Locator) -> float:
    return float(row.locator("time[data-seconds]").get_attribute("data-seconds") or 0)


def test_login_tells_a_wrong_pair_and_keeps_no_secret(browser: Browser, console_service: RunningService) -> None:
    with visiting(browser, console_service) as visit:
        visit.watch.expected.add((401, "/console/session"))
        page = visit.page
        page.goto(visit.base)
        expect(page).to_have_title("Log in · OpenKLS")
        page.get_by_label("Access key").fill(ACCESS_KEY)
        page.get_by_label("Secret key").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("No such key pair")
        expect(page.get_by_label("Secret key")).to_have_value("")
        page.get_by_label("Secret key").fill(SECRET_KEY)
        page.get_by_role("button", name="Log in").click()
        visit.arrived("overview")
        stored = page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        assert SECRET_KEY not in stored
        (cookie,) = visit.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/console")
        assert cookie["value"] not in page.url


def test_session_holds_over_a_reload_and_ends_at_the_logout(browser: Browser, console_service: RunningService) -> None:
    with visiting(browser, console_service) as visit:
        visit.log_in()
        page = visit.open("nodes")
        page.reload()
        visit.arrived("nodes")
        cookies = visit.context.cookies()
        page.get_by_role("button", name="Account").click()
        page.get_by_role("button", name="Log out").click()
        visit.arrived("login")
        # The cookie of before opens nothing any more.
        visit.context.add_cookies(cookies)  # type: ignore[arg-type]  # a cookie that was read can be set
        page.reload()
        visit.arrived("login")


def test_live_list_shows_the_stream_and_what_it_carries(desk: Visit, camera: None) -> None:
    desk.page.set_viewport_size({"width": 1700, "height": 800})  # room for every column
    page = desk.open("live")
    row = row_of(page, "camera")
    for text in ("640", "h264", "127.0.0.1", f"/{FPS}"):
        expect(row).to_contain_text(text)
    page.get_by_label("Filter").fill("no such stream")
    expect(row).to_have_count(0)
    page.get_by_label("Filter").fill("came")
    row.get_by_role("link", name="camera").click()
    desk.arrived("stream")
    expect(page.get_by_role("heading", level=1)).to_contain_text("camera")
    page.set_viewport_size(WIDE)


@pytest.mark.parametrize("protocol", ["http+flv", "hls"])
def test_preview_decodes_frames(desk: Visit, camera: None, protocol: str) -> None:
    if protocol == "hls":
        # What the preview turns to where HTTP-FLV does not come through.
        desk.watch.expected.add((404, "/live/camera.flv"))
        desk.context.route("**/camera.flv*", lambda route: route.fulfill(status=404))
    page = desk.open("stream", *CAMERA)
    page.get_by_role("button", name="Start the preview").click()
    video = page.locator("video")
    until(lambda: video.evaluate(DECODED) >= FRAMES, 45)
    assert (video.evaluate("video => video.videoWidth"), video.evaluate("video => video.videoHeight")) == (640, 360)
    assert video.evaluate("video => video.muted")
    expect(page.locator("main")).to_contain_text(f"plays by {protocol}")
    desk.context.unroute_all()
    desk.open("overview")  # which ends it
    expect(page.locator("video")).to_have_count(0)


def test_plot_shows_the_pushed_frame_rate(desk: Visit, camera: None) -> None:
    page = desk.open("stream", *CAMERA)
    plotted = page.locator("[data-series=Curfps] [data-value]").first

    # What ffmpeg sends in advance at its start has to leave the window of the measurement first.
    until(lambda: abs(float(plotted.get_attribute("data-value") or 0) - FPS) <= 1, 60, 0.5)
    assert float(page.locator("[data-series=FrameRate] [data-value]").first.get_attribute("data-value") or 0) == FPS
    # What is drawn: the canvas is not of one colour.
    colours = page.locator("figure.chart canvas").first.evaluate(
        """canvas => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(data.buffer)).size;
        }"""
    )
    assert colours > 10


def test_ban_cuts_the_encoder_counts_down_and_can_be_lifted(
    desk: Visit, console_service: RunningService, clip: Path
) -> None:
    with pushing(clip, console_service.push_url("stopped")) as encoder:
        page = desk.open("live")
        row = row_of(page, "stopped")
        row.get_by_role("button", name="Ban stopped").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("10 minutes").check()
        dialog.get_by_role("button", name="Review").click()
        expect(dialog).to_contain_text("127.0.0.1")
        assert encoder.poll() is None
        dialog.get_by_role("button", name="Ban now").click()
        encoder.wait(20)
        expect(dialog).to_have_count(0)
        expect(row).to_have_count(0)

    page = desk.open("blacklist")
    row = row_of(page, "stopped")
    first = until(lambda: seconds_left(row))
    assert 500 < first <= 600
    until(lambda: seconds_left(row) <= first - 2)
    with pushing(clip, console_service.push_url("stopped")) as encoder:
        encoder.wait(20)
    row.get_by_role("button", name="Resume stopped").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(row).to_have_count(0)
    with pushing(clip, console_service.push_url("stopped")):
        until(lambda: is_live(console_service, "stopped"), 20)
        expect(row_of(desk.open("live"), "stopped")).to_be_visible()

    expect(row_of(desk.open("history"), "stopped").filter(has_text="423")).to_have_count(1)
    # The cut, and the push that came while the ban was in force.
    expect(row_of(desk.open("errors"), "stopped").filter(has_text="423")).to_have_count(2)


def test_cut_once_leaves_no_ban(desk: Visit, console_service: RunningService, clip: Path) -> None:
    with pushing(clip, console_service.push_url("cut")) as encoder:
        until(lambda: is_live(console_service, "cut"), 20)
        page = desk.open("stream", *CAMERA[:3], "cut")
        page.get_by_role("button", name="Ban").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Cut once").check()
        dialog.get_by_role("button", name="Review").click()
        dialog.get_by_role("button", name="Cut now").click()
        encoder.wait(20)
    assert console_service.call("CheckBlacklist", Pubdomain=PUBDOMAIN, Stream="cut")["CheckResult"] == 0
