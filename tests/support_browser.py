"""The built console in a real Chromium, for tests, screenshots and the bench: watched, so that what goes wrong is told.

Rule: a page that was watched ends with `Watch.check`, which fails on a message of the console's at level error, an
exception, a violation of the Content-Security-Policy, a request to any other host than the service's ports, and an
answer of 400 and more that the test did not expect.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

import hatch_build
from tests.support_service import ACCESS_KEY, SECRET_KEY, RunningService
from tests.support_tools import need

ROOT = Path(__file__).resolve().parent.parent
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
# A browser that shares two cores with a server, an encoder and other tests.
WAIT_SECONDS: Final = 20.0
# Names of hosts for pages of others; Chromium finds them here, without a question to anybody.
STRANGER: Final = "stranger.example"
SWITCHES: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio", "--disable-background-networking"),
    f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1",
)
PUBDOMAIN: Final = "push.demo.local"
# Routes with a page of their own; the stream's has a name behind it.
PAGES: Final = (
    *("overview", "live", "history", "errors", "durations", "blacklist"),
    *("keys", "urls", "explorer", "nodes", "audit"),
)
WIDE: Final = {"width": 1280, "height": 800}
PHONE: Final = {"width": 360, "height": 740}

READER: Final = ("AKREADERREADERREAD", "reader-secret-of-no-use-elsewhere")
POWERLESS: Final = ("AKPOWERLESSPOWERLE", "powerless-secret-of-no-use")
MORE_KEYS: Final = f"""
[[account.key]]
access_key = "{READER[0]}"
secret_key = "{READER[1]}"
policy = [{{ Effect = "Allow", Action = ["kls:List*", "kls:Describe*", "kls:Get*", "kls:Check*"], Resource = ["*"] }}]
[[account.key]]
access_key = "{POWERLESS[0]}"
secret_key = "{POWERLESS[1]}"
policy = []
"""


def build_console() -> None:
    """Build what the service serves, if it is not of these sources; skips without npm, but fails in CI."""
    if not hatch_build.is_fresh():
        need("npm")
        hatch_build.build()


@contextlib.contextmanager
def chromium(*switches: str) -> Iterator[Browser]:
    """A browser without a window. One for a module: it takes a second to start."""
    path = need("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*SWITCHES, *switches])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watch:
    """What a context's pages did that they should not."""

    origins: frozenset[str]
    """Hosts with ports that may be asked."""
    expected: set[tuple[int, str]] = field(default_factory=set)
    """Status and path of answers that are part of the test."""
    faults: list[str] = field(default_factory=list)

    def on(self, context: BrowserContext) -> None:
        """From now on."""
        context.on("console", self._said)
        context.on("weberror", lambda error: self.faults.append(f"exception: {error.error}"))
        context.on("request", self._asked)
        context.on("response", self._answered)
        context.on("requestfailed", self._failed)
        context.expose_binding("openklsCspFault", lambda _, what: self.faults.append(f"policy violated: {what}"))
        context.add_init_script(
            "addEventListener('securitypolicyviolation', (event) =>"
            " openklsCspFault(`${event.violatedDirective} by ${event.blockedURI} at ${event.sourceFile}`))"
        )

    def check(self) -> None:
        """Fails unless all was well; what was told is forgotten."""
        faults, self.faults = self.faults, []
        assert not faults, "\n".join(faults)

    def _said(self, message: ConsoleMessage) -> None:
        # A failed request is judged by its answer.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"console: {message.text} at {message.location.get('url')}")

    def _asked(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.netloc not in self.origins:
            self.faults.append(f"request to another host: {request.url}")

    def _answered(self, response: Response) -> None:
        path = urlsplit(response.url).path
        if response.status >= 400 and (response.status, path) not in self.expected:
            self.faults.append(f"{response.status} {response.request.method} {response.url}")

    def _failed(self, request: Request) -> None:
        # A stream or a player that was closed, by us or by leaving the page.
        if "ERR_ABORTED" not in (request.failure or ""):
            self.faults.append(f"{request.failure}: {request.url}")


class Visit:
    """One person at the console: a context of a browser, one page, and what is watched."""

    def __init__(self, browser: Browser, service: RunningService, **options: Any) -> None:
        self.service = service
        self.base = f"{service.endpoint}/console/"
        self.watch = Watch(frozenset(f"127.0.0.1:{port}" for port in (service.api_port, service.play_port)))
        settings: dict[str, Any] = {"viewport": WIDE, "locale": "en-GB", "timezone_id": "Asia/Shanghai"} | options
        self.context = browser.new_context(**settings)
        self.context.set_default_timeout(WAIT_SECONDS * 1000)
        self.watch.on(self.context)
        self.page = self.context.new_page()

    def log_in(self, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY) -> None:
        """As somebody who has opened the console's address."""
        self.page.goto(self.base)
        self.page.locator("input[name=AccessKey]").fill(access_key)
        self.page.locator("input[name=SecretKey]").fill(secret_key)
        self.page.locator("form button[type=submit]").click()
        self.arrived("overview")

    def open(self, name: str, *rest: str) -> Page:
        """Go to a page by its route, `name` or `name?filter=...`, and wait until it shows what it has asked for."""
        route = "/".join(["#", name, *(quote(part, safe="") for part in rest)])
        if self.page.url.startswith(self.base):
            self.page.evaluate("route => { location.hash = route }", route)
        else:
            self.page.goto(self.base + route)
        self.arrived(name.partition("?")[0])
        return self.page

    def arrived(self, name: str) -> None:
        """Wait for the page of this name, and until nothing on it is on its way."""
        self.page.locator(f'main[data-page="{name}"] h1').wait_for()
        self.page.wait_for_function("() => !document.querySelector('main [aria-busy=true], main .loading')")

    def end(self) -> None:
        """Close; fails when something was wrong."""
        self.context.close()
        self.watch.check()


@contextlib.contextmanager
def visiting(browser: Browser, service: RunningService, **options: Any) -> Iterator[Visit]:
    """A person who is not logged in; what went wrong on the pages fails the test, after what the test itself found."""
    visit = Visit(browser, service, **options)
    try:
        yield visit
    except BaseException:
        with contextlib.suppress(Exception):
            print("faults before the failure:", visit.watch.faults)
            visit.context.close()
        raise
    visit.end()


def axe_faults(page: Page) -> list[str]:
    """What axe finds serious or critical, one line each with the first element."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{rule['id']} ({rule['impact']}): {rule['nodes'][0]['failureSummary']}: {rule['nodes'][0]['html'][:200]}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ]


def sideways(page: Page) -> int:
    """By how many pixels the document is wider than its window, once what follows a change of size has been drawn."""
    width: int = page.evaluate(
        """async () => {
          for (let frame = 0; frame < 4; frame++) await new Promise(requestAnimationFrame);
          return document.documentElement.scrollWidth - document.documentElement.clientWidth;
        }"""
    )
    return width


def tab_until(page: Page, wanted: str, limit: int = 120, key: str = "Tab") -> None:
    """Press Tab until the focus is on what the selector names; AssertionError after ``limit`` times."""
    visited: list[str] = []
    for _ in range(limit):
        page.keyboard.press(key)
        if page.evaluate("wanted => !!document.activeElement?.matches(wanted)", wanted):
            return
        visited.append(page.evaluate("() => document.activeElement?.outerHTML.slice(0, 80) ?? ''"))
    raise AssertionError(f"{wanted} was not reached by {limit} x {key}: {visited}")
