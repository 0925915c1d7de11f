"""The ephemeral ports of a cluster on Redis (or Valkey), and their in-memory twins.

Rule: whoever is outside sees ports and ``open_cluster``; what is kept here may be lost at any time.
"""

from openkls.cluster.link import RedisLink
from openkls.cluster.memory import MemoryCluster
from openkls.cluster.redis_ports import RedisCluster, open_cluster

__all__ = ["MemoryCluster", "RedisCluster", "RedisLink", "open_cluster"]
