"""Who watches what. Rule: a viewer is counted by the group of seats it sits in; nothing here knows a connection.

A viewer is one playing connection (RTMP, HTTP-FLV) or one HLS session (contract, 7). Viewers of one stream who came
by the same protocol through the same play domain form one group: the hub adds the bytes of a flush once per group.
"""

from enum import StrEnum
from typing import NamedTuple

from openkls.domain.keys import StreamName
from openkls.domain.window import ByteRate


class PullProtocol(StrEnum):
    """The protocols viewers are counted by; the values are the contract's."""

    HTTP_FLV = "http+flv"
    RTMP = "rtmp"
    HLS = "hls"


class Audience(NamedTuple):
    """How many watch and what they are sent, in bits a second."""

    online: int
    bps: float


class Shares(NamedTuple):
    """The viewers of one name by protocol, and what all of them are sent, in bits a second."""

    rtmp: int = 0
    http_flv: int = 0
    hls: int = 0
    bps: float = 0.0

    @property
    def online(self) -> int:
        """Those of all protocols."""
        return self.rtmp + self.http_flv + self.hls


NO_SHARES = Shares()


class Group:
    """The viewers of one stream by one protocol through one play domain ("" when they came by address)."""

    __slots__ = ("domain_id", "online", "protocol", "sent")

    def __init__(self, protocol: PullProtocol, domain_id: str, now: float) -> None:
        self.protocol = protocol
        self.domain_id = domain_id
        self.online = 0
        self.sent = ByteRate(now)


class Viewers:
    """The groups of every watched stream of this process."""

    def __init__(self) -> None:
        self._groups: dict[StreamName, dict[tuple[PullProtocol, str], Group]] = {}

    def join(self, name: StreamName, protocol: PullProtocol, domain_id: str, now: float) -> Group:
        """Count one more viewer; the group returned is where its bytes are added and what leave() takes."""
        groups = self._groups.setdefault(name, {})
        group = groups.get((protocol, domain_id))
        if group is None:
            group = groups[protocol, domain_id] = Group(protocol, domain_id, now)
        group.online += 1
        return group

    def leave(self, name: StreamName, group: Group) -> None:
        """Count one viewer less. A group without viewers goes when its stream has no viewers at all, so that the
        bytes just sent stay in the rate until then."""
        group.online -= 1
        groups = self._groups[name]
        if not any(member.online for member in groups.values()):
            del self._groups[name]

    def audience(
        self, name: StreamName, protocol: PullProtocol, domain_ids: frozenset[str] | None, now: float
    ) -> Audience:
        """The viewers of one stream by one protocol, through the given play domains or through any (None)."""
        online, bps = 0, 0.0
        for group in self._groups.get(name, {}).values():
            if group.protocol is protocol and (domain_ids is None or group.domain_id in domain_ids):
                online += group.online
                bps += group.sent.bps(now)
        return Audience(online, bps)

    def shares(self, name: StreamName, now: float) -> Shares:
        """The viewers of one stream by all protocols, through whatever play domain."""
        groups = self._groups.get(name)
        if groups is None:
            return NO_SHARES
        online = dict.fromkeys(PullProtocol, 0)
        bps = 0.0
        for group in groups.values():
            online[group.protocol] += group.online
            bps += group.sent.bps(now)
        return Shares(online[PullProtocol.RTMP], online[PullProtocol.HTTP_FLV], online[PullProtocol.HLS], bps)

    def watched(self, unique_name: str, app: str) -> list[StreamName]:
        """The names of one app that have a viewer by any protocol."""
        return [name for name in self._groups if name.unique_name == unique_name and name.app == app]

    def groups(self) -> list[tuple[StreamName, list[Group]]]:
        """The groups of every watched stream; a snapshot."""
        return [(name, list(groups.values())) for name, groups in self._groups.items()]

    def online(self) -> int:
        """All viewers of this process."""
        return sum(group.online for groups in self._groups.values() for group in groups.values())
