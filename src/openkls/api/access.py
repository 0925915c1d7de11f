"""The access log: a line for each call. Rule: a line holds no query, no body and no secret, and costs the call no more
than naming its facts; its text is made where it is written."""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from aiohttp import web

from openkls.api import wire
from openkls.api.ledger import Ledger, log
from openkls.api.services import Services
from openkls.api.wire import Answer, Call, Way
from openkls.codec.sigv4 import header_value
from openkls.control.ids import request_id
from openkls.domain.audit import PART_LIMIT, legible

# Of a refused call's query; further it is not read for a line alone.
QUERY_LIMIT: Final = 2048
SUCCESS: Final = "0"
CANCELLED: Final = "Cancelled"
"""The service ended meanwhile."""


# What probes and scrapers ask for.
QUIET: Final = frozenset(("/healthz", "/readyz", "/metrics"))


class Sent(NamedTuple):
    """What a site answered a request that began at ``began`` of the ledger's clock."""

    began: float
    status: int
    body_bytes: int


class AccessLine:
    """A call as one line."""

    __slots__ = ("at", "fields")

    def __init__(self, call: Call, answer: Answer, took_seconds: float, at: float) -> None:
        """``at`` is Unix seconds."""
        self.at = at
        action, version = _asked(call)
        claim = getattr(call, "claim", None)
        credential = getattr(call, "credential", None)
        access_key = claim.authorization.access_key if claim else credential.access_key if credential else ""
        self.fields: Mapping[str, Any] = {
            "client": call.client_ip,
            "method": call.request.method,
            "path": call.request.path,
            "action": action,
            "version": version,
            "access_key": access_key,
            "status": answer.status,
            "code": outcome_of(answer),
            "duration_ms": round(took_seconds * 1000, 2),
            "bytes": len(answer.body),
            "request_id": call.request_id,
        }

    def __str__(self) -> str:
        said = self.fields
        path, action, version, key = (_word(said[name]) for name in ("path", "action", "version", "access_key"))
        return (
            f"{said['client']} {said['method']} {path} {action} {version} by {key}: {said['status']} {said['code']}, "
            f"{said['duration_ms']:g} ms, {said['bytes']} bytes"
        )


class VisitLine:
    """A request of a site beside the API, as one line."""

    __slots__ = ("at", "fields")

    def __init__(self, fields: Mapping[str, Any], at: float) -> None:
        self.at = at
        self.fields = fields

    def __str__(self) -> str:
        said = self.fields
        return (
            f"{said['client']} {said['method']} {_word(said['path'])}: {said['status']}, {said['duration_ms']:g} ms, "
            f"{said['bytes']} bytes"
        )


def note_visit(ledger: Ledger, request: web.BaseRequest, path: str, client_ip: str, sent: Sent) -> None:
    """Note an answer of a site; a good one of those that are asked every few seconds is worth no line."""
    if not ledger.access or not log.isEnabledFor(logging.INFO) or (path in QUIET and sent.status == 200):
        return
    if not _may_log(ledger, ledger.clock()):
        return
    fields = {
        "client": client_ip,
        "method": request.method,
        "path": path,
        "status": sent.status,
        "duration_ms": round((ledger.clock() - sent.began) * 1000, 2),
        "bytes": sent.body_bytes,
        "request_id": request_id.get(),
    }
    ledger.write(VisitLine(fields, time.time()))


def note(services: Services, call: Call, answer: Answer | None, began: float) -> None:
    """Note a call that began at ``began`` of the ledger's clock; None is one that was cancelled."""
    ledger = services.ledger
    now = ledger.clock()
    operation = getattr(call, "operation", None)
    ledger.note(
        "" if operation is None else operation.name, CANCELLED if answer is None else outcome_of(answer), now - began
    )
    if not ledger.access or answer is None or not log.isEnabledFor(logging.INFO):
        return
    if call.way is Way.UNMETERED:  # nobody asked: it is what the console is told every two seconds
        return
    # Of a key that has verified: only then it is looked what is asked for (pipeline.STEPS).
    if operation is None and not _may_log(ledger, now):
        return
    ledger.write(AccessLine(call, answer, now - began, time.time()))


def _may_log(ledger: Ledger, now: float) -> bool:
    left_out = ledger.left_out
    if not ledger.may_log(now):
        return False
    if left_out and not ledger.left_out:
        log.info("%d further requests of one second, which anybody can make, have no line", left_out)
    return True


def outcome_of(answer: Answer) -> str:
    """The error's code, or the RetCode."""
    return answer.error_code or (str(answer.ret_code) if answer.ret_code else SUCCESS)


def _asked(call: Call) -> tuple[str, str]:
    """Action and Version as far as that takes no look into the body."""
    if not hasattr(call, "query"):
        call.query = wire.read_pairs(call.request.query) if len(call.request.query) <= QUERY_LIMIT else {}
    query, headers = call.query, call.request.headers
    operation = getattr(call, "operation", None)
    action = operation.name if operation is not None else query.get("Action") or header_value(headers, "x-action") or ""
    return action, query.get("Version") or header_value(headers, "x-version") or ""


def _word(text: str) -> str:
    """One word of a line, whatever was sent; bounded as names are."""
    if text.isprintable() and " " not in text and 0 < len(text) <= PART_LIMIT:
        return text
    return legible(text).replace(" ", "\ufffd") or "-"
