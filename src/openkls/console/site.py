"""The console at /console of the API's ports: its doors, and what a request has to show at each.

Rule: the order of the checks is that of `_answer` and `_admit` and nowhere else; a GET changes nothing; every answer,
also one to a bug of ours, goes out through `answers.sealed`.

Theory of operation. A request's Host comes first (guards), then its path and method. The app's files are anybody's:
they hold nothing but the program. Everything else is asked for by the console's own page: a request that a browser says
to come from elsewhere is turned away, whatever it carries. Then the session, by its cookie; then, for all that is no
GET, its CSRF token, which only a page of this origin can have read. The cookie is SameSite=Strict and HttpOnly; its
name has the port, as browsers tell cookies apart by hosts alone: two services of one machine would log each other out.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from openkls.console import guards
from openkls.console.answers import (
    NO_STORE,
    NOTHING_POLICY,
    Refusal,
    answer_json,
    answer_page,
    answer_refusal,
    page_policy,
    sealed,
)
from openkls.console.events import Events
from openkls.console.explain import explain
from openkls.console.ports import Ports
from openkls.console.sessions import End, Session, Sessions
from openkls.console.shelf import FOREVER, INDEX, Shelf
from openkls.control.keyring import Credential

log = logging.getLogger("openkls.console")

PREFIX: Final = "/console"
STATIC: Final = Path(__file__).parent / "static"
CSRF_HEADER: Final = "X-CSRF-Token"
# An access key has at most 128 characters (config); nobody types a secret of a kilobyte.
LOGIN_LIMIT_BYTES: Final = 4 * 1024
QUERY_FIELDS_LIMIT: Final = 16
SAFE_METHODS: Final = frozenset(("GET", "HEAD"))
# What is compared with the secret of a key that does not exist: the answer takes as long.
_NO_SECRET: Final = b"\0"


class Login(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a login."""

    AccessKey: str
    SecretKey: str

    def __repr__(self) -> str:
        return f"Login({self.AccessKey!r})"


_LOGIN: Final = msgspec.json.Decoder(Login)
_OBJECT: Final = msgspec.json.Decoder(dict[str, object])


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, and who makes it once that is known."""

    request: web.BaseRequest
    query: str
    body: bytes | None
    """None: over the listener's limit."""
    client_ip: str
    host: str
    scheme: str
    session: Session | None = None
    credential: Credential | None = None

    @property
    def known(self) -> tuple[Session, Credential]:
        """Whose request it is, behind a door that lets nobody else in."""
        assert self.session is not None
        assert self.credential is not None
        return self.session, self.credential


@dataclass(frozen=True, slots=True)
class _Door:
    """What is asked for by one method on one path."""

    answer: Callable[[Visit], Awaitable[web.StreamResponse]]
    needs_session: bool = True


class Console:
    """The console; a site of the API's listener."""

    def __init__(self, ports: Ports, folder: Path = STATIC) -> None:
        self._ports = ports
        self._shelf = Shelf(folder)
        self.sessions = Sessions(ports.find_key, ports.is_disabled, ports.monotonic, ports.idle_seconds)
        self.events = Events(ports, self.sessions)
        self.failed_logins = 0
        """Logins with a wrong pair since the start."""
        self._doors: Mapping[str, Mapping[str, _Door]] = {
            "/session": {
                "GET": _Door(self._show_session, needs_session=False),
                "POST": _Door(self._log_in, needs_session=False),
                "DELETE": _Door(self._log_out),
            },
            "/call": {"POST": _Door(self._call)},
            "/explain": {"POST": _Door(self._explain)},
            "/events": {"GET": _Door(self._stream)},
        }

    async def close(self) -> None:
        """End every session and event stream. Bounded by `events.END_SECONDS`."""
        self.sessions.end_all(End.SERVICE_STOPPING)
        await self.events.close()

    async def __call__(
        self, request: web.BaseRequest, path: str, query: str, body: bytes | None, client_ip: str
    ) -> web.StreamResponse:
        """Answer a request (listener.Site)."""
        try:
            return await self._answer(request, path.removeprefix(PREFIX), query, body, client_ip)
        except Refusal as refusal:
            return sealed(answer_refusal(refusal))
        except Exception:
            log.exception("a bug of ours")
            failed = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "UndefinedError", "The request failed; see the log.")
            return sealed(answer_refusal(failed))

    async def _answer(
        self, request: web.BaseRequest, path: str, query: str, body: bytes | None, client_ip: str
    ) -> web.StreamResponse:
        doors = self._doors.get(path)
        host = guards.asked_host(request.headers)
        if host is None or not guards.is_known(host, self._ports.hosts):
            return _refuse_host(host, is_page=doors is None)
        scheme = guards.asked_scheme(request.secure, request.remote or "", request.headers, self._ports.trusted_proxies)
        visit = Visit(request, query, body, client_ip, host, scheme)
        if doors is None:
            return await self._send_file(visit, path)
        door = doors.get(request.method)
        if door is None:
            raise _method_refusal(doors)
        response = await door.answer(self._admit(visit, door))
        return response if response.prepared else sealed(response)

    def _admit(self, visit: Visit, door: _Door) -> Visit:
        """The request with its session, if it may go through this door. Raises Refusal."""
        request = visit.request
        changes = request.method not in SAFE_METHODS
        if not guards.is_own_page(request.headers, visit.scheme, changes):
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "CrossSiteRequest",
                f"Origin or Sec-Fetch-Site say that another page than {visit.scheme}://{_quoted_host(request)} asks. "
                "A proxy in front has to hand on the Host header as it came, and to be named in api.trusted_proxies.",
            )
        if not door.needs_session:
            return visit
        session, credential = self._session_of(visit)
        if changes:
            token = request.headers.get(CSRF_HEADER, "")
            if not compare_digest(_bytes(token), _bytes(session.csrf_token)):
                raise Refusal(
                    HTTPStatus.FORBIDDEN, "InvalidCsrfToken", f"{CSRF_HEADER} has to be the session's CsrfToken"
                )
        return Visit(request, visit.query, visit.body, visit.client_ip, visit.host, visit.scheme, session, credential)

    def _session_of(self, visit: Visit) -> tuple[Session, Credential]:
        found = None
        tokens = _cookies(visit.request, _cookie_name(visit))
        # One that is there twice was put there by somebody else: a page of a sibling domain can do that.
        if len(tokens) == 1:
            found = self.sessions.find(tokens[0])
        if found is None:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "NoSession", "Nobody is logged in here, or not any more; log in.")
        return found

    # -- the session ----------------------------------------------------------------------------------------------

    async def _show_session(self, visit: Visit) -> web.StreamResponse:
        try:
            return answer_json(self._described(*self._session_of(visit)))
        except Refusal:
            # To ask whether somebody is logged in is no mistake, and a browser's console would show it as one.
            return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _log_in(self, visit: Visit) -> web.StreamResponse:
        request = visit.request
        pair = self._read_login(visit)
        credential = self._ports.find_key(pair.AccessKey)
        secret = _NO_SECRET if credential is None else _bytes(credential.secret_key)
        is_right = compare_digest(_bytes(pair.SecretKey), secret)
        if credential is None or not is_right:
            self.failed_logins += 1
            refusal = Refusal(
                HTTPStatus.UNAUTHORIZED, "LoginFailed", "This is no pair of an access key and its secret."
            )
            refusal.closes = not await self._ports.hold_back(pair.AccessKey, visit.client_ip)
            raise refusal
        if self._ports.is_disabled(credential.account_id):
            raise Refusal(HTTPStatus.UNAUTHORIZED, "UnavailableAccountID", "The account of this key is disabled.")
        for token in _cookies(request, _cookie_name(visit)):
            # Who logs in again leaves nothing behind; a token that was there before is never taken on.
            before = self.sessions.find(token)
            if before is not None:
                self.sessions.end(before[0], End.LOGGED_OUT)
        token, session = self.sessions.open(credential)
        log.info("key %s logged in to the console from %s", credential.access_key, visit.client_ip)
        response = answer_json(self._described(session, credential))
        _set_cookie(response, visit, token)
        return response

    def _read_login(self, visit: Visit) -> Login:
        """Raises Refusal."""
        request = visit.request
        # Other types are sent by forms of any page, without being asked.
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "InvalidContentType", "Content-Type: application/json expected"
            )
        peer, trusted = request.remote or "", self._ports.trusted_proxies
        if not guards.is_private(visit.scheme, visit.host, visit.client_ip, peer, request.headers, trusted):
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "InsecureLogin",
                "A secret is not taken over plain HTTP from another machine. Use HTTPS (api.tls_listen); behind a "
                "proxy that speaks HTTPS, name it in api.trusted_proxies and let it set X-Forwarded-For and "
                "X-Forwarded-Proto.",
            )
        if visit.body is None or len(visit.body) > LOGIN_LIMIT_BYTES:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestTooLarge", f"at most {LOGIN_LIMIT_BYTES} bytes expected"
            )
        try:
            return _LOGIN.decode(visit.body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            # The parser's own words may repeat what was sent.
            raise Refusal(
                HTTPStatus.BAD_REQUEST, "InvalidParameterValue", 'a JSON object {"AccessKey", "SecretKey"} expected'
            ) from error

    async def _log_out(self, visit: Visit) -> web.StreamResponse:
        session, _ = visit.known
        self.sessions.end(session, End.LOGGED_OUT)
        log.info("key %s logged out of the console from %s", session.access_key, visit.client_ip)
        response = web.Response(status=HTTPStatus.NO_CONTENT)
        _set_cookie(response, visit, "", max_age=0)
        return response

    def _described(self, session: Session, credential: Credential) -> dict[str, object]:
        return {
            "AccountId": session.account_id,
            "AccessKey": session.access_key,
            "Region": self._ports.region,
            "Version": self._ports.version,
            "CsrfToken": session.csrf_token,
            "IdleSeconds": int(self._ports.idle_seconds),
            "FullRights": credential.policy is None,
        }

    # -- actions --------------------------------------------------------------------------------------------------

    async def _call(self, visit: Visit) -> web.StreamResponse:
        _, credential = visit.known
        answer = await self._ports.call(credential, visit.query, visit.body, visit.client_ip)
        response = web.Response(status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type})
        if answer.error_code:
            response.headers["x-amzn-errortype"] = answer.error_code
        if answer.retry_after_seconds:
            response.headers["Retry-After"] = str(answer.retry_after_seconds)
        return response

    async def _explain(self, visit: Visit) -> web.StreamResponse:
        _, credential = visit.known
        if visit.body is None:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestTooLarge", "the body is over the API's limit")
        try:
            asked = dict(parse_qsl(visit.query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_LIMIT))
            parameters = _OBJECT.decode(visit.body) if visit.body else {}
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise Refusal(
                HTTPStatus.BAD_REQUEST, "InvalidParameterValue", "a JSON object of parameters expected"
            ) from error
        named = (asked.get("Method", ""), asked.get("Action", ""), asked.get("Version", ""))
        origin = f"{visit.scheme}://{_quoted_host(visit.request)}"
        return answer_json(explain(*named, parameters, origin, credential, self._ports.region, self._ports.clock()))

    async def _stream(self, visit: Visit) -> web.StreamResponse:
        session, _ = visit.known
        return await self.events.stream(visit.request, session, visit.client_ip)

    # -- the app --------------------------------------------------------------------------------------------------

    async def _send_file(self, visit: Visit, path: str) -> web.StreamResponse:
        """A file of the app, by the very name it has."""
        request = visit.request
        name = path.removeprefix("/") or INDEX
        file = await self._shelf.file(name)
        if file is None and name != INDEX:
            raise Refusal(HTTPStatus.NOT_FOUND, "NotFound", "The console has nothing of this name; it is at /console/")
        if request.method not in SAFE_METHODS:
            raise _method_refusal(SAFE_METHODS)
        if file is None:
            return sealed(_unbuilt_page())
        headers = {"Content-Type": file.content_type, "ETag": file.etag, "Vary": "Accept-Encoding"}
        policy, cache = NOTHING_POLICY, FOREVER if file.is_hashed else NO_STORE
        if name == INDEX:
            policy = page_policy(visit.host, self._ports.play_port, self._play_names(visit))
        if file.etag in request.headers.get("If-None-Match", ""):
            return sealed(web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers), policy, cache)
        content = file.content
        if file.packed is not None and "gzip" in request.headers.get("Accept-Encoding", "").lower():
            content = file.packed
            headers["Content-Encoding"] = "gzip"
        return sealed(web.Response(body=content, headers=headers), policy, cache)

    def _play_names(self, visit: Visit) -> list[str]:
        """The play domains that a page may play from: of who is logged in. The app loads anew after a login."""
        try:
            session, _ = self._session_of(visit)
        except Refusal:
            return []
        return list(self._ports.play_names(session.account_id))


def _refuse_host(host: str | None, is_page: bool) -> web.StreamResponse:
    refusal = Refusal(
        HTTPStatus.FORBIDDEN,
        "UnknownHost",
        f"The console is not asked for by the name {host or ''!r}; name it in [console] hosts if it is right.",
    )
    if not is_page or host is None:
        return sealed(answer_refusal(refusal))
    return sealed(
        answer_page(
            HTTPStatus.FORBIDDEN,
            "This name is not known to the console",
            f"It was asked for as `{host}`. So that pages of others cannot reach it by a name of theirs, the console "
            "answers by addresses, by localhost, and by the names that the configuration lists.",
            f'If this name is right, put it there and start the service again: `[console] hosts = ["{host}"]`',
        )
    )


def _unbuilt_page() -> web.Response:
    return answer_page(
        HTTPStatus.OK,
        "The console is not built",
        "The service runs, and all of it but the console's pages is there: this copy of it was made without them.",
        "To build them, with Node.js and npm, run `make console` in the source's folder, then load this page again.",
    )


def _method_refusal(allowed: Mapping[str, object] | frozenset[str]) -> Refusal:
    names = ", ".join(sorted(allowed))
    return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", f"one of {names} expected", [("Allow", names)])


def _cookie_name(visit: Visit) -> str:
    transport = visit.request.transport
    port = 0 if transport is None else transport.get_extra_info("sockname")[1]
    # __Host- would want the path /, and __Secure- wants HTTPS.
    return f"__Secure-openkls-{port}" if visit.scheme == "https" else f"openkls-{port}"


def _cookies(request: web.BaseRequest, name: str) -> list[str]:
    """All values of a cookie. Read by hand: one that is no cookie at all does not hide the others."""
    pairs = [pair.strip().partition("=") for line in request.headers.getall("Cookie", []) for pair in line.split(";")]
    return [value for key, _, value in pairs if key == name]


def _set_cookie(response: web.Response, visit: Visit, token: str, max_age: int | None = None) -> None:
    response.set_cookie(
        _cookie_name(visit),
        token,
        path=PREFIX,
        httponly=True,
        samesite="Strict",
        secure=visit.scheme == "https",
        max_age=max_age,
    )


def _quoted_host(request: web.BaseRequest) -> str:
    """Host as it was sent, which `guards.asked_host` has read."""
    return request.headers.get("Host", "").lower()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
