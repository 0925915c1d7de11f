"""Metrics and health of a process. Rule: they are told of the parts as these are made."""

from contextlib import AsyncExitStack

from openkls.api.listener import Site
from openkls.app.starting import listening
from openkls.config import Address, Config
from openkls.meters import Door, Health, MetricsPort, Parts, Scrape


def watch(settings: Config, parts: Parts, stack: AsyncExitStack) -> tuple[Health, dict[str, Site]]:
    """Metrics and health, and the sites they are read at, by the first segment of their paths."""
    scrape, health = Scrape(parts, settings.metrics.per_stream), Health(parts)
    stack.push_async_callback(scrape.close)
    stack.push_async_callback(health.close)
    return health, {
        "/metrics": Door(scrape, settings.metrics.token),
        "/healthz": health.alive,
        "/readyz": health.ready,
    }


async def listen_metrics(text: str, sites: dict[str, Site], stack: AsyncExitStack) -> Address | None:
    if not text:
        return None
    port = MetricsPort(sites)
    bound = await listening(port.open, text, "metrics.listen")
    stack.push_async_callback(port.close)
    return bound
