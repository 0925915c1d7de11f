"""Bans: the highest version of a key decides, whatever the order rows come in; expiry is a question of the time."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.domain import blacklist as module
from openkls.domain.blacklist import Ban, Blacklist
from support_domain import ban, key

KEYS = [key("s1"), key("s2"), key("s1", pubdomain="push2.demo.local"), key("s1", unique_name="other")]

bans = st.builds(
    Ban,
    key=st.sampled_from(KEYS),
    forbid_time=st.integers(0, 50),
    till=st.integers(0, 100),
    permanent=st.booleans(),
    resumed=st.booleans(),
    version=st.integers(1, 12),
)
# Versions are unique over the whole table (the store counts them up).
histories = st.lists(bans, max_size=12, unique_by=lambda row: row.version)


def test_ban_forbids_up_to_the_second_before_its_till() -> None:
    blacklist = Blacklist()
    assert blacklist.apply(ban(till=2000))
    assert blacklist.forbids(key(), 1999.999)
    assert not blacklist.forbids(key(), 2000)


def test_ban_holds_for_exactly_its_key() -> None:
    blacklist = Blacklist()
    blacklist.apply(ban(KEYS[0]))
    assert [blacklist.forbids(each, 1500) for each in KEYS] == [True, False, False, False]


def test_find_gives_the_ban_that_holds_and_nothing_else() -> None:
    blacklist = Blacklist()
    row = ban()
    blacklist.apply(row)
    assert blacklist.find(key(), 1500) is row
    assert blacklist.find(key(), 2500) is None
    assert blacklist.find(key("unknown"), 1500) is None


def test_resumed_ban_forbids_nothing_and_an_older_row_does_not_come_back() -> None:
    blacklist = Blacklist()
    blacklist.apply(ban(version=2, resumed=True))
    assert not blacklist.apply(ban(version=1))
    assert not blacklist.forbids(key(), 1500)


def test_same_row_twice_is_taken_once() -> None:
    blacklist = Blacklist()
    assert blacklist.apply(ban(version=3))
    assert not blacklist.apply(ban(version=3))
    assert blacklist.forbids(key(), 1500)


@given(histories, st.integers(0, 100), st.randoms(use_true_random=False))
def test_rows_in_any_order_and_repeated_end_in_the_same_blacklist(
    rows: list[Ban], now: int, random_source: random.Random
) -> None:
    shuffled = rows * 2
    random_source.shuffle(shuffled)
    blacklist = Blacklist()
    for row in shuffled:
        blacklist.apply(row)
    newest = {row.key: row for row in sorted(rows, key=lambda row: row.version)}
    for each in KEYS:
        last = newest.get(each)
        assert blacklist.forbids(each, now) == (last is not None and not last.resumed and now < last.till)


@given(histories, st.integers(0, 100), st.integers(0, 12), st.integers(0, 12))
def test_prune_changes_no_answer_now_or_later_nor_by_rows_still_on_their_way(
    rows: list[Ban], now: int, read: int, pruned: int
) -> None:
    rows.sort(key=lambda row: row.version)
    pruned = min(read, pruned)
    kept, pruned_list = Blacklist(), Blacklist()
    for row in rows:
        if row.version <= read:
            kept.apply(row)
            pruned_list.apply(row)
    gone = pruned_list.prune(now, pruned)
    assert 0 <= gone <= len({row.key for row in rows if row.version <= pruned})
    # Rows above the pruned version may still arrive, again and in any order; none below it may.
    for row in reversed(rows):
        if row.version > pruned:
            kept.apply(row)
            pruned_list.apply(row)
    for later in (now, now + 1, now + 1000):
        for each in KEYS:
            assert kept.find(each, later) == pruned_list.find(each, later)


def test_prune_keeps_what_holds_and_what_is_newer_and_frees_empty_spaces() -> None:
    blacklist = Blacklist()
    blacklist.apply(ban(key("over"), version=1, till=100))
    blacklist.apply(ban(key("holds"), version=2, till=5000))
    blacklist.apply(ban(key("fresh tombstone"), version=9, resumed=True))
    blacklist.apply(ban(key("over", unique_name="other"), version=3, till=100))
    assert blacklist.prune(1000, 3) == 2
    assert blacklist.forbids(key("holds"), 1000)
    assert not blacklist.apply(ban(key("fresh tombstone"), version=8, till=5000)), "its tombstone must stay"
    assert blacklist.apply(ban(key("over"), version=4)), "forgotten: a new row is taken"
    assert list(blacklist._bans) == ["demo"], "a space without rows costs nothing"


def test_listing_is_one_app_behind_one_domain_newest_first() -> None:
    blacklist = Blacklist()
    for row in (
        ban(key("a"), version=1, forbid_time=10),
        ban(key("b"), version=4, forbid_time=30),
        ban(key("c"), version=2, forbid_time=20),
        ban(key("d"), version=3, forbid_time=20),
        ban(key("over"), version=5, till=40),
        ban(key("resumed"), version=6, resumed=True),
        ban(key("e", app="other"), version=7),
        ban(key("f", pubdomain="push2.demo.local"), version=8),
        ban(key("g", unique_name="other"), version=9),
    ):
        blacklist.apply(row)
    assert [row.key.stream for row in blacklist.listing("demo", "push.demo.local", "live", 50)] == ["b", "d", "c", "a"]
    assert blacklist.listing("nobody", "push.demo.local", "live", 50) == []


def test_permanent_ban_is_shown_as_minus_one_and_ends_all_the_same() -> None:
    assert ban(permanent=True, till=2000).shown_till == -1
    assert ban(permanent=False, till=2000).shown_till == 2000
    assert not ban(permanent=True, till=2000).active(2000)


def test_space_is_full_at_the_limit_of_bans_that_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPACE_BANS_LIMIT", 3)
    blacklist = Blacklist()
    for number in range(2):
        blacklist.apply(ban(key(f"s{number}"), version=number + 1, till=2000))
    assert not blacklist.full("demo", 1000), "one below the limit"
    blacklist.apply(ban(key("s2"), version=3, till=1500))
    assert blacklist.full("demo", 1000), "at the limit"
    assert not blacklist.full("demo", 1500), "one has expired"
    assert not blacklist.full("other", 1000), "each space has its own"
    blacklist.apply(ban(key("s3"), version=4, resumed=True))
    assert not blacklist.full("demo", 1500), "tombstones are no bans"


def test_limits_are_the_contracts() -> None:
    assert module.SPACE_BANS_LIMIT == 100_000
    assert module.FORBID_DEFAULT_SECONDS == 90 * 24 * 3600


def test_all_that_are_known_are_counted_also_those_that_hold_no_more() -> None:
    blacklist = Blacklist()
    assert blacklist.count() == 0
    blacklist.apply(ban(key("s1"), version=1))
    blacklist.apply(ban(key("s2"), version=2, resumed=True))
    assert blacklist.count() == 2
