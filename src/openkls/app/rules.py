"""The state of a process and the use cases over it: what is there before anything listens. Rule: the order of the
package's theory."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING
from uuid import uuid4

from openkls import store
from openkls.app.place import Place, Role
from openkls.app.starting import end_task
from openkls.config import Config, ConfigError
from openkls.control.admit import Admission
from openkls.control.audit import AuditTrail
from openkls.control.callbacks import Callbacks
from openkls.control.directory import Directory
from openkls.control.finish import Endings
from openkls.control.forbid import Forbids
from openkls.control.journal import Journal
from openkls.control.keypairs import KeyPairs
from openkls.control.keyring import KeyRing, clash_error
from openkls.control.membership import Membership
from openkls.control.reconcile import DAY_SECONDS, Reconcile
from openkls.domain.blacklist import Blacklist
from openkls.domain.errors import StoreUnavailable
from openkls.domain.origin import AddressCap
from openkls.domain.ports import HistoryPort
from openkls.domain.rates import Rates
from openkls.domain.registry import Registry
from openkls.domain.tally import Tally
from openkls.domain.viewers import Viewers
from openkls.hooks.authority import PushHooks
from openkls.hooks.callbacks import CallbackHooks
from openkls.media.hubs import Hubs
from openkls.meters import Parts

if TYPE_CHECKING:  # its driver is an extra
    from openkls.cluster import RedisLink

log = logging.getLogger("openkls.app")

# Of the 10 s a stop may take in all (design: Configuration and command line).
DRAIN_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Rules:
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
    callbacks: Callbacks | None
    """Where this process may deliver them."""
    cap: AddressCap
    """Of the API's connections; viewers from an address do not take its calls."""
    parts: Parts
    """What metrics are read from."""


async def open_rules(settings: Config, role: Role, place: Place, stack: AsyncExitStack) -> Rules:
    """Make it, one part after the other: the order is the point, and a stop undoes it backwards."""
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
    tally = Tally(directory.names_app)
    viewers.deserted = tally.desert
    endings = Endings(registry, journal, tally)
    hubs = Hubs(viewers, asyncio.get_running_loop())
    opened.announcements.wants = directory.calls_back
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
    callbacks = await _deliver_callbacks(settings, role, opened, directory, boot_id, stack)
    stack.push_async_callback(journal.drain, DRAIN_SECONDS)
    stack.push_async_callback(end_task, asyncio.create_task(journal.run(), name="journal"))
    stack.push_async_callback(end_task, asyncio.create_task(reconcile.run(), name="reconcile"))
    if callbacks is not None:
        stack.push_async_callback(end_task, asyncio.create_task(callbacks.run(), name="callbacks"))
    hooks = PushHooks()
    stack.push_async_callback(hooks.close)
    rates = Rates(settings.limits.enforce)
    membership = link = None
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
        membership, link = await _join_cluster(settings.cluster.url, join, stack)
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
    audit = AuditTrail(opened.audit)
    parts = Parts(
        version=version("openkls"),
        role=role.value,
        node=settings.server.node,
        directory=directory,
        registry=registry,
        viewers=viewers,
        blacklist=blacklist,
        endings=endings,
        admission=admission,
        journal=journal,
        hooks=hooks,
        hubs=hubs,
        audit=audit,
        rates=rates,
        reconcile=reconcile,
        store=opened,
        callbacks=callbacks,
        membership=membership,
        redis=link,
    )
    return Rules(
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
        audit,
        rates,
        membership,
        callbacks,
        AddressCap(settings.limits.connections_per_address, settings.api.trusted_networks),
        parts,
    )


async def _deliver_callbacks(
    settings: Config, role: Role, opened: store.Store, directory: Directory, boot_id: str, stack: AsyncExitStack
) -> Callbacks | None:
    """Have this process tell customers' servers, when it is its turn; media processes leave that to the others."""
    if role is Role.MEDIA:
        return None
    hooks = CallbackHooks()
    stack.push_async_callback(hooks.close)
    retention_seconds = settings.store.retention_days * DAY_SECONDS
    callbacks = Callbacks(opened.outbox, hooks, directory.callback_target, boot_id, retention_seconds)
    opened.announcements.on_written = callbacks.wake
    # Called after the journal has been written out: the ends of this process's sessions are told, too.
    stack.push_async_callback(callbacks.close)
    return callbacks


async def _join_cluster(
    url: str, join: Callable[..., Membership], stack: AsyncExitStack
) -> tuple[Membership, "RedisLink"]:
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
        stack.push_async_callback(end_task, asyncio.create_task(loop, name=name))
    return membership, ports.link


async def _forget_boot(history: HistoryPort, boot_id: str) -> None:
    try:
        await history.end_boot(boot_id)
    except StoreUnavailable as error:
        log.error("the end of this process could not be recorded: %s; the next start ends its sessions", error)
