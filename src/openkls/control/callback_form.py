"""The form of callbacks: facts as the members of their JSON. Rule: the vendor's names and types where it has any; what
is ours stands beside them and changes none of them.

Form, version "1.0": PubStartUnixTime and PubEndUnixTime are milliseconds and numbers, ClientPort is text, PubParam the
text of a JSON object, Sequence the same for a PubStart and its PubEnd. A PubEnd also says when its publish began, and
how it ended. Times of bans are those of GetBlacklist, in seconds, -1 for one without an end.
"""

from openkls import model
from openkls.domain.blacklist import Ban
from openkls.domain.callbacks import NO_PARAM, Event, Notify
from openkls.domain.keys import StreamKey
from openkls.domain.session import HistoryRow, SessionFacts

VERSION = "1.0"

Members = dict[str, str | int]


def tell_start(facts: SessionFacts, pub_param: str | None) -> Event:
    """A publish has begun."""
    members = (
        _of_key(facts.key, Notify.PUB_START) | {"PubStartUnixTime": start_ms(facts)} | _of_client(facts, pub_param)
    )
    return Event(facts.key.name, members)


def tell_end(row: HistoryRow, pub_param: str | None) -> Event:
    """A publish that was told of has ended."""
    return Event(row.facts.key.name, _of_row(row, Notify.PUB_END, pub_param))


def tell_refusal(row: HistoryRow, pub_param: str | None) -> Event:
    """A publish was refused."""
    return Event(row.facts.key.name, _of_row(row, Notify.PUB_REFUSE, pub_param))


def tell_ban(ban: Ban) -> Event:
    """A stream was forbidden."""
    times: Members = {"ForbidUnixTime": ban.forbid_time, "ForbidTillUnixTime": ban.shown_till}
    return Event(ban.key.name, _of_key(ban.key, Notify.FORBID_STREAM) | times | {"Sequence": str(ban.version)})


def tell_resumption(ban: Ban, ended_version: int) -> Event:
    """A stream may publish again: the ban of that version was taken back."""
    return Event(ban.key.name, _of_key(ban.key, Notify.RESUME_STREAM) | {"Sequence": str(ended_version)})


def start_ms(facts: SessionFacts) -> int:
    """When a publish was claimed, in Unix milliseconds: its id begins with them (control.ids)."""
    try:
        found = int(facts.session_id[:12], 16)
    except ValueError:
        found = 0
    return found if found // 1000 == facts.pub_time else facts.pub_time * 1000


def _of_row(row: HistoryRow, notify: Notify, pub_param: str | None) -> Members:
    began = start_ms(row.facts)
    # A clock that was set back must not make an end before the beginning.
    ended = max(began, row.end_ms or row.fin_time * 1000)
    return {
        **_of_key(row.facts.key, notify),
        "PubStartUnixTime": began,
        "PubEndUnixTime": ended,
        **_of_client(row.facts, pub_param),
        "StatusCode": int(row.code),
        "StatusMessage": model.load().break_codes[int(row.code)].text,
    }


def _of_key(key: StreamKey, notify: Notify) -> Members:
    return {
        "Version": VERSION,
        "NotifyType": str(notify),
        "UniqueName": key.unique_name,
        "Pubdomain": key.pubdomain,
        "App": key.app,
        "Stream": key.stream,
    }


def _of_client(facts: SessionFacts, pub_param: str | None) -> Members:
    return {
        "PubParam": NO_PARAM if pub_param is None else pub_param,
        "ClientIp": facts.client_ip,
        "ClientPort": str(facts.client_port),
        "Node": facts.node,
        "Sequence": facts.session_id,
    }
