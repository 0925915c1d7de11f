"""A page of another origin, in the browser of somebody logged in at the console, reads nothing and changes nothing.

Rule: every attempt is made by a real browser that has the session's cookie, from another host name (another site, which
the cookie is not sent from) and from another port of the console's own host (the same site, which it is sent from).
"""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page

from support_service import ACCESS_KEY, SECRET_KEY, RunningService
from tests.support_browser import PUBDOMAIN, STRANGER, Visit, visiting

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

BAN = f'{{"UniqueName": "demo", "App": "live", "Pubdomain": "{PUBDOMAIN}", "Stream": "target"'
FORBID = "call?Action=ForbidStream&Version=2017-01-01"
LIST = "call?Action=DescribeLiveStreams&Version=2026-01-01"
# Of somebody who wants others to work under their key.
LOGIN = f'{{"AccessKey": "{ACCESS_KEY}", "SecretKey": "{SECRET_KEY}"'


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>A page of others</title><iframe name=sink></iframe><button>Open</button>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def strangers_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def victim(browser: Browser, console_service: RunningService) -> Iterator[Visit]:
    """Somebody who is logged in, and still is in the end."""
    with visiting(browser, console_service) as visit:
        visit.log_in()
        yield visit


@pytest.fixture(params=[STRANGER, "127.0.0.1"], ids=["another site", "the same site"])
def stranger(request: pytest.FixtureRequest, victim: Visit, strangers_port: int) -> Iterator[Page]:
    """A page of another origin in the victim's browser."""
    victim.watch.check()
    page = victim.context.new_page()
    page.goto(f"http://{request.param}:{strangers_port}/")
    yield page
    page.close()
    victim.watch.faults.clear()  # what a page of others is refused is no fault
    # Nobody was banned, and it is still the same session.
    check = victim.service.call("CheckBlacklist", Pubdomain=PUBDOMAIN, Stream="target")
    assert check["CheckResult"] == 0
    session = victim.page.evaluate("async () => (await fetch('/console/session')).json()")
    assert session["AccessKey"] == ACCESS_KEY


def _posted(page: Page, url: str, enctype: str, name: str, value: str) -> int:
    """The status of the answer to a form."""
    with page.expect_response(lambda response: response.url == url) as answer:
        page.evaluate(
            """([url, enctype, name, value]) => {
              const form = document.createElement("form");
              const field = document.createElement("input");
              Object.assign(form, { method: "POST", action: url, enctype, target: "sink" });
              Object.assign(field, { name, value });
              form.append(field);
              document.body.append(form);
              form.submit();
            }""",
            [url, enctype, name, value],
        )
    return answer.value.status


@pytest.mark.parametrize("enctype", ["text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", ["session", FORBID, LIST, "explain?Action=GetBlacklist&Version=2017-01-01"])
def test_form_is_refused(victim: Visit, stranger: Page, path: str, enctype: str) -> None:
    # As text, what is before and after the equals sign makes one JSON object.
    body = (LOGIN if path == "session" else BAN) + ', "Tail": "'
    assert _posted(stranger, victim.base + path, enctype, body, '"}') in (401, 403, 415)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "session"), ("GET", "events"), ("POST", LIST), ("POST", FORBID), ("DELETE", "session")]
)
def test_request_with_the_cookie_gives_nothing_to_read(victim: Visit, stranger: Page, method: str, path: str) -> None:
    read = stranger.evaluate(
        """async ([url, method, body]) => {
          const found = [];
          for (const headers of [{}, { "Content-Type": "application/json", "X-CSRF-Token": "x" }]) {
            for (const mode of ["cors", "no-cors"]) {
              try {
                const init = { method, mode, credentials: "include", headers };
                if (method === "POST") init.body = body;
                const answer = await fetch(url, init);
                found.push(answer.type === "opaque" ? "" : await answer.text());
              } catch { found.push(""); }
            }
          }
          return found;
        }""",
        [victim.base + path, method, BAN + "}"],
    )
    assert read == ["", "", "", ""]


def test_event_stream_is_not_heard(victim: Visit, stranger: Page) -> None:
    heard = stranger.evaluate(
        """(url) => new Promise((resolve) => {
          const source = new EventSource(url, { withCredentials: true });
          const heard = (event) => { source.close(); resolve(event.type); };
          for (const name of ["open", "message", "totals", "streams", "error"]) source.addEventListener(name, heard);
        })""",
        victim.base + "events",
    )
    assert heard == "error"


def test_answers_are_no_scripts(victim: Visit, stranger: Page) -> None:
    loaded = stranger.evaluate(
        """(urls) => Promise.all(urls.map((url) => new Promise((resolve) => {
          const script = document.createElement("script");
          script.onload = () => resolve("loaded");
          script.onerror = () => resolve("refused");
          script.src = url;
          document.body.append(script);
        })))""",
        [victim.base + "session?callback=got", victim.base + LIST + "&callback=got"],
    )
    assert loaded == ["refused", "refused"]


def test_console_is_not_framed(victim: Visit, stranger: Page) -> None:
    with stranger.expect_event("requestfailed") as failed:
        stranger.evaluate("(url) => { document.querySelector('iframe').src = url }", victim.base)
    assert failed.value.url == victim.base
    assert failed.value.failure == "net::ERR_BLOCKED_BY_RESPONSE"


def test_window_that_was_opened_is_out_of_reach(victim: Visit, stranger: Page) -> None:
    stranger.evaluate(
        "(url) => { document.querySelector('button').onclick = () => { window.opened = open(url); } }", victim.base
    )
    with stranger.expect_popup() as popup:
        stranger.get_by_role("button").click()
    popup.value.wait_for_load_state()
    stranger.wait_for_function("() => window.opened.closed")  # cut off by Cross-Origin-Opener-Policy
    assert popup.value.evaluate("() => window.opener") is None
    popup.value.close()


def test_name_of_others_that_leads_here_is_refused(victim: Visit) -> None:
    victim.watch.origins |= {f"{STRANGER}:{victim.service.api_port}"}
    page = victim.context.new_page()
    statuses = [
        getattr(page.goto(f"http://{STRANGER}:{victim.service.api_port}/console/{path}"), "status", 0)
        for path in ("", "session", "events")
    ]
    assert statuses == [403, 403, 403]
    page.close()
    victim.watch.faults.clear()
