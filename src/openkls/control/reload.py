"""A changed configuration, taken up by the running process. Rule: all of it that can be is taken up at once, in one
synchronous step, or nothing is.

Theory of operation. Accounts, keys, spaces, their domains and apps, ``limits`` and ``play.by_address`` are asked for
at each use, so they are replaced where they are asked; so is whether there is an access log. A live session keeps the
names it was resolved to: a publish domain that is taken away refuses the next publish, and cuts nobody. Everything else
was used up by the start (ports are bound, the store is open); a difference there is only named.
"""

from collections.abc import Callable

import msgspec

from openkls import config
from openkls.control.directory import Directory
from openkls.control.keyring import KeyRing

# Sections and keys that a running process takes up.
TAKEN_UP = frozenset({"account", "limits", "log.access", "log.levels", "play.by_address"})


class Reload:
    """What a new configuration changes in this process, which was started with ``settings``."""

    def __init__(
        self,
        settings: config.Config,
        directory: Directory,
        key_ring: KeyRing,
        set_limits: Callable[[config.Limits], None],
    ) -> None:
        self._started_with = settings
        self._directory = directory
        self._key_ring = key_ring
        self._set_limits = set_limits

    def apply(self, new: config.Config) -> list[str]:
        """Take up a checked configuration; returns the keys whose new value needs a restart. Raises ConfigError, with
        nothing changed, when it does not fit the keys of the store."""
        # The one step that may refuse comes first.
        self._key_ring.replace(new.account)
        self._directory.replace(new.account, new.play.by_address)
        self._set_limits(new.limits)
        return restart_keys(self._started_with, new)


def restart_keys(old: config.Config, new: config.Config) -> list[str]:
    """The keys, as ``section.key``, that differ and that only a restart takes up."""
    keys = []
    for section in msgspec.structs.fields(config.Config):
        if section.name in TAKEN_UP:
            continue
        was, is_now = getattr(old, section.name), getattr(new, section.name)
        for field in msgspec.structs.fields(was):
            key = f"{section.name}.{field.name}"
            if key not in TAKEN_UP and getattr(was, field.name) != getattr(is_now, field.name):
                keys.append(key)
    return keys
