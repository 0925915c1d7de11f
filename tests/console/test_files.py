"""The app's files: what is served, how, and that nothing else is."""

import asyncio
import gzip
from http import HTTPStatus
from pathlib import Path

import pytest

from openkls.console import shelf
from openkls.console.answers import PLAY_NAMES_LIMIT, answer_page, page_policy
from support_api import DEADLINE_SECONDS
from support_console import Browser, Desk

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src {media}; media-src blob: {media}; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
SCRIPT = "/assets/index-1a2b3c.js"


@pytest.mark.parametrize("target", ["", "/", "/?x=1", "?x=1"])
async def test_app_is_there_without_a_redirect_and_without_a_login(browser: Browser, target: str) -> None:
    reply = await browser.ask("GET", target, headers={"Sec-Fetch-Site": "cross-site"})
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["cache-control"] == "no-store"
    assert b"/console/assets/index-1a2b3c.js" in reply.body


async def test_files_with_a_hash_in_their_name_are_kept_for_ever(browser: Browser) -> None:
    reply = await browser.ask("GET", SCRIPT)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert reply.body == b"console.log(1);\n" * 200
    again = await browser.ask("GET", SCRIPT, headers={"If-None-Match": reply.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    packed = await browser.ask("GET", SCRIPT, headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == reply.body
    assert packed.headers["vary"] == "Accept-Encoding"


async def test_other_files_are_asked_for_each_time(browser: Browser) -> None:
    reply = await browser.ask("GET", "/favicon.svg")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/svg+xml")
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "target",
    [
        "/nothing",
        "/index.html/",
        "//index.html",
        "/assets",
        "/assets/",
        "/../secret.key",
        "/assets/../../secret.key",
        "/%2e%2e/secret.key",
        "/..%2fsecret.key",
        "/assets/..%5c..%5csecret.key",
        "/assets/index-1a2b3c.js%00",
        "/assets/index-1a2b3c%2ejs",
        "/./index.html",
        "/linked.txt",
        "/etc/passwd",
        "//etc/passwd",
        "/secret.key",
        "/site.py",
        "/program.exe",
    ],
)
async def test_class_13_no_path_leads_out_of_the_folder(folder: Path, browser: Browser, target: str) -> None:
    (folder / "linked.txt").symlink_to(folder.parent / "secret.key")
    (folder / "program.exe").write_text("of no type that is served")
    reply = await browser.ask("GET", target)
    assert (reply.status, reply.json["Error"]["Code"]) == (404, "NotFound")


async def test_without_a_build_the_page_says_how_to_make_one_and_takes_it_up(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    desk = Desk(empty)
    await desk.start()
    browser = desk.browser()
    for target in ("", "/"):
        reply = await browser.ask("GET", target)
        assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"<code>make console</code>" in reply.body
    assert (await browser.ask("GET", "/favicon.svg")).status == 404
    assert (await browser.log_in()).status == 200
    (empty / "index.html").write_text("built")
    assert (await browser.ask("GET", "/")).body == b"built"
    await desk.close()


async def test_folder_is_read_once(folder: Path, browser: Browser) -> None:
    before = await browser.ask("GET", SCRIPT)
    (folder / SCRIPT[1:]).write_text("changed")
    (folder / "new.txt").write_text("new")
    assert (await browser.ask("GET", SCRIPT)).body == before.body
    assert (await browser.ask("GET", "/new.txt")).status == 404


async def test_head_has_no_body(browser: Browser) -> None:
    reader, writer = await asyncio.open_connection(*browser.desk.site.address)
    async with asyncio.timeout(DEADLINE_SECONDS):
        writer.write(browser.head("HEAD", SCRIPT, b"", {"Connection": "close"}))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert b"Content-Length: 3200" in head
    assert body == b""


def test_class_15_every_word_of_a_page_is_escaped() -> None:
    page = answer_page(HTTPStatus.OK, "<b>&", "<i>'\"", "say `<script>` here")
    assert isinstance(page.body, bytes)
    text = page.body.decode()
    assert "<h1>&lt;b&gt;&amp;</h1>" in text
    assert "<p>&lt;i&gt;&#x27;&quot;</p>" in text
    assert "<p>say <code>&lt;script&gt;</code> here</p>" in text


# -- limits -------------------------------------------------------------------------------------------------------


def test_folder_at_its_limits_is_read_and_beyond_them_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    monkeypatch.setattr(shelf, "FILES_LIMIT", 3)
    monkeypatch.setattr(shelf, "FILES_LIMIT_BYTES", size)
    assert sorted(shelf.read_folder(folder)) == ["assets/index-1a2b3c.js", "favicon.svg", "index.html"]
    monkeypatch.setattr(shelf, "FILES_LIMIT_BYTES", size - 1)
    with pytest.raises(ValueError, match="make console"):
        shelf.read_folder(folder)
    monkeypatch.setattr(shelf, "FILES_LIMIT_BYTES", size)
    monkeypatch.setattr(shelf, "FILES_LIMIT", 2)
    with pytest.raises(ValueError, match="make console"):
        shelf.read_folder(folder)


# -- the policy of the page ---------------------------------------------------------------------------------------


async def test_policy_lets_the_page_play_from_the_play_port_and_the_play_domains(desk: Desk) -> None:
    browser = desk.browser("localhost")
    before = await browser.ask("GET", "/")
    assert before.headers["content-security-policy"] == POLICY.format(media="'self' localhost:8081")
    await browser.log_in()
    reply = await browser.ask("GET", "/")
    media = "'self' localhost:8081 play.demo.local:8081 play2.demo.local:8081 play.demo.local play2.demo.local"
    assert reply.headers["content-security-policy"] == POLICY.format(media=media)


async def test_policy_of_who_is_logged_in_has_their_domains_alone(desk: Desk) -> None:
    browser = desk.browser()
    await browser.log_in("AKTHEIRS", "SKTHEIRS")
    reply = await browser.ask("GET", "/")
    assert reply.headers["content-security-policy"] == POLICY.format(media="'self' 127.0.0.1:8081")


async def test_everything_but_the_page_may_do_nothing_at_all(user: Browser) -> None:
    for method, target in (("GET", "/session"), ("GET", SCRIPT), ("GET", "/nothing"), ("POST", "/call")):
        reply = await user.ask(method, target)
        assert reply.headers["content-security-policy"] == (
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
        )


def test_policy_names_so_many_domains_and_not_one_more() -> None:
    names = [f"p{number}.test" for number in range(PLAY_NAMES_LIMIT + 1)]
    policy = page_policy("h.test", 8081, names)
    assert f"p{PLAY_NAMES_LIMIT - 1}.test:8081" in policy
    assert f"p{PLAY_NAMES_LIMIT}.test" not in policy
    assert len(policy) < 4096


def test_address_that_a_policy_cannot_say_is_left_out() -> None:
    assert page_policy("2001:db8::1", 8081, ["::1"]) == POLICY.format(media="'self'")
