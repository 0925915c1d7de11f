"""Request rates of a whole cluster. Rule: what the cluster accepted is remembered here too, so that this process alone
keeps the rate when nobody else can be asked."""

from openkls.domain.errors import ClusterUnavailable
from openkls.domain.ports import RatesPort
from openkls.domain.rates import Rates


class SharedRates:
    """Asks the cluster, and this process's own windows while it does not answer."""

    def __init__(self, port: RatesPort, local: Rates) -> None:
        self._port = port
        self._local = local
        self.local_only = 0
        """Calls judged by this process alone, since the start."""

    async def take(self, caller: tuple[str, ...], requests: int, per_seconds: float, now: float) -> float:
        """As ``Rates.take``. ``now`` is this process's monotonic seconds; the cluster has a clock of its own."""
        if not self._local.enforced:
            return 0.0
        try:
            wait_seconds = await self._port.accept(caller, requests, per_seconds)
        except ClusterUnavailable:
            self.local_only += 1
            return self._local.take(caller, requests, per_seconds, now)
        if wait_seconds:
            self._local.refused += 1
        else:
            self._local.note(caller, requests, per_seconds, now)
        return wait_seconds
