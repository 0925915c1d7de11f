"""KeysPort, over every adapter."""

from pathlib import Path

import pytest
from sqlalchemy import text

from openkls.domain.audit import AuditQuery, Author
from openkls.domain.errors import StoreUnavailable
from openkls.domain.ports import AccessKey, AccountSwitch
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


@pytest.mark.parametrize("url", [URL])
async def test_secret_is_in_no_file(store: Store, tmp_path: Path) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON)
    files = read_files(tmp_path)
    assert b"AKRUN1" in files["openkls.db-wal"]  # the row is there, as yet in the log only
    await store.close()
    files |= {name + " closed": content for name, content in read_files(tmp_path).items()}
    assert b"AKRUN1" in files["openkls.db closed"]
    assert not [name for name, content in files.items() if SECRET_KEY.encode() in content]


async def test_another_secret_file_is_found_at_the_start(store: Store, url: str, tmp_path: Path) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON)
    await store.close()
    with pytest.raises(SetupError, match="secret_file"):
        await open_store(url, tmp_path, bytes(32))
    again = await open_store(url, tmp_path, SECRET)
    assert len(await again.keys.since(0)) == 1
    await again.close()


async def test_secret_moved_to_another_row_does_not_open(store: Store) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON)
    await store.keys.create("2000001", "AKRUN2", "mine", NOON)
    swap = text("UPDATE access_keys SET sealed_secret = (SELECT sealed_secret FROM access_keys LIMIT 1)")
    await store.writer.write(lambda connection: connection.execute(swap) and None)
    with pytest.raises(StoreUnavailable, match="AKRUN2 does not open"):
        await store.keys.since(0)


POLICY = '[{"Effect": "Allow", "Action": "kls:*", "Resource": "*"}]'
BY = Author("cli", "operator")


async def audited(store: Store) -> list[tuple[str, str, str]]:
    """Action, resource and detail of every row, oldest first."""
    rows = await store.audit.read(AuditQuery())
    assert {(row.author, row.outcome, row.account_id) for row in rows} <= {(BY, "0", "2000001")}
    return [(row.action, row.resource, row.detail) for row in reversed(rows)]


async def test_rotation_makes_a_successor_and_lets_the_old_key_end(store: Store) -> None:
    made = await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON, POLICY, by=BY)
    assert made.policy == POLICY
    rotated = await store.keys.rotate("AKRUN1", "AKRUN2", "another", NOON + 10, NOON + 100, by=BY)
    old = AccessKey("AKRUN1", SECRET_KEY, "2000001", True, NOON, 2, POLICY, NOON + 100)
    new = AccessKey("AKRUN2", "another", "2000001", True, NOON + 10, 3, POLICY)
    assert rotated == (old, new)
    assert await store.keys.since(0) == [old, new]
    assert await audited(store) == [
        ("CreateKey", "AKRUN1", "with a policy"),
        ("RotateKey", "AKRUN1", f"successor AKRUN2, ends at {NOON + 100}"),
    ]


async def test_second_rotation_never_lengthens_a_key(store: Store) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON)
    await store.keys.rotate("AKRUN1", "AKRUN2", "another", NOON, NOON + 100)
    rotated = await store.keys.rotate("AKRUN1", "AKRUN3", "third", NOON, NOON + 200)
    assert rotated is not None
    assert rotated[0].expires_at == NOON + 100
    rotated = await store.keys.rotate("AKRUN1", "AKRUN4", "fourth", NOON, NOON + 50)
    assert rotated is not None
    assert rotated[0].expires_at == NOON + 50


async def test_key_that_does_not_sign_is_not_rotated(store: Store) -> None:
    await store.keys.create("2000001", "AKOFF", SECRET_KEY, NOON)
    await store.keys.disable("AKOFF", NOON)
    with pytest.raises(ValueError, match="AKOFF is disabled"):
        await store.keys.rotate("AKOFF", "AKNEW", "another", NOON, NOON + 100)
    await store.keys.create("2000001", "AKOVER", SECRET_KEY, NOON)
    await store.keys.rotate("AKOVER", "AKNEXT", "another", NOON, NOON + 100)
    with pytest.raises(ValueError, match="AKOVER is expired"):
        await store.keys.rotate("AKOVER", "AKNEW", "another", NOON + 100, NOON + 200)
    assert await store.keys.rotate("AKNONE", "AKNEW", "another", NOON, NOON + 100) is None


async def test_rotation_to_a_key_that_exists_changes_nothing(store: Store) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON, by=BY)
    await store.keys.create("2000001", "AKRUN2", SECRET_KEY, NOON, by=BY)
    before = await store.keys.since(0), await audited(store)
    with pytest.raises(ValueError, match="AKRUN2 exists"):
        await store.keys.rotate("AKRUN1", "AKRUN2", "another", NOON, NOON + 100, by=BY)
    assert (await store.keys.since(0), await audited(store)) == before


async def test_policy_is_set_and_cleared_under_new_versions(store: Store) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON, by=BY)
    for _ in range(2):  # the second changes nothing and is not audited
        key = await store.keys.set_policy("AKRUN1", POLICY, NOON, by=BY)
        assert key is not None
        assert (key.policy, key.version) == (POLICY, 2)
    key = await store.keys.set_policy("AKRUN1", None, NOON, by=BY)
    assert key is not None
    assert (key.policy, key.version) == (None, 3)
    assert await store.keys.set_policy("AKNONE", None, NOON, by=BY) is None
    assert await audited(store) == [
        ("CreateKey", "AKRUN1", ""),
        ("SetKeyPolicy", "AKRUN1", POLICY),
        ("SetKeyPolicy", "AKRUN1", "cleared"),
    ]


async def test_disabling_is_audited_once(store: Store) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON, by=BY)
    for _ in range(2):
        await store.keys.disable("AKRUN1", NOON + 1, by=BY)
    await store.keys.disable("AKNONE", NOON + 1, by=BY)
    assert await audited(store) == [("CreateKey", "AKRUN1", ""), ("DisableKey", "AKRUN1", "")]


async def test_account_is_switched_on_the_counter_of_the_keys(store: Store) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON, by=BY)
    assert await store.keys.accounts_since(0) == []
    off = AccountSwitch("2000001", True, 2)
    for _ in range(2):
        assert await store.keys.switch_account("2000001", True, NOON, by=BY) == off
    assert await store.keys.accounts_since(0) == [off]
    on = AccountSwitch("2000001", False, 3)
    assert await store.keys.switch_account("2000001", False, NOON, by=BY) == on
    assert await store.keys.accounts_since(2) == [on]
    assert await store.keys.accounts_since(3) == []
    assert await audited(store) == [
        ("CreateKey", "AKRUN1", ""),
        ("DisableAccount", "2000001", ""),
        ("EnableAccount", "2000001", ""),
    ]


async def test_account_of_the_file_is_switched_by_id_too(store: Store) -> None:
    assert await store.keys.switch_account("2000001", False, NOON) == AccountSwitch("2000001", False, 0)
    assert await store.keys.switch_account("2000001", True, NOON) == AccountSwitch("2000001", True, 1)


async def test_no_secret_is_in_the_audit(store: Store) -> None:
    await store.keys.create("2000001", "AKRUN1", SECRET_KEY, NOON)
    await store.keys.rotate("AKRUN1", "AKRUN2", SECRET_KEY, NOON, NOON)
    assert SECRET_KEY not in repr(await store.audit.read(AuditQuery()))
