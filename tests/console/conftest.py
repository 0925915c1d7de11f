import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support_console import TOKENS, Browser, Desk

INDEX = '<!doctype html><title>OpenKLS</title><script type="module" src="/console/assets/index-1a2b3c.js"></script>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An app as its build leaves it."""
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text(INDEX)
    (static / "favicon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (static / "assets" / "index-1a2b3c.js").write_text("console.log(1);\n" * 200)
    (tmp_path / "secret.key").write_text("beside the folder")
    return static


@pytest.fixture
async def desk(folder: Path) -> AsyncIterator[Desk]:
    desk = Desk(folder)
    await desk.start()
    yield desk
    await desk.close()


@pytest.fixture
def browser(desk: Desk) -> Browser:
    return desk.browser()


@pytest.fixture
async def user(browser: Browser) -> Browser:
    """A browser in which somebody is logged in."""
    assert (await browser.log_in()).status == 200
    return browser


@pytest.fixture(autouse=True)
def no_secret_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Neither a secret nor a session's token is in any line, at any level; nor is a warning."""
    TOKENS.clear()
    caplog.set_level(logging.DEBUG, "openkls")
    yield
    text = "\n".join(record.getMessage() + str(record.args) for record in caplog.records)
    assert "SKTEST" not in text
    assert "SKTHEIRS" not in text
    for token in TOKENS:
        assert token not in text
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
