"""How many publishes failed: refused, or ended by a code other than 200. Rule: counts since the start, by app, bounded.

Every failure of a space is counted; that its app has a count of its own is not promised. Names of apps are whatever an
encoder sends: beyond APPS_LIMIT, and where the space does not have the app, it is counted under no app ("").
"""

from collections.abc import Iterator

from openkls.domain.keys import StreamKey

APPS_LIMIT = 1_000


class Failures:
    """The failed publishes of this process."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self.total = 0
        """Of all spaces."""
        self.left_out = 0
        """Those whose app found no place any more."""

    def count(self, key: StreamKey, known_app: bool = True) -> None:
        """One more. ``known_app`` tells whether the space lets streams into the app."""
        self.total += 1
        name = (key.unique_name, key.app if known_app else "")
        if name not in self._counts and len(self._counts) >= APPS_LIMIT:
            self.left_out += 1
            name = (key.unique_name, "")
        self._counts[name] = self._counts.get(name, 0) + 1

    def counts(self) -> Iterator[tuple[str, str, int]]:
        """UniqueName, App, and how many; a snapshot."""
        return iter([(*name, count) for name, count in self._counts.items()])
