"""The composition root: the only place that knows all parts. Rule: wiring and order, no rules of its own.

Order of the start: the data folder is locked, the store opened and migrated, the sessions of dead processes ended, the
bans and keys read; only then does anything listen. The stop is the reverse: nothing listens, every session ends, the
journal is written out, the boot is forgotten, the store closes.

With ``[cluster] url`` the process is one of several: it joins after the bans are read and before anything listens, and
gives its names back when every session has ended. A Redis that does not answer stops none of this. Its relay port
lets go of everything first, so that viewers elsewhere wait for publishers that come back there.
"""

import asyncio
import contextlib
import hmac
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

from openkls import config, store
from openkls.api import pipeline
from openkls.api.auth import hold_back_caller
from openkls.api.listener import Site, listen
from openkls.api.services import Services
from openkls.api.tls import Certificate, CertificateError
from openkls.api.wire import Answer
from openkls.config import Address, Config, ConfigError, join_address, normal_host, parse_address, parse_advertised
from openkls.console import Console
from openkls.console import Ports as ConsolePorts
from openkls.control.admit import Admission
from openkls.control.audit import AuditTrail
from openkls.control.directory import Directory
from openkls.control.finish import Endings
from openkls.control.forbid import Forbids
from openkls.control.journal import Journal
from openkls.control.keypairs import KeyPairs
from openkls.control.keyring import Credential, KeyRing, clash_error
from openkls.control.live import LiveStreams
from openkls.control.membership import Membership
from openkls.control.reconcile import Reconcile
from openkls.control.reload import Reload
from openkls.control.sampler import Sampler
from openkls.domain.backoff import Backoff
from openkls.domain.blacklist import Blacklist
from openkls.domain.errors import StoreUnavailable
from openkls.domain.hls_sessions import HlsSessions, SessionIds
from openkls.domain.origin import AddressCap
from openkls.domain.ports import HistoryPort
from openkls.domain.rates import Rates
from openkls.domain.registry import Registry
from openkls.domain.series import Metrics
from openkls.domain.viewers import Viewers
from openkls.media.doors import Doors
from openkls.media.hls import Hls
from openkls.media.hls_proxy import HlsProxy
from openkls.media.hubs import Hubs
from openkls.media.play import PlayListener
from openkls.media.pushhook import PushHooks
from openkls.media.relay import Relays
from openkls.media.relay_port import RelayPort
from openkls.media.rtmp_listener import RtmpListener
from openkls.store import SetupError

log = logging.getLogger("openkls.app")

# What a start may raise for the operator to put right; the text says what to do.
START_FAULTS = (ConfigError, SetupError)
# Of the 10 s a stop may take in all (design: Configuration and command line).
DRAIN_SECONDS = 4.0
# Of HMAC-SHA256; a restart lets HLS players open the master playlist again.
SESSION_KEY_BYTES = 32
# What a cluster's token is turned into the key of HLS sessions by: they hold wherever the stream is published next.
SESSION_KEY_LABEL = b"OpenKLS HLS sessions"


class Role(StrEnum):
    """What a process serves."""

    ALL = "all"
    API = "api"
    MEDIA = "media"


@dataclass(frozen=True, slots=True)
class Place:
    """What sets a process apart from others that share a configuration: its own folder (None: the data folder, which
    then nobody else may use), and whether it shares its media ports with them."""

    folder: Path | None = None
    shares_ports: bool = False


WHOLE = Place()


@dataclass(frozen=True, slots=True)
class _Rules:
    """The state of one process and the use cases over it."""

    registry: Registry
    viewers: Viewers
    directory: Directory
    key_ring: KeyRing
    blacklist: Blacklist
    endings: Endings
    forbids: Forbids
    admission: Admission
    hooks: PushHooks
    hubs: Hubs
    key_pairs: KeyPairs
    boot_id: str
    history: HistoryPort
    audit: AuditTrail
    rates: Rates
    membership: Membership | None
    """In the cluster, if there is one."""
    cap: AddressCap
    """Of the API's connections; viewers from an address do not take its calls."""


class Service:
    """A running OpenKLS: one process with all its ports."""

    def __init__(
        self,
        stack: AsyncExitStack,
        media: tuple[Address, Address] | None,
        api: tuple[Address, Address | None] | None,
        reload: Reload,
    ) -> None:
        self._stack = stack
        self._reload = reload
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
            rules = await _open_rules(settings, role, place, stack)
            cap = AddressCap(settings.limits.connections_per_address, settings.api.trusted_networks)
            media = None if role is Role.API else await _serve_media(settings, rules, cap, place.shares_ports, stack)
            openapi = None if role is Role.MEDIA else await _listen_api(settings, rules, media, stack)
            reload = Reload(
                settings, rules.directory, rules.key_ring, partial(_set_limits, (cap, rules.cap), rules.rates)
            )
            return cls(stack.pop_all(), media, openapi, reload)
        raise AssertionError("an AsyncExitStack swallows nothing")

    def reload(self, settings: Config) -> list[str]:
        """Take up a checked configuration without a restart; returns the keys that need one. Raises ConfigError, with
        nothing changed."""
        return self._reload.apply(settings)

    async def stop(self) -> None:
        """Stop everything, within 10 s. Sessions end with code 200, reason shutdown."""
        await self._stack.aclose()


def _set_limits(caps: tuple[AddressCap, ...], rates: Rates, limits: config.Limits) -> None:
    for cap in caps:
        cap.limit = limits.connections_per_address
    rates.enforced = limits.enforce


async def _open_rules(settings: Config, role: Role, place: Place, stack: AsyncExitStack) -> _Rules:
    data_dir = settings.data_dir
    folder = place.folder or data_dir
    stack.callback(store.lock_data_dir(folder).release)
    secret = store.load_or_create_secret(store.secret_path(settings.store.secret_file, data_dir))
    opened = await store.open_store(settings.store.url, data_dir, secret)
    stack.push_async_callback(opened.close)
    boot_id, node_id = uuid4().hex, store.node_id(folder)

    blacklist, viewers = Blacklist(), Viewers()
    registry = Registry(blacklist)
    directory = Directory(settings.account, settings.play.by_address)
    key_ring = KeyRing(settings.account)
    journal = Journal(opened.history)
    endings = Endings(registry, journal)
    hubs = Hubs(viewers, asyncio.get_running_loop())
    forbids = Forbids(opened.blacklist, blacklist, registry, endings, cut_waiting=hubs.cut)
    reconcile = Reconcile(
        opened.history,
        opened.blacklist,
        opened.keys,
        forbids,
        blacklist,
        registry,
        key_ring,
        boot_id,
        node_id,
        settings.store.retention_days,
    )
    try:
        ended = await reconcile.start()
    except StoreUnavailable as error:
        raise ConfigError(f"store.url: the store does not work: {error}") from error
    if ended:
        log.warning("%d sessions of a process that died were ended at its last heartbeat", ended)
    if key_ring.clashes:
        raise clash_error(key_ring.clashes)
    stack.push_async_callback(_forget_boot, opened.history, boot_id)
    stack.push_async_callback(journal.drain, DRAIN_SECONDS)
    stack.push_async_callback(_end_task, asyncio.create_task(journal.run(), name="journal"))
    stack.push_async_callback(_end_task, asyncio.create_task(reconcile.run(), name="reconcile"))
    hooks = PushHooks()
    stack.push_async_callback(hooks.close)
    rates = Rates(settings.limits.enforce)
    membership = None
    if settings.cluster.url:
        join = partial(
            Membership,
            registry=registry,
            viewers=viewers,
            endings=endings,
            forbids=forbids,
            reconcile=reconcile,
            local_rates=rates,
            node_id=node_id,
            boot_id=boot_id,
            node=settings.server.node,
            has_lists=role is not Role.MEDIA,
        )
        membership = await _join_cluster(settings.cluster.url, join, stack)
    admission = Admission(
        directory,
        registry,
        journal,
        endings,
        boot_id,
        settings.server.node,
        authority=hooks,
        claims=membership.claims if membership else None,
        newer_bans=reconcile.newer_bans if membership else None,
    )
    return _Rules(
        registry,
        viewers,
        directory,
        key_ring,
        blacklist,
        endings,
        forbids,
        admission,
        hooks,
        hubs,
        KeyPairs(opened.keys, key_ring, reconcile.sync, membership.signals.tell_keys if membership else None),
        boot_id,
        opened.history,
        AuditTrail(opened.audit),
        rates,
        membership,
        AddressCap(settings.limits.connections_per_address, settings.api.trusted_networks),
    )


async def _join_cluster(url: str, join: Callable[..., Membership], stack: AsyncExitStack) -> Membership:
    try:
        from openkls.cluster import open_cluster
    except ImportError as error:
        raise ConfigError("cluster.url: needs the extra `redis`: pip install 'openkls[redis]'") from error
    try:
        ports = await open_cluster(url)
    except ValueError as error:
        raise ConfigError(f"cluster.url: {error}; redis://host:6379/0 expected") from error
    stack.push_async_callback(ports.close)
    membership = join(ports.link, ports.claims, ports.snapshots, ports.bus, ports.rates)
    stack.push_async_callback(membership.leave)
    for name, loop in (("link", ports.run()), ("membership", membership.run())):
        stack.push_async_callback(_end_task, asyncio.create_task(loop, name=name))
    return membership


async def _serve_media(
    settings: Config, rules: _Rules, cap: AddressCap, shares_ports: bool, stack: AsyncExitStack
) -> tuple[Address, Address]:
    """Listen for publishers and viewers; the addresses of RTMP and of the play port."""
    peers = rules.membership.peers if rules.membership else None
    doors = Doors(
        admission=rules.admission,
        endings=rules.endings,
        directory=rules.directory,
        registry=rules.registry,
        hubs=rules.hubs,
        cap=cap,
        clock=time.time,
        merge_ms=settings.play.merge_ms,
        grace_seconds=settings.play.republish_grace_seconds,
        whereabouts=peers,
    )
    token = settings.cluster.token
    session_key = secrets.token_bytes(SESSION_KEY_BYTES)
    relays = proxy = relay_port = None
    if peers is not None:
        session_key = hmac.digest(token.encode(), SESSION_KEY_LABEL, "sha256")
    hls = Hls(doors, HlsSessions(rules.viewers), SessionIds(session_key))
    if peers is not None:
        relays, proxy = Relays(doors, peers, token), HlsProxy(doors, token)
        stack.push_async_callback(relays.close)
        stack.push_async_callback(proxy.close)
        relay_port = RelayPort(doors, hls, token)
        bound = await _listening(relay_port.open, settings.cluster.relay_listen, "cluster.relay_listen")
        stack.push_async_callback(relay_port.close)
        shown = settings.cluster.relay_advertise
        peers.show_relay(join_address(parse_advertised(shown, bound) if shown else bound))
    play_listener = PlayListener(doors, hls, settings.api.trusted_networks, relays, proxy, shares_ports)
    play = await _listening(play_listener.open, settings.play.listen, "play.listen")
    stack.push_async_callback(play_listener.close)
    rtmp_listener = RtmpListener(doors, relays, shares_ports)
    rtmp = await _listening(rtmp_listener.open, settings.rtmp.listen, "rtmp.listen")
    stack.push_async_callback(rtmp_listener.close)
    # Right before it, so that no publish that is being asked about is admitted when all others have ended.
    stack.callback(rules.hooks.stop)
    if relays is not None and relay_port is not None:
        stack.callback(relays.stop)
        stack.callback(relay_port.let_go)
    return rtmp, play


async def _listen_api(
    settings: Config, rules: _Rules, media: tuple[Address, Address] | None, stack: AsyncExitStack
) -> tuple[Address, Address | None]:
    """The addresses of HTTP and, where it is asked for, of HTTPS."""
    # Where this process serves no media, others of the same configuration do.
    rtmp, play = media or (
        parse_address(settings.rtmp.listen, "rtmp.listen"),
        parse_address(settings.play.listen, "play.listen"),
    )
    live = LiveStreams(rules.registry, rules.viewers, rules.membership.peers if rules.membership else None)
    sampler = Sampler(live, rules.directory, rules.endings.failures, Metrics())
    stack.push_async_callback(_end_task, asyncio.create_task(sampler.run(), name="sampler"))
    services = Services(
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
        rtmp_port=rtmp.port,
        play_port=play.port,
        shared_rates=rules.membership.rates if rules.membership else None,
    )

    # By the first segment of their paths, such as "/console".
    sites: dict[str, Site] = {}
    console = None
    if settings.console.enabled:
        console = sites["/console"] = Console(console_ports(settings, services))

    async def open_api(certificate: Certificate | None, address: Address) -> Address:
        listener = await listen(services, address, certificate, sites)
        stack.push_async_callback(listener.close)
        return listener.address

    plain = await _listening(partial(open_api, None), settings.api.listen, "api.listen")
    secured = None
    if settings.api.tls_listen:
        try:
            certificate = Certificate(Path(settings.api.tls_certificate), Path(settings.api.tls_key))
        except CertificateError as error:
            raise ConfigError(f"api.{error.key}: {error}") from error
        secured = await _listening(partial(open_api, certificate), settings.api.tls_listen, "api.tls_listen")
    if console is not None:
        # Before the listeners: they wait for what is being answered, and an event stream is.
        stack.push_async_callback(console.close)
    return plain, secured


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


async def _listening(open_port: Callable[[Address], Awaitable[Address]], text: str, key: str) -> Address:
    try:
        return await open_port(parse_address(text, key))
    except OSError as error:
        raise ConfigError(f"{key}: cannot listen on {text}: {error.strerror or error}; choose another") from error


async def _forget_boot(history: HistoryPort, boot_id: str) -> None:
    try:
        await history.end_boot(boot_id)
    except StoreUnavailable as error:
        log.error("the end of this process could not be recorded: %s; the next start ends its sessions", error)


async def _end_task(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
