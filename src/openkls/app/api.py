"""The API of a process, and what stands beside it on its ports. Rule: what the console may do is what the API
does."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

from openkls.api import pipeline
from openkls.api.auth import hold_back_caller
from openkls.api.ledger import Ledger
from openkls.api.listener import Site, listen
from openkls.api.services import Services
from openkls.api.tls import Certificate, CertificateError
from openkls.api.wire import Answer
from openkls.app.rules import Rules
from openkls.app.starting import end_task, listening
from openkls.config import Address, Config, ConfigError, normal_host, parse_address
from openkls.console import Console
from openkls.console import Ports as ConsolePorts
from openkls.control.keyring import Credential
from openkls.control.live import LiveStreams
from openkls.control.sampler import Sampler
from openkls.domain.backoff import Backoff
from openkls.domain.series import Metrics


async def listen_api(
    settings: Config,
    rules: Rules,
    media: tuple[Address, Address] | None,
    meters: dict[str, Site],
    stack: AsyncExitStack,
) -> tuple[Address, Address | None]:
    """The addresses of HTTP and, where it is asked for, of HTTPS."""
    # Where this process serves no media, others of the same configuration do.
    rtmp, play = media or (
        parse_address(settings.rtmp.listen, "rtmp.listen"),
        parse_address(settings.play.listen, "play.listen"),
    )
    services = _services(settings, rules, rtmp.port, play.port, stack)

    # By the first segment of their paths, such as "/console".
    sites: dict[str, Site] = {**meters}
    parts = rules.parts
    parts.ledger, parts.backoff, parts.api_cap = services.ledger, services.backoff, services.cap
    console = None
    if settings.console.enabled:
        console = sites["/console"] = Console(console_ports(settings, services))

    async def open_api(certificate: Certificate | None, address: Address) -> Address:
        listener = await listen(services, address, certificate, sites)
        parts.listeners.append(listener)
        stack.push_async_callback(listener.close)
        return listener.address

    plain = await listening(partial(open_api, None), settings.api.listen, "api.listen")
    secured = None
    if settings.api.tls_listen:
        try:
            certificate = Certificate(Path(settings.api.tls_certificate), Path(settings.api.tls_key))
        except CertificateError as error:
            raise ConfigError(f"api.{error.key}: {error}") from error
        parts.certificate = certificate
        secured = await listening(partial(open_api, certificate), settings.api.tls_listen, "api.tls_listen")
    if console is not None:
        # Before the listeners: they wait for what is being answered, and an event stream is.
        stack.push_async_callback(console.close)
    return plain, secured


def _services(settings: Config, rules: Rules, rtmp_port: int, play_port: int, stack: AsyncExitStack) -> Services:
    live = LiveStreams(rules.registry, rules.viewers, rules.membership.peers if rules.membership else None)
    sampler = Sampler(live, rules.directory, rules.endings.failures, Metrics())
    stack.push_async_callback(end_task, asyncio.create_task(sampler.run(), name="sampler"))
    return Services(
        region=settings.server.region,
        regions=settings.server.regions,
        timezone=ZoneInfo(settings.server.timezone),
        directory=rules.directory,
        keys=rules.key_ring,
        forbids=rules.forbids,
        blacklist=rules.blacklist,
        live=live,
        history=rules.history,
        audit=rules.audit,
        rates=rules.rates,
        backoff=Backoff(),
        cap=rules.cap,
        trusted_proxies=settings.api.trusted_networks,
        clock=time.time,
        monotonic=time.monotonic,
        metrics=sampler.metrics,
        key_pairs=rules.key_pairs,
        boot_id=rules.boot_id,
        node=settings.server.node,
        rtmp_port=rtmp_port,
        play_port=play_port,
        shared_rates=rules.membership.rates if rules.membership else None,
        ledger=Ledger(settings.log.access),
    )


def console_ports(settings: Config, services: Services) -> ConsolePorts:
    """What the console is handed of the API: nothing that is not there for a signed request too."""
    keys = services.keys

    def call(
        credential: Credential, query: str, body: bytes | None, client_ip: str, is_metered: bool = True
    ) -> Awaitable[Answer]:
        made = pipeline.session_call(credential, query, body, client_ip, is_metered)
        return pipeline.answer_call(services, made)

    def rights(credential: Credential, query: str, client_ip: str) -> Answer | None:
        return pipeline.session_refusal(services, pipeline.session_call(credential, query, b"", client_ip))

    return ConsolePorts(
        find_key=keys.find,
        is_disabled=lambda account_id: account_id in keys.disabled_accounts,
        call=call,
        rights=rights,
        hold_back=partial(hold_back_caller, services),
        play_names=services.directory.play_names,
        clock=services.clock,
        monotonic=services.monotonic,
        region=services.region,
        version=version("openkls"),
        play_port=services.play_port,
        hosts=tuple(normal_host(name) for name in settings.console.hosts),
        idle_seconds=settings.console.idle_minutes * 60.0,
        trusted_proxies=settings.api.trusted_networks,
    )
