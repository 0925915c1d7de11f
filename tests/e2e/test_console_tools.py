"""The console's tools: keys that are made, used and disabled, the request that the API explorer shows, and what
`tests.support_browser` sees when something is wrong.

Rule: whatever the browser's console, its policy or its network complains of fails the test that saw it.
"""

import json
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from openkls.client import Client, KlsError
from support_service import RunningService, until
from tests.support_browser import STRANGER, Visit, visiting

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


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


def test_key_is_made_once_shown_used_and_disabled(
    browser: Browser, desk: Visit, console_service: RunningService
) -> None:
    page = desk.open("keys")
    page.get_by_role("button", name="Create a key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Create", exact=True).click()
    expect(dialog.get_by_role("heading", name="Copy the secret now")).to_be_visible()
    access_key, secret_key = dialog.locator("code").all_inner_texts()
    dialog.get_by_role("button", name="I have kept it").click()
    expect(dialog).to_have_count(0)
    assert secret_key not in page.content()
    assert secret_key not in console_service.log.read_text()

    with visiting(browser, console_service) as other:
        other.log_in(access_key, secret_key)
        other.open("nodes")
        page.get_by_role("button", name=f"Disable {access_key}").click()
        dialog.get_by_role("button", name="Disable for good").click()
        expect(page.get_by_role("grid").get_by_role("row").filter(has_text=access_key)).to_contain_text("disabled")
        # Its session ends by itself, whatever it looks at.
        other.watch.expected |= {(401, "/console/call"), (401, "/console/events")}
        other.arrived("login")
    with Client(console_service.endpoint, access_key, secret_key, retries=0) as api, pytest.raises(KlsError):
        api.call("ListRealtimeStreamsInfo", {"UniqueName": "demo", "App": "live"})


def test_explorer_sends_and_what_it_shows_signed_verifies(desk: Visit) -> None:
    page = desk.open("explorer")
    page.locator("main").get_by_role("button", name="DescribeSpaces").click()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("main")).to_contain_text('"push.demo.local"')
    page.get_by_role("tab", name="Signed request").click()
    page.get_by_role("button", name="Sign", exact=True).click()
    curl = page.locator("main pre").filter(has_text="curl ").inner_text()
    answer = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, timeout=20, check=True)
    assert json.loads(answer.stdout)["Data"]["RetCode"] == 0


def test_links_of_a_stream_lead_to_its_own_records(desk: Visit) -> None:
    page = desk.open("stream", "demo", "live", "md5.demo.local", "signed")
    page.get_by_role("link", name="All in History").click()
    desk.arrived("history")
    expect(page.get_by_label("Publish domain")).to_have_value("md5.demo.local")
    expect(page.get_by_label("Stream", exact=True)).to_have_value("signed")
    page.go_back()
    desk.arrived("stream")
    page.get_by_role("link", name="URLs").click()
    desk.arrived("urls")
    expect(page.get_by_label("Publish domain")).to_have_value("md5.demo.local")
    page.get_by_role("button", name="Make URLs").click()
    expect(page.locator("main")).to_contain_text("rtmp://md5.demo.local")
    expect(page.locator("main")).to_contain_text("k=")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("console.error('a fault')", "console: a fault"),
        ("setTimeout(() => { throw new Error('thrown') })", "exception: "),
        (f"fetch('http://{STRANGER}:1/').catch(() => undefined)", "policy violated: connect-src"),
        (f"open('http://{STRANGER}:1/')", "request to another host"),
        ("fetch('/console/assets/nosuch.js')", "404 GET"),
        (
            "document.head.append(Object.assign(document.createElement('script'), { textContent: 'window.bad = 1' }))",
            "policy violated: script-src",
        ),
        ("document.body.insertAdjacentHTML('beforeend', '<i style=\"color: red\">')", "policy violated: style-src"),
    ],
)
def test_watch_tells_what_goes_wrong(browser: Browser, console_service: RunningService, wrong: str, told: str) -> None:
    visit = Visit(browser, console_service)
    visit.page.goto(visit.base)
    visit.arrived("login")
    visit.page.evaluate(f"() => {{ {wrong} }}")
    until(lambda: visit.page.evaluate("() => 1") and any(told in fault for fault in visit.watch.faults), 10)
    visit.context.close()
    with pytest.raises(AssertionError):
        visit.watch.check()
