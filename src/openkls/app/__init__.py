"""The composition root: the only place that knows all parts. Rule: wiring and order, no rules of its own.

Order of the start: the data folder is locked, the store opened and migrated, the sessions of dead processes ended, the
bans and keys read; only then does anything listen. The stop is the reverse: nothing listens, every session ends, the
journal is written out, the boot is forgotten, the store closes.

With ``[cluster] url`` the process is one of several: it joins after the bans are read and before anything listens, and
gives its names back when every session has ended. A Redis that does not answer stops none of this. Its relay port
lets go of everything first, so that viewers elsewhere wait for publishers that come back there.
"""

from openkls.app.place import WHOLE, Place, Role
from openkls.app.service import START_FAULTS, Service

__all__ = ["START_FAULTS", "WHOLE", "Place", "Role", "Service"]
