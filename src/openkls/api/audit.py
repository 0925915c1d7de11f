"""Which calls are written down, and how. Rule: whoever asks has proved who they are; nobody else can make a row.

Every ForbidStream and ResumeStream whose signature verified, whatever became of it. A call turned away before its
action (policy, rate, parameters, ownership, dry run) changed nothing; of those each key gets a bounded number of rows.
"""

from typing import Final

from openkls.api.services import Services
from openkls.api.wire import Answer, Call
from openkls.domain.audit import AuditEntry, Author, legible

AUDITED: Final = frozenset(("ForbidStream", "ResumeStream"))
CANCELLED: Final = "Cancelled"
"""The service ended while the action was under way; whether it was done is not known here."""
_PARTS: Final = ("UniqueName", "Pubdomain", "App", "Stream")


def is_audited(call: Call) -> bool:
    """Whether the call is to be written down; it is not known what it asks before its signature has verified
    (pipeline.STEPS)."""
    operation = getattr(call, "operation", None)
    return operation is not None and operation.name in AUDITED


async def record(services: Services, call: Call, answer: Answer | None) -> None:
    """Write the call down; None is a call that was cancelled. Raises nothing but a cancellation."""
    author = Author(call.credential.access_key, call.client_ip, call.request_id)
    outcome = CANCELLED if answer is None else answer.error_code or str(answer.ret_code)
    entry = AuditEntry(
        int(services.clock()),
        call.credential.account_id,
        author,
        call.operation.name,
        _resource(call),
        outcome,
        _detail(call),
    )
    await services.audit.record(entry, call.reached)


def _resource(call: Call) -> str:
    """The stream: under the name its publish domain is recorded by once that is known, else as it was asked for."""
    raw = getattr(call, "raw", {})
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
