"""One scrape: everything that is exported of this process, in one text.

Rule: plain attributes are read and nothing is asked of anybody, so that a store or a Redis that hangs does not keep
whoever wants to know it from being told.
"""

import asyncio
import logging
import os
import resource
import time
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from openkls.control.peers import Peers
from openkls.meters.live import (
    Audiences,
    read_apps,
    read_largest,
    read_media,
    read_publishes,
    read_streams,
    read_sums,
    sent_bps,
)
from openkls.meters.parts import Parts
from openkls.meters.sheet import Sheet

# Nodes told apart by their names; of a cluster with more the rest is one sum.
NODES_LIMIT: Final = 500
# A reading is no older; who scrapes in a loop costs one a second.
FRESH_SECONDS: Final = 1.0

_STATM: Final = Path("/proc/self/statm")
_OPEN: Final = Path("/proc/self/fd")


async def read_all(parts: Parts, per_stream: int) -> Sheet:
    """Everything; takes some 10 microseconds for each stream, a slice at a time."""
    sheet = Sheet()
    read_process(parts, sheet)
    if parts.media is not None:
        read_apps(parts, sheet)
        read_media(parts.media, parts, sheet)
    audiences = await read_sums(parts, sheet)
    read_publishes(parts, sheet)
    real_bps = await read_streams(parts, sheet)
    await read_largest(parts, sheet, per_stream)
    read_api(parts, sheet)
    read_store(parts, sheet)
    read_callbacks(parts, sheet)
    if parts.redis is not None and parts.membership is not None:
        read_cluster(parts, sheet)
        if parts.role != "media":
            _read_own_node(parts, sheet, audiences, real_bps, await sent_bps(parts.viewers))
            await read_nodes(parts, parts.membership.peers, sheet)
    return sheet


def read_process(parts: Parts, sheet: Sheet) -> None:
    """Put what the system says of the process."""
    sheet.put("openkls_info", 1, parts.version, parts.role, parts.node)
    used = resource.getrusage(resource.RUSAGE_SELF)
    sheet.put("process_cpu_seconds_total", used.ru_utime + used.ru_stime)
    sheet.put("process_max_fds", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    sheet.put("process_start_time_seconds", parts.started_at)
    try:
        # Of itself a process may read even where the rest of /proc is hidden from it, as by our systemd units.
        pages = int(_STATM.read_text("ascii").split()[1])
        sheet.put("process_resident_memory_bytes", pages * os.sysconf("SC_PAGE_SIZE"))
        sheet.put("process_open_fds", len(os.listdir(_OPEN)))
    except (OSError, ValueError, IndexError):
        pass  # no Linux: these two are left out
    dropped = [getattr(handler, "dropped", None) for handler in logging.getLogger().handlers]
    sheet.put("openkls_log_lines_dropped_total", sum(count for count in dropped if isinstance(count, int)))


def read_api(parts: Parts, sheet: Sheet) -> None:
    """Put what the API counts; nothing where this process has none."""
    if parts.ledger is None or parts.backoff is None or parts.api_cap is None:
        return
    for (action, outcome), count in parts.ledger.calls.items():
        sheet.put("openkls_api_calls_total", count, action, outcome)
    for action, took in parts.ledger.took.items():
        sheet.put_histogram("openkls_api_call_seconds", took, action)
    sheet.put("openkls_access_lines_left_out_total", parts.ledger.unlogged)
    for listener in parts.listeners:
        for outcome, count in listener.outcomes.items():
            sheet.put("openkls_http_requests_total", count, outcome or "OK")
        for (site, status), count in listener.visits.items():
            sheet.put("openkls_http_site_requests_total", count, site, status)
    sheet.put("openkls_api_rate_refused_total", parts.rates.refused)
    sheet.put("openkls_api_authentications_refused_total", parts.backoff.refused)
    sheet.put("openkls_api_answers_held", parts.backoff.held)
    sheet.put("openkls_api_answers_not_held_total", parts.backoff.overflowed)
    sheet.put("openkls_connections_refused_total", parts.api_cap.refused, "api")
    for outcome, count in (
        ("written", parts.audit.written),
        ("lost", parts.audit.lost),
        ("suppressed", parts.audit.quota.suppressed),
    ):
        sheet.put("openkls_audit_rows_total", count, outcome)
    if parts.certificate is not None:
        sheet.put("openkls_certificate_expiry_time_seconds", parts.certificate.expires_at)
        sheet.put("openkls_certificate_changes_total", parts.certificate.reloads, "taken_up")
        sheet.put("openkls_certificate_changes_total", parts.certificate.failures, "refused")


def read_store(parts: Parts, sheet: Sheet) -> None:
    """Put what the store counts."""
    readers, writer = parts.store.readers, parts.store.writer
    sheet.put("openkls_store_up", parts.reconcile.store_reachable)
    for kind, work, waiting in (("read", readers, readers.asking), ("write", writer, writer.waiting)):
        sheet.put_histogram("openkls_store_seconds", work.took, kind)
        sheet.put("openkls_store_late_total", work.late, kind)
        sheet.put("openkls_store_refused_total", work.refused, kind)
        sheet.put("openkls_store_waiting", waiting, kind)
    sheet.put("openkls_store_batches_total", writer.batches)
    sheet.put("openkls_history_rows_waiting", len(parts.journal))
    sheet.put("openkls_history_rows_dropped_total", parts.journal.dropped)


def read_callbacks(parts: Parts, sheet: Sheet) -> None:
    """Put what became of the events of callbacks. Any process writes events, one delivers them."""
    sheet.put("openkls_callbacks_refused_total", parts.store.announcements.refused)
    callbacks = parts.callbacks
    if callbacks is None:
        return
    sheet.put("openkls_callbacks_leader", callbacks.leads)
    sheet.put("openkls_callbacks_in_flight", callbacks.in_flight)
    sheet.put("openkls_callbacks_delivered_total", callbacks.delivered)
    sheet.put("openkls_callbacks_given_up_total", callbacks.given_up)
    for outcome, count in callbacks.failed.items():
        sheet.put("openkls_callbacks_failed_total", count, outcome.name.lower())
    if callbacks.leads:
        sheet.put("openkls_callbacks_waiting", callbacks.waiting)
        sheet.put("openkls_callbacks_dead", callbacks.dead)


def read_cluster(parts: Parts, sheet: Sheet) -> None:
    """Put what this process's part in the cluster counts."""
    redis, membership = parts.redis, parts.membership
    assert redis is not None
    assert membership is not None
    sheet.put("openkls_redis_up", redis.up)
    sheet.put_histogram("openkls_redis_seconds", redis.took)
    sheet.put("openkls_redis_faults_total", redis.failures)
    sheet.put("openkls_redis_refused_total", redis.refused)
    sheet.put("openkls_redis_outages_total", redis.outages)
    peers, signals, claims = membership.peers, membership.signals, membership.claims
    sheet.put("openkls_peers", len(peers))
    sheet.put("openkls_peers_age_seconds", peers.age_seconds)
    sheet.put("openkls_snapshots_posted_total", peers.posted)
    sheet.put("openkls_snapshots_malformed_total", peers.malformed)
    for outcome, count in (
        ("told", signals.told),
        ("untold", signals.untold),
        ("heard", signals.heard),
        ("malformed", signals.malformed),
    ):
        sheet.put("openkls_signals_total", count, outcome)
    sheet.put("openkls_claims_lost_total", claims.lost)
    sheet.put("openkls_claims_unasked_total", claims.unasked)
    sheet.put("openkls_rates_local_total", membership.rates.local_only)


def _read_own_node(parts: Parts, sheet: Sheet, audiences: Audiences, real_bps: float, sent: float) -> None:
    tally, node = parts.endings.tally, parts.node
    sheet.put("openkls_node_processes", 1, node)
    sheet.put("openkls_node_received_bytes_per_second", real_bps / 8, node)
    sheet.put("openkls_node_sent_bytes_per_second", sent / 8, node)
    for unique_name, app in parts.registry.apps():
        count = sum([each.started for each in parts.registry.sessions_of(unique_name, app)])
        sheet.put("openkls_node_streams", count, node, *tally.place(unique_name, app))
    for (unique_name, app), sums in audiences.items():
        for protocol, (online, _) in sums.items():
            sheet.put("openkls_node_viewers", online, node, *tally.place(unique_name, app), protocol)


async def read_nodes(parts: Parts, peers: Peers, sheet: Sheet) -> None:
    """Put what the other processes show, by their nodes."""
    tally = parts.endings.tally
    nodes = {parts.node}
    for readings in peers.processes():
        node = readings.node
        if node not in nodes:
            if len(nodes) >= NODES_LIMIT:
                node = ""
            nodes.add(node)
        sheet.put("openkls_node_processes", 1, node)
        sheet.put("openkls_node_received_bytes_per_second", 0, node)
        sheet.put("openkls_node_sent_bytes_per_second", 0, node)
        for unique_name, app in readings.apps():
            place = tally.place(unique_name, app)
            try:
                shown = await readings.app(unique_name, app)
            except msgspec.DecodeError:  # counted where lists find it
                continue
            sheet.put("openkls_node_streams", len(shown.streams), node, *place)
            sheet.put(
                "openkls_node_received_bytes_per_second", sum(each.reading.real_bps for each in shown.streams) / 8, node
            )
            online: Counter[str] = Counter()
            for row in shown.watched:
                online[row.protocol] += row.online
            for protocol, total in online.items():
                sheet.put("openkls_node_viewers", total, node, *place, protocol)
            sheet.put("openkls_node_sent_bytes_per_second", sum([row.bps for row in shown.watched]) / 8, node)
            await asyncio.sleep(0)


class Scrape:
    """The newest scrape: whoever asks while one is made, or soon after, gets that one."""

    def __init__(self, parts: Parts, per_stream: int) -> None:
        self.parts = parts
        self._per_stream = per_stream
        self._task: asyncio.Task[bytes] | None = None
        self._made_at = 0.0
        self._took_seconds = 0.0
        self.refused: Counter[int] = Counter()
        """Scrapes turned away, by status."""

    async def text(self) -> bytes:
        """The exposition. Raises what reading raised."""
        now = time.monotonic()
        if self._task is None or (self._task.done() and now - self._made_at >= FRESH_SECONDS):
            self._task = asyncio.create_task(self._make(), name="scrape")
        return await asyncio.shield(self._task)

    async def close(self) -> None:
        """End what is under way. Idempotent."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _make(self) -> bytes:
        began = time.monotonic()
        try:
            sheet = await read_all(self.parts, self._per_stream)
            sheet.put("openkls_scrape_seconds", self._took_seconds)
            for status, count in self.refused.items():
                sheet.put("openkls_scrapes_refused_total", count, status)
            return await sheet.build_text()
        finally:
            self._made_at = time.monotonic()
            self._took_seconds = self._made_at - began
