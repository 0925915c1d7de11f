"""A running process. Rule: a start that fails leaves nothing running."""

from contextlib import AsyncExitStack
from functools import partial

from openkls import config
from openkls.app.api import listen_api
from openkls.app.media import serve_media
from openkls.app.place import WHOLE, Place, Role
from openkls.app.rules import open_rules
from openkls.app.watching import listen_metrics, watch
from openkls.config import Address, Config, ConfigError
from openkls.control.reload import Reload
from openkls.domain.origin import AddressCap
from openkls.domain.rates import Rates
from openkls.meters import Health, Parts
from openkls.store import SetupError

# What a start may raise for the operator to put right; the text says what to do.
START_FAULTS = (ConfigError, SetupError)


class Service:
    """A running OpenKLS: one process with all its ports."""

    def __init__(
        self,
        stack: AsyncExitStack,
        media: tuple[Address, Address] | None,
        api: tuple[Address, Address | None] | None,
        reload: Reload,
        parts: Parts,
        health: Health,
        metrics: Address | None,
    ) -> None:
        self._stack = stack
        self._reload = reload
        self._health = health
        self.parts = parts
        """What metrics are read from."""
        self.metrics_address = metrics
        """Where metrics and health are served beside the API, if they are."""
        self.rtmp_address: Address | None
        self.play_address: Address | None
        self.rtmp_address, self.play_address = media or (None, None)
        """Where this process serves media, if it does."""
        self.api_address: Address | None
        self.api_tls_address: Address | None
        self.api_address, self.api_tls_address = api or (None, None)
        """Where it serves the API, if it does; and where that speaks HTTPS, if it does."""

    @classmethod
    async def start(cls, settings: Config, role: Role = Role.ALL, place: Place = WHOLE) -> "Service":
        """Start everything of a role. Raises one of START_FAULTS, with nothing left running."""
        if role is not Role.ALL and not settings.cluster.url:
            raise ConfigError(
                f"cluster.url: role {role} needs it: it is how the processes of a service find each other"
            )
        async with AsyncExitStack() as stack:
            rules = await open_rules(settings, role, place, stack)
            cap = AddressCap(settings.limits.connections_per_address, settings.api.trusted_networks)
            media = None if role is Role.API else await serve_media(settings, rules, cap, place.shares_ports, stack)
            health, sites = watch(settings, rules.parts, stack)
            openapi = None if role is Role.MEDIA else await listen_api(settings, rules, media, sites, stack)
            metrics = await listen_metrics(settings.metrics.listen, sites, stack)
            reload = Reload(
                settings, rules.directory, rules.key_ring, partial(_set_limits, (cap, rules.cap), rules.rates)
            )
            return cls(stack.pop_all(), media, openapi, reload, rules.parts, health, metrics)
        raise AssertionError("an AsyncExitStack swallows nothing")

    def reload(self, settings: Config) -> list[str]:
        """Take up a checked configuration without a restart; returns the keys that need one. Raises ConfigError, with
        nothing changed."""
        waiting = self._reload.apply(settings)
        if self.parts.ledger is not None:
            self.parts.ledger.access = settings.log.access
        return waiting

    async def stop(self) -> None:
        """Stop everything, within 10 s. Sessions end with code 200, reason shutdown."""
        self._health.stopping = True
        await self._stack.aclose()


def _set_limits(caps: tuple[AddressCap, ...], rates: Rates, limits: config.Limits) -> None:
    for cap in caps:
        cap.limit = limits.connections_per_address
    rates.enforced = limits.enforce
