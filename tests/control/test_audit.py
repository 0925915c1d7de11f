"""Writing down what callers did: never undone, bounded for those who were turned away."""

import logging
from dataclasses import replace

import pytest

from openkls.control.audit import AuditTrail
from openkls.domain.audit import REFUSED_ROWS_PER_MINUTE, AuditEntry, Author
from openkls.domain.errors import StoreTimeout, StoreUnavailable
from support_ports import MemoryAudit

ENTRY = AuditEntry(1000, "1", Author("AK1", "192.0.2.1", "req-1"), "ForbidStream", "demo/d/live/s1", "0", "")


async def test_calls_that_reached_their_action_are_all_written() -> None:
    port = MemoryAudit()
    trail = AuditTrail(port, monotonic=lambda: 0.0)
    for _ in range(REFUSED_ROWS_PER_MINUTE + 1):
        await trail.record(ENTRY, reached=True)
    assert trail.written == len(port.rows) == REFUSED_ROWS_PER_MINUTE + 1


async def test_calls_turned_away_are_written_up_to_the_limit_of_a_minute() -> None:
    port, now = MemoryAudit(), [0.0]
    trail = AuditTrail(port, monotonic=lambda: now[0])
    for _ in range(REFUSED_ROWS_PER_MINUTE + 1):
        await trail.record(replace(ENTRY, outcome="4999"), reached=False)
    assert len(port.rows) == REFUSED_ROWS_PER_MINUTE
    assert trail.quota.suppressed == 1
    await trail.record(ENTRY, reached=True)
    now[0] = 60.0
    await trail.record(ENTRY, reached=False)
    assert len(port.rows) == REFUSED_ROWS_PER_MINUTE + 2


@pytest.mark.parametrize("error", [StoreUnavailable("the disk is full"), StoreTimeout("late")])
async def test_row_that_could_not_be_written_is_counted_and_in_the_log(
    error: StoreUnavailable, caplog: pytest.LogCaptureFixture
) -> None:
    port = MemoryAudit()
    port.down = error
    trail = AuditTrail(port)
    with caplog.at_level(logging.ERROR):
        await trail.record(ENTRY, reached=True)
    assert (trail.lost, trail.written) == (1, 0)
    for fact in ("req-1", "ForbidStream", "demo/d/live/s1", "AK1", "192.0.2.1", str(error)):
        assert fact in caplog.text
