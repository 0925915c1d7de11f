"""The link to Redis as metrics see it. Rule: a shape, not the link itself, whose driver is an extra that a service
without a cluster does not have."""

from typing import Protocol

from openkls.domain.histogram import Histogram


class Redis(Protocol):
    """`cluster.RedisLink`."""

    took: Histogram
    failures: int
    refused: int
    outages: int

    @property
    def up(self) -> bool:
        """Whether Redis is asked."""
        ...
