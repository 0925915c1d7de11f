"""BlacklistPort, over every adapter."""

import asyncio
from dataclasses import replace

import openkls.store.blacklist as module
from openkls.domain.blacklist import Ban, Blacklist
from openkls.store import Store
from support_store import KEY, NOON


async def test_ban_is_returned_and_read_back(store: Store) -> None:
    ban = await store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=True)
    assert ban == Ban(KEY, NOON, NOON + 60, permanent=True, resumed=False, version=1)
    assert await store.blacklist.since(0) == [ban]
    assert await store.blacklist.since(1) == []


async def test_second_ban_within_the_second_is_none_and_takes_no_version(store: Store) -> None:
    first = await store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=False)
    assert await store.blacklist.forbid(KEY, NOON, NOON + 90, permanent=True) is None
    assert await store.blacklist.since(0) == [first]
    other = await store.blacklist.forbid(replace(KEY, stream="s2"), NOON, NOON + 60, permanent=False)
    assert other is not None
    assert other.version == 2


async def test_later_ban_refreshes_the_row(store: Store) -> None:
    await store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=False)
    again = await store.blacklist.forbid(KEY, NOON + 1, NOON + 90, permanent=True)
    assert again == Ban(KEY, NOON + 1, NOON + 90, permanent=True, resumed=False, version=2)
    assert await store.blacklist.since(0) == [again]


async def test_resume_leaves_a_tombstone_and_a_second_one_is_none(store: Store) -> None:
    ban = await store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=False)
    assert ban is not None
    assert await store.blacklist.resume(KEY, NOON + 1) == replace(ban, resumed=True, version=2)
    assert await store.blacklist.resume(KEY, NOON + 1) is None
    assert await store.blacklist.since(0) == [replace(ban, resumed=True, version=2)]


async def test_resumed_stream_may_be_forbidden_within_the_same_second(store: Store) -> None:
    await store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=False)
    await store.blacklist.resume(KEY, NOON)
    ban = await store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=False)
    assert ban is not None
    assert (ban.version, ban.resumed) == (3, False)


async def test_resume_of_an_unknown_or_expired_ban_is_none(store: Store) -> None:
    assert await store.blacklist.resume(KEY, NOON) is None
    await store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=False)
    assert await store.blacklist.resume(KEY, NOON + 60) is None
    assert await store.blacklist.resume(KEY, NOON + 59) is not None


async def test_versions_are_in_commit_order_without_gaps(store: Store) -> None:
    keys = [replace(KEY, stream=f"s{n}") for n in range(300)]
    bans = await asyncio.gather(*(store.blacklist.forbid(key, NOON, NOON + 60, permanent=False) for key in keys))
    assert sorted(ban.version for ban in bans if ban) == list(range(1, 301))
    read = await store.blacklist.since(0)
    assert [ban.version for ban in read] == list(range(1, 301))
    assert await store.blacklist.since(290) == read[290:]


async def test_concurrent_bans_of_one_key_within_a_second_are_one(store: Store) -> None:
    bans = await asyncio.gather(*(store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=False) for _ in range(50)))
    assert len([ban for ban in bans if ban is not None]) == 1


async def test_bans_are_read_in_pieces(store: Store, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "READ_BATCH", 3)
    monkeypatch.setattr(module, "_since", module._since.limit(3))
    for count in range(1, 8):
        await store.blacklist.forbid(replace(KEY, stream=f"s{count}"), NOON, NOON + 60, permanent=False)
        assert [ban.version for ban in await store.blacklist.since(0)] == list(range(1, count + 1))


async def test_rules_hold_after_a_restart(reopen) -> None:  # type: ignore[no-untyped-def]
    store = await reopen()
    await store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=False)
    await store.blacklist.forbid(replace(KEY, stream="s2"), NOON, NOON + 60, permanent=False)
    await store.blacklist.resume(replace(KEY, stream="s2"), NOON + 1)
    store = await reopen()
    rules = Blacklist()
    for ban in await store.blacklist.since(0):
        rules.apply(ban)
    assert rules.forbids(KEY, NOON + 59)
    assert not rules.forbids(KEY, NOON + 60)
    assert not rules.forbids(replace(KEY, stream="s2"), NOON + 2)
    ban = await store.blacklist.forbid(KEY, NOON + 5, NOON + 60, permanent=False)
    assert ban is not None
    assert ban.version == 4
