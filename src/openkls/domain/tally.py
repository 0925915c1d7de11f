"""What a process has done since its start, by app: publishes that ended or were refused, bytes in and out.

Rule: names come from a small set. An app that the configuration does not name, as a space that takes any may have
thousands of, is counted under its space alone, so that nobody makes names by publishing them.

Theory of operation. Only what is over is added here, once, at its end; what lives is read where it lives by whoever
wants to know. So nothing is counted per message, and no sum ever falls.
"""

from collections import Counter
from collections.abc import Callable

from openkls.domain.keys import StreamName
from openkls.domain.viewers import Group, PullProtocol

# Apps told apart; of a configuration with more the rest is one sum. Each is a dozen series of a metrics system.
PLACES_LIMIT = 1000
# An app nobody named, of a space; and what is beyond PLACES_LIMIT.
UNNAMED = ""

Place = tuple[str, str]
"""UniqueName and app, as they are counted."""


class Tally:
    """The sums of one process."""

    def __init__(self, is_named: Callable[[str, str], bool] = lambda _unique_name, _app: True) -> None:
        """``is_named`` tells whether the configuration names an app of a space."""
        self._is_named = is_named
        self._places: set[Place] = set()
        self.ends: Counter[tuple[str, str, int, str]] = Counter()
        """Publishes that are over, refused ones too: by place, break code and reason."""
        self.received_bytes: Counter[Place] = Counter()
        """From publishers whose sessions are over."""
        self.sent_bytes: Counter[tuple[str, str, PullProtocol]] = Counter()
        """To audiences that are gone."""

    def place(self, unique_name: str, app: str) -> Place:
        """Where something of an app is counted."""
        place = unique_name, app if self._is_named(unique_name, app) else UNNAMED
        if place in self._places:
            return place
        if len(self._places) >= PLACES_LIMIT:
            return UNNAMED, UNNAMED
        self._places.add(place)
        return place

    def end(self, name: StreamName, code: int, reason: str, received_bytes: int = 0) -> None:
        """Count a publish that is over."""
        place = self.place(name.unique_name, name.app)
        self.ends[*place, int(code), str(reason)] += 1
        if received_bytes:
            self.received_bytes[place] += received_bytes

    def sent(self, name: StreamName, protocol: PullProtocol, sent_bytes: int) -> None:
        """Count what an audience was sent that is gone."""
        self.sent_bytes[*self.place(name.unique_name, name.app), protocol] += sent_bytes

    def desert(self, name: StreamName, group: Group) -> None:
        """Count what the viewers of a group were sent; the last has left. Of HLS what is sent is counted where it is
        made, as it goes to everybody who asks."""
        if group.protocol is not PullProtocol.HLS:
            self.sent(name, group.protocol, group.sent.total_bytes)
