"""The names a stream goes by. Rule: a value here has been resolved and checked; nothing here parses input."""

from dataclasses import dataclass
from typing import NamedTuple


class StreamName(NamedTuple):
    """What only one live publisher may hold at a time, under whatever publish domain (design: Names of streams)."""

    unique_name: str
    app: str
    stream: str


@dataclass(frozen=True, slots=True)
class StreamKey:
    """What history and bans are recorded under. ``pubdomain`` is the canonical one, never an alias (localhost)."""

    unique_name: str
    pubdomain: str
    app: str
    stream: str

    @property
    def name(self) -> StreamName:
        """The key without the door it came through."""
        return StreamName(self.unique_name, self.app, self.stream)
