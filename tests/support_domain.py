"""Builders of domain values for tests. Rule: every default is valid, so that a test names only what it is about."""

from openkls.domain.blacklist import Ban
from openkls.domain.keys import StreamKey
from openkls.domain.session import BreakCode, Session, SessionFacts


class FakePublisher:
    """A connection that remembers how it was cut; ``broken`` is raised by the cut."""

    def __init__(self, silent: float = 0.0, broken: Exception | None = None) -> None:
        self.silent = silent
        self.broken = broken
        self.kicks: list[BreakCode] = []

    def kick(self, code: BreakCode) -> None:
        self.kicks.append(code)
        if self.broken is not None:
            raise self.broken

    def catch_up(self) -> None:
        """Nothing waits to be read."""

    def silent_seconds(self) -> float:
        return self.silent


def key(
    stream: str = "s1", pubdomain: str = "push.demo.local", app: str = "live", unique_name: str = "demo"
) -> StreamKey:
    return StreamKey(unique_name, pubdomain, app, stream)


def facts(of: StreamKey | None = None, session_id: str = "0" * 32, pub_time: int = 1000) -> SessionFacts:
    return SessionFacts(session_id, of or key(), "192.0.2.7", 50000, "127.0.0.1", "boot-1", pub_time)


def session(
    of: StreamKey | None = None, publisher: FakePublisher | None = None, started: bool = True, pub_time: int = 1000
) -> Session:
    return Session(facts(of, pub_time=pub_time), publisher or FakePublisher(), started=started)


def ban(
    of: StreamKey | None = None,
    version: int = 1,
    forbid_time: int = 1000,
    till: int = 2000,
    permanent: bool = False,
    resumed: bool = False,
) -> Ban:
    return Ban(of or key(), forbid_time, till, permanent, resumed, version)
