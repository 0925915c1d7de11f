"""The console over a whole API in this process, and a browser as far as the console sees one.

Rule: requests go over a socket; every answer below /console is held against the headers that all of them have.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from openkls import config
from openkls.app.api import console_ports
from openkls.console import Console
from support_api import DEADLINE_SECONDS, Reply, Site

SEALS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "server": "OpenKLS",
}
TOKENS: set[str] = set()
"""Every session's and CSRF token that browsers of the running test were given (conftest)."""


class Desk:
    """An API with its console. What the configuration says of both is ``settings``."""

    def __init__(self, folder: Path, settings: config.Config | None = None, site: Site | None = None) -> None:
        self.site = site or Site()
        settings = settings or config.Config()
        self.site.services = replace(self.site.services, trusted_proxies=settings.api.trusted_networks, play_port=8081)
        self.console = Console(console_ports(settings, self.site.services), folder)
        self.site.sites["/console"] = self.console

    async def start(self) -> None:
        await self.site.start()

    async def close(self) -> None:
        await self.console.close()
        await self.site.close()

    @property
    def port(self) -> int:
        return self.site.address.port

    def browser(self, host: str = "127.0.0.1") -> "Browser":
        return Browser(self, host)


class Browser:
    """Somebody's browser: keeps cookies and the CSRF token, and says where a request comes from."""

    def __init__(self, desk: Desk, host: str) -> None:
        self.desk = desk
        self.authority = f"{host}:{desk.port}"
        self.scheme = "http"
        self.cookies: dict[str, str] = {}
        self.csrf_token = ""
        self.more_headers: dict[str, str] = {}

    def head(self, method: str, target: str, body: bytes, headers: Mapping[str, str | None]) -> bytes:
        """The request; a header of None is left out."""
        own: dict[str, str | None] = {"Host": self.authority, "Sec-Fetch-Site": "same-origin"}
        if method not in ("GET", "HEAD"):
            own["Origin"] = f"{self.scheme}://{self.authority}"
            own["Content-Type"] = "application/json"
            own["Content-Length"] = str(len(body))
            if self.csrf_token:
                own["X-CSRF-Token"] = self.csrf_token
        if self.cookies:
            own["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        own |= {**self.more_headers, **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in own.items() if value is not None)
        return f"{method} /console{target} HTTP/1.1\r\n{lines}\r\n".encode()

    async def ask(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str | None] | None = None
    ) -> Reply:
        reply = await self.desk.site.send_raw(self.head(method, target, body, headers or {}) + body)
        check_sealed(reply)
        self.keep_cookies(reply)
        return reply

    def keep_cookies(self, reply: Reply) -> None:
        if "set-cookie" in reply.headers:
            name, _, value = reply.headers["set-cookie"].partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
            if self.cookies[name]:
                TOKENS.add(self.cookies[name])
            else:
                del self.cookies[name]

    async def log_in(
        self, access_key: str = "AKTEST", secret_key: str = "SKTEST", headers: Mapping[str, str | None] | None = None
    ) -> Reply:
        body = json.dumps({"AccessKey": access_key, "SecretKey": secret_key}).encode()
        reply = await self.ask("POST", "/session", body, headers)
        if reply.status == 200:
            self.csrf_token = reply.json["CsrfToken"]
            TOKENS.add(self.csrf_token)
        return reply

    async def call(self, action: str, version: str = "2017-01-01", **parameters: Any) -> Reply:
        return await self.ask("POST", f"/call?Action={action}&Version={version}", json.dumps(parameters).encode())

    @contextlib.asynccontextmanager
    async def events(self) -> AsyncIterator["EventReader"]:
        """An open event stream."""
        reader, writer = await asyncio.open_connection(*self.desk.site.address)
        try:
            writer.write(self.head("GET", "/events", b"", {}))
            async with asyncio.timeout(DEADLINE_SECONDS):
                yield await EventReader.begin(reader)
        finally:
            writer.close()


class EventReader:
    """The events of one connection, as they come; ``status`` is 200, or the answer is ``body``."""

    def __init__(self, reader: asyncio.StreamReader, headers: Mapping[str, str], status: int, body: bytes) -> None:
        self._reader = reader
        self.headers = headers
        self.status = status
        self.body = body
        self._text = b""
        self.comments = 0
        self.retry_ms = 0

    @classmethod
    async def begin(cls, reader: asyncio.StreamReader) -> "EventReader":
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        status = int(head[0].split()[1])
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        check_sealed(Reply(status, headers, body))
        return cls(reader, headers, status, body)

    async def next(self) -> tuple[str, Any] | None:
        """The next event and its data; None when the stream has ended."""
        while True:
            block, found, rest = self._text.partition(b"\n\n")
            if found:
                self._text = rest
                fields = dict(line.split(b": ", 1) for line in block.split(b"\n"))
                if b"event" in fields:
                    return fields[b"event"].decode(), json.loads(fields[b"data"])
                self.comments += b"" in fields
                self.retry_ms = int(fields.get(b"retry", self.retry_ms))
                continue
            size = int((await self._reader.readuntil(b"\r\n")).strip(), 16)
            self._text += (await self._reader.readexactly(size + 2))[:-2]
            if size == 0:
                return None

    async def until(self, event: str) -> Any:
        """The data of the next event of this kind; others are passed over."""
        while True:
            told = await self.next()
            assert told is not None, f"the stream ended without {event}"
            if told[0] == event:
                return told[1]


def check_sealed(reply: Reply) -> None:
    """What every answer of the console has."""
    for name, value in SEALS.items():
        assert reply.headers.get(name) == value, name
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert reply.headers["cache-control"] == "no-store" or "immutable" in reply.headers["cache-control"]
    assert reply.headers["x-amzn-requestid"]
    assert not any(name.startswith("access-control-") for name in reply.headers)
    if reply.status >= 400 and "json" in reply.headers.get("content-type", ""):
        error = reply.json["Error"]
        assert {"Code", "Message"} <= set(error)
        assert reply.json["RequestId"] == reply.headers["x-amzn-requestid"]
