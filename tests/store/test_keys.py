"""KeysPort, over every adapter."""

from pathlib import Path

import pytest
from sqlalchemy import text

from openkls.domain.errors import StoreUnavailable
from openkls.domain.ports import AccessKey
from openkls.store import SetupError, Store, open_store
from support_store import NOON, SECRET, URL

SECRET_KEY = "OYyY3tQkzQ-never-on-disk-in-clear"


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_key_is_returned_and_read_back(store: Store) -> None:
    made = await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON)
    assert made == AccessKey("AKRUN1", SECRET_KEY, "2000001", True, NOON, 1)
    assert await store.keys.since(0) == [made]
    assert await store.keys.since(1) == []


async def test_existing_key_is_refused_and_unchanged(store: Store) -> None:
    made = await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON)
    with pytest.raises(ValueError, match="AKRUN1 exists"):
        await store.keys.create("2000002", "AKRUN1", "another", NOON)
    assert await store.keys.since(0) == [made]
    assert (await store.keys.create("2000001", "AKRUN2", SECRET_KEY, NOON)).version == 2


async def test_disabled_key_is_listed_under_a_new_version(store: Store) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON)
    off = AccessKey("AKRUN1", SECRET_KEY, "2000001", False, NOON, 2)
    assert await store.keys.disable("AKRUN1", NOON + 1) == off
    assert await store.keys.disable("AKRUN1", NOON + 2) == off
    assert await store.keys.since(1) == [off]


async def test_unknown_key_cannot_be_disabled(store: Store) -> None:
    assert await store.keys.disable("AKNONE", NOON) is None


async def test_keys_survive_a_restart(reopen) -> None:  # type: ignore[no-untyped-def]
    store = await reopen()
    made = await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON)
    store = await reopen()
    assert await store.keys.since(0) == [made]


async def test_secret_is_in_no_file(store: Store, tmp_path: Path) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON)
    files = read_files(tmp_path)
    assert b"AKRUN1" in files["openkls.db-wal"]  # the row is there, as yet in the log only
    await store.close()
    files |= {name + " closed": content for name, content in read_files(tmp_path).items()}
    assert b"AKRUN1" in files["openkls.db closed"]
    assert not [name for name, content in files.items() if SECRET_KEY.encode() in content]


async def test_another_secret_file_is_found_at_the_start(store: Store, tmp_path: Path) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON)
    await store.close()
    with pytest.raises(SetupError, match="secret_file"):
        await open_store(URL, tmp_path, bytes(32))
    again = await open_store(URL, tmp_path, SECRET)
    assert len(await again.keys.since(0)) == 1
    await again.close()


async def test_secret_moved_to_another_row_does_not_open(store: Store) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON)
    await store.keys.create("2000001", "AKRUN2", "mine", NOON)
    swap = text("UPDATE access_keys SET sealed_secret = (SELECT sealed_secret FROM access_keys LIMIT 1)")
    await store.writer.write(lambda connection: connection.execute(swap) and None)
    with pytest.raises(StoreUnavailable, match="AKRUN2 does not open"):
        await store.keys.since(0)
