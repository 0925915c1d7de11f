"""Several houses that know of each other's streams: a cluster without its Redis.

Rule: what a house knows of the others is what is so, unless a test says that it is late.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from openkls.domain.keys import StreamName
from support_media import House, Wire


class MemoryWhereabouts:
    """Whereabouts, by looking into the other houses. ``said`` is believed instead."""

    def __init__(self, houses: list[House], own: House) -> None:
        self._houses = houses
        self._own = own
        self.said: dict[StreamName, str | None] = {}
        self.heard_late: set[StreamName] = set()
        """Names in ``said`` that are known once somebody waits for them."""

    def find(self, name: StreamName) -> str | None:
        if name in self.said:
            return self.said[name]
        for house in self._houses:
            holder = house.registry.holder(name)
            if house is not self._own and holder is not None and holder.started:
                return relay_of(house)
        return None

    async def hears_of(self, name: StreamName) -> bool:
        if name in self.heard_late:
            self.said.pop(name, None)
        return self.find(name) is not None


def relay_of(house: House) -> str:
    """A house's relay address."""
    return f"{house.relay_address.host}:{house.relay_address.port}"


@asynccontextmanager
async def town(count: int = 2, **options: float) -> AsyncIterator[list[House]]:
    """So many open houses of one cluster."""
    houses = [House(**options) for _ in range(count)]  # type: ignore[arg-type]
    session_key = os.urandom(32)
    for house in houses:
        house.session_key = session_key
        house.whereabouts = MemoryWhereabouts(houses, house)
    for house in houses:
        await house.open()
    try:
        yield houses
    finally:
        for wire in Wire.opened:
            await wire.reset()
        Wire.opened.clear()
        for house in houses:
            await house.close()
