"""What holds for every page of the console: axe finds nothing serious in either language and theme, a phone is wide
enough, the keyboard is enough, hostile names are text, and a key that may not do something is told so.

Rule: whatever the browser's console, its policy or its network complains of fails the test that saw it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from support_service import ACCESS_KEY, SECRET_KEY, RunningService, pushing, until
from tests.support_browser import (
    PAGES,
    PHONE,
    POWERLESS,
    PUBDOMAIN,
    READER,
    WIDE,
    axe_faults,
    sideways,
    tab_until,
    visiting,
)
from tools.screenshots import make_history

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

CAMERA = ("demo", "live", PUBDOMAIN, "camera")
ROUTES = [(name,) for name in PAGES] + [("stream", *CAMERA)]
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
MARKUP = "<img src=x onerror=\"document.title='taken'\">"
SCRIPT = "javascript:document.title='taken'"


@pytest.fixture(scope="module")
def service(console_service: RunningService, clip: Path) -> Iterator[RunningService]:
    """With a live stream, a history, refusals and bans."""
    make_history(console_service, clip)
    with pushing(clip, console_service.push_url("camera")):
        until(lambda: console_service.call("ListRealtimeStreamsInfo", Type="push", Stream="camera")["Streams"], 20)
        yield console_service


@pytest.fixture(scope="module")
def cookies(browser: Browser, service: RunningService) -> Any:
    """Of a session with full rights."""
    with visiting(browser, service) as visit:
        visit.log_in()
        return visit.context.storage_state()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at a page gave."""

    axe: list[str]
    headings: int
    title: str
    language: str
    too_wide: int
    """Pixels, on a phone."""


@pytest.fixture(scope="module", params=LOCALES)
def tour(request: pytest.FixtureRequest, browser: Browser, service: RunningService, cookies: Any) -> dict[str, Seen]:
    """Every page, looked at once in a language."""
    options = {"locale": LOCALES[request.param]}
    with visiting(browser, service, **options) as visit:
        visit.page.goto(visit.base)
        visit.arrived("login")
        seen = {"login": _look(visit.page, "login")}
    with visiting(browser, service, storage_state=cookies, **options) as visit:
        for name, *rest in ROUTES:
            seen[name] = _look(visit.open(name, *rest), name)
    return seen


def _look(page: Page, name: str) -> Seen:
    page.set_viewport_size(WIDE)
    axe = _both_themes(page, name)
    headings = page.get_by_role("heading", level=1).count()
    spoken = page.evaluate("() => document.documentElement.lang")
    page.set_viewport_size(PHONE)
    return Seen(axe, headings, page.title(), spoken, sideways(page))


def test_axe_finds_nothing_serious(tour: dict[str, Seen]) -> None:
    found = [fault for seen in tour.values() for fault in seen.axe]
    assert not found, "\n".join(found)


def test_phone_never_scrolls_sideways(tour: dict[str, Seen]) -> None:
    assert {name: seen.too_wide for name, seen in tour.items() if seen.too_wide > 0} == {}


def test_every_page_has_one_heading_and_a_title_of_its_own(tour: dict[str, Seen]) -> None:
    assert {name: seen.headings for name, seen in tour.items() if seen.headings != 1} == {}
    assert len({seen.title for seen in tour.values()}) == len(tour)


def test_page_says_which_language_it_speaks(tour: dict[str, Seen], request: pytest.FixtureRequest) -> None:
    wanted = request.node.callspec.params["tour"]
    assert {seen.language[:2] for seen in tour.values()} == {wanted}


def _both_themes(page: Page, name: str) -> list[str]:
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of two words
        found += [f"{name}, {scheme}: {fault}" for fault in axe_faults(page)]
    return found


def test_axe_finds_nothing_serious_in_the_dialogs(browser: Browser, service: RunningService, cookies: Any) -> None:
    with visiting(browser, service, storage_state=cookies) as visit:
        page = visit.open("live")
        page.get_by_role("button", name="Ban camera").click()
        found = _both_themes(page, "ban")
        page.get_by_role("button", name="Review").click()
        found += _both_themes(page, "ban, reviewed")
    assert not found, "\n".join(found)


def test_login_and_ban_without_a_mouse(browser: Browser, service: RunningService, clip: Path) -> None:
    with visiting(browser, service) as visit, pushing(clip, service.push_url("typed")) as encoder:
        page = visit.page
        page.goto(visit.base)
        visit.arrived("login")
        # The first field has the focus.
        page.keyboard.type(ACCESS_KEY)
        tab_until(page, "input[type=password]")
        page.keyboard.type(SECRET_KEY)
        page.keyboard.press("Enter")
        visit.arrived("overview")
        tab_until(page, "a[href='#/live']")
        page.keyboard.press("Enter")
        visit.arrived("live")
        expect(page.get_by_role("grid").get_by_role("row").filter(has_text="typed")).to_be_visible()
        tab_until(page, "main input[type=search]")
        page.keyboard.type("typed")
        tab_until(page, "[role=grid] [role=row][data-at]")
        tab_until(page, "[role=row] button")
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        assert page.evaluate("() => document.activeElement.matches('[role=row] button')")  # the focus is given back
        page.keyboard.press("Enter")
        expect(dialog).to_be_visible()
        tab_until(page, "dialog input[type=radio]")
        page.keyboard.press("ArrowUp")
        # The preset above an hour; Enter leads to the second step, which has the focus.
        expect(dialog.get_by_label("10 minutes")).to_be_checked()
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("group", name="What will happen")).to_be_focused()
        assert encoder.poll() is None
        tab_until(page, "dialog .danger")
        page.keyboard.press("Enter")
        encoder.wait(20)
    assert service.call("CheckBlacklist", Pubdomain=PUBDOMAIN, Stream="typed")["CheckResult"] == 1


def test_key_without_rights_is_told_so_on_every_page(browser: Browser, service: RunningService) -> None:
    silent = []
    with visiting(browser, service) as visit:
        visit.watch.expected.add((403, "/console/call"))
        visit.log_in(*POWERLESS)
        for name, *rest in ROUTES:
            if name == "explorer":  # shows the actions; the answer to one is tested below
                continue
            page = visit.open(name, *rest)
            if not page.locator("main").get_by_text("This key may not").count():
                silent.append(name)
    assert not silent


def test_reader_sees_and_may_not_ban(browser: Browser, service: RunningService) -> None:
    with visiting(browser, service) as visit:
        visit.watch.expected.add((403, "/console/call"))
        visit.log_in(*READER)
        page = visit.open("live")
        page.get_by_role("button", name="Ban camera").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Review").click()
        dialog.get_by_role("button", name="Ban now").click()
        expect(dialog.get_by_role("alert")).to_contain_text("This key may not do that")
        page.keyboard.press("Escape")
        expect(page.get_by_role("grid").get_by_role("row").filter(has_text="camera")).to_be_visible()
        assert service.call("CheckBlacklist", Pubdomain=PUBDOMAIN, Stream="camera")["CheckResult"] == 0


# -- class 15: names of others, wherever they are shown


def test_refused_name_with_markup_is_text(browser: Browser, service: RunningService, clip: Path, cookies: Any) -> None:
    name = "<mark>bold"
    with pushing(clip, service.push_url(name)) as encoder:
        encoder.wait(20)
    with visiting(browser, service, storage_state=cookies) as visit:
        page = visit.open("errors")
        expect(page.locator("main").get_by_text(name).first).to_be_visible()
        assert not page.locator("mark").count()


def test_route_with_markup_is_text(browser: Browser, service: RunningService, cookies: Any) -> None:
    with visiting(browser, service, storage_state=cookies) as visit:
        page = visit.open("stream", "demo", "live", PUBDOMAIN, MARKUP)
        expect(page.get_by_role("heading", level=1)).to_contain_text(MARKUP)
        _harmless(page)


def test_answers_full_of_markup_are_text(browser: Browser, service: RunningService, cookies: Any) -> None:
    """Every text that the service could send, on every page: a name, an address, a codec, an outcome, a policy."""

    def spoilt(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: spoilt(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [spoilt(each, name) for each in value]
        if isinstance(value, str) and name not in ("RetMsg", "Pubdomain", "UniqueName", "App", "Apps", "Policy"):
            return SCRIPT if name.endswith("Url") else MARKUP
        return value

    def answer(route: Route) -> None:
        real = route.fetch()
        route.fulfill(response=real, json=spoilt(real.json()))

    rows = service.call("ListRealtimeStreamsInfo", Type="push", Stream="camera")["Streams"]
    live = spoilt({"Streams": rows, "Count": 1, "UpdateTime": 1, "OnlineUser": 0, "BwReal": 0, "Bw": 0})
    events = f"event: streams\ndata: {json.dumps(live)}\n\n"
    with visiting(browser, service, storage_state=cookies) as visit:
        visit.context.route("**/console/call?**", answer)
        visit.context.route(
            "**/console/events", lambda route: route.fulfill(body=events, content_type="text/event-stream")
        )
        for name, *rest in ROUTES:
            page = visit.open(name, *rest)
            assert not page.get_by_text("This page failed").count(), name
            _harmless(page)
        visit.context.unroute_all(behavior="ignoreErrors")


def _harmless(page: Page) -> None:
    assert page.title() != "taken"
    assert not page.locator("img").count()
    assert not page.locator("a[href^='javascript:']").count()


def test_explorer_shows_the_request_it_sends(browser: Browser, service: RunningService, cookies: Any) -> None:
    with visiting(browser, service, storage_state=cookies) as visit:
        page = visit.open("explorer")
        expect(page.locator("main")).to_contain_text("DescribeLiveStreams")
