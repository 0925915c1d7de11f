"""Error rows are rationed per stream key and address, and what is remembered for it is bounded (security class 18)."""

import pytest

from openkls.domain import refusals
from openkls.domain.refusals import ROWS_PER_MINUTE, RefusalQuota
from support_domain import key


def test_security_18_the_sixtieth_row_of_a_minute_is_the_last() -> None:
    quota = RefusalQuota()
    assert ROWS_PER_MINUTE == 60
    assert [quota.allows(key(), "192.0.2.7", 120.0) for _ in range(60)] == [True] * 60
    assert not quota.allows(key(), "192.0.2.7", 179.9)
    assert quota.suppressed == 1


def test_every_pair_of_key_and_address_has_its_own_rows() -> None:
    quota = RefusalQuota()
    for _ in range(60):
        quota.allows(key(), "192.0.2.7", 0.0)
    assert quota.allows(key(), "192.0.2.8", 0.0)
    assert quota.allows(key("s2"), "192.0.2.7", 0.0)
    assert quota.suppressed == 0


def test_next_minute_starts_anew() -> None:
    quota = RefusalQuota()
    for _ in range(61):
        quota.allows(key(), "192.0.2.7", 59.9)
    assert quota.allows(key(), "192.0.2.7", 60.0)


def test_security_18_pairs_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "PAIRS_LIMIT", 3)
    quota = RefusalQuota()
    assert [quota.allows(key(f"s{number}"), "192.0.2.7", 0.0) for number in range(4)] == [True, True, True, False]
    assert quota.suppressed == 1
    assert quota.allows(key("s2"), "192.0.2.7", 0.0), "a pair that is remembered goes on"
    assert quota.allows(key("s3"), "192.0.2.7", 60.0)


def test_security_18_a_hundred_thousand_names_cost_the_limit() -> None:
    quota = RefusalQuota()
    allowed = sum(quota.allows(key(f"s{number}"), "192.0.2.7", 0.0) for number in range(100_000))
    assert allowed == len(quota._counts) == refusals.PAIRS_LIMIT == 20_000
    assert quota.suppressed == 80_000
