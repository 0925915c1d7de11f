"""Which calls are written down, and how. Rule: whoever asks has proved who they are; nobody else can make a row.

Every call of an action that changes something, whose signature verified, whatever became of it. A call turned away
before its action (policy, rate, parameters, ownership, dry run) changed nothing; of those each key gets a bounded
number of rows.

A change to the list of bans or to a key pair and its row are one transaction (which names the key's changes in its own
words: CreateKey, RotateKey, DisableKey, SetKeyPolicy), so that a crash leaves both or neither; all other rows are
written after the call.
"""

from dataclasses import replace
from typing import Final

from openkls.api.auth import FULL_RIGHTS_ONLY
from openkls.api.services import Place, Services
from openkls.api.wire import Answer, Call
from openkls.control.audit import Deed
from openkls.domain.audit import AuditEntry, Author, legible

AUDITED: Final = frozenset(("ForbidStream", "ResumeStream")) | FULL_RIGHTS_ONLY
DONE: Final = "0"
CANCELLED: Final = "Cancelled"
"""The service ended while the action was under way; if its change was made all the same, that is a row too."""
_PARTS: Final = ("UniqueName", "Pubdomain", "App", "Stream")


def is_audited(call: Call) -> bool:
    """Whether the call is to be written down; it is not known what it asks before its signature has verified
    (pipeline.STEPS)."""
    operation = getattr(call, "operation", None)
    return operation is not None and operation.name in AUDITED


def with_deed(services: Services, call: Call) -> Place:
    """The place of a call that has passed all steps, with its row if it is to be written down."""
    return replace(call.place, deed=Deed(_entry(services, call, DONE))) if is_audited(call) else call.place


async def record(services: Services, call: Call, answer: Answer | None) -> None:
    """Write the call down, if that has not been done with the change it made; None is a call that was cancelled.
    Raises nothing but a cancellation."""
    outcome = CANCELLED if answer is None else answer.error_code or str(answer.ret_code)
    place = getattr(call, "place", None)
    if outcome == DONE and place is not None and place.deed is not None and place.deed.written:
        return
    await services.audit.record(_entry(services, call, outcome), call.reached)


def _entry(services: Services, call: Call, outcome: str) -> AuditEntry:
    author = Author(call.credential.access_key, call.client_ip, call.request_id)
    return AuditEntry(
        int(services.clock()),
        call.credential.account_id,
        author,
        call.operation.name,
        _resource(call),
        outcome,
        _detail(call),
    )


def _resource(call: Call) -> str:
    """The access key; or the stream: under the name its publish domain is recorded by once that is known, else as it
    was asked for."""
    raw = getattr(call, "raw", {})
    if call.operation.name in FULL_RIGHTS_ONLY:
        return _text(raw.get("AccessKey", ""))
    place = getattr(call, "place", None)
    parts = {name: _text(raw.get(name, "")) for name in _PARTS}
    if place is not None:
        parts["Pubdomain"] = place.pubdomain
    return "/".join(parts.values())


def _detail(call: Call) -> str:
    till = getattr(call, "raw", {}).get("ForbidTillUnixTime")
    return "" if till is None or call.operation.name != "ForbidStream" else f"ForbidTillUnixTime={_text(till)}"


def _text(value: object) -> str:
    # A JSON body may hold anything in a name's place.
    return legible(value if isinstance(value, str) else str(value) if isinstance(value, int | float) else "?")
