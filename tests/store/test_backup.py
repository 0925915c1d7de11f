"""Backups: whole, of one moment, also under load; checked before they replace anything."""

import asyncio
import contextlib
import io
import os
import sqlite3
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from openkls.store import (
    SetupError,
    Store,
    back_up,
    load_or_create_secret,
    lock_data_dir,
    open_database,
    open_store,
    restore,
)
from support_store import KEY, NOON, URL, build_query, build_row, check_exact

Place = tuple[Path, Path]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A data folder and its secret file."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder, folder / "secret.key"


@pytest.fixture
async def full(place: Place) -> AsyncIterator[Store]:
    """A store with a key pair, a ban and some history."""
    store = await open_store(URL, place[0], load_or_create_secret(place[1]), deadline_seconds=20)
    await store.keys.create("1", "AK1", "hidden", NOON)
    await store.blacklist.forbid(KEY, NOON, NOON + 60, permanent=False)
    for n in range(5):
        await store.history.close(build_row(pub_time=NOON + n))
    yield store
    await store.close()


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def save(place: Place, target: Path) -> Path:
    back_up(open_database(URL, place[0]), place[1], target, lambda done, total: None)
    return target


def put_back(folder: Path, source: Path, *, force: bool = False) -> Path | None:
    folder.mkdir(exist_ok=True)
    return restore(open_database(URL, folder), folder / "secret.key", folder, source, force=force)


async def test_restored_store_has_it_all_and_its_secret(full: Store, place: Place, tmp_path: Path) -> None:
    saved = save(place, tmp_path / "saved.tar")
    assert saved.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["data", "saved.tar"]
    other = tmp_path / "other"
    assert put_back(other, saved) is None
    assert {path.name: path.stat().st_mode & 0o777 for path in other.iterdir()} == dict.fromkeys(
        ("lock", "openkls.db", "secret.key"), 384
    )
    again = await open_store(URL, other, load_or_create_secret(other / "secret.key"), deadline_seconds=20)
    assert (await again.history.page(build_query())) == (await full.history.page(build_query()))
    assert await again.keys.since(0) == await full.keys.since(0)
    assert await again.blacklist.since(0) == await full.blacklist.since(0)
    await check_exact(again)
    await again.close()


async def test_backup_under_load_is_of_one_moment(full: Store, place: Place, tmp_path: Path) -> None:
    acknowledged: list[str] = []
    stop = asyncio.Event()

    async def write(lane: int) -> None:
        number = 0
        while not stop.is_set():
            row = build_row(replace(KEY, stream=f"s{lane}"), NOON + number % 300)
            await full.history.close(row)
            acknowledged.append(row.facts.session_id)
            number += 1

    lanes = [asyncio.create_task(write(lane)) for lane in range(16)]
    async with asyncio.timeout(60):
        while len(acknowledged) < 2000:  # noqa: ASYNC110 - the lanes' fact
            await asyncio.sleep(0.01)
        before = set(acknowledged)
        steps: list[int] = []
        await asyncio.to_thread(
            back_up, open_database(URL, place[0]), place[1], tmp_path / "saved.tar", lambda done, _: steps.append(done)
        )
        during = len(acknowledged)
        while len(acknowledged) < during + 200:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*lanes)
    assert steps == sorted(steps)
    put_back(tmp_path / "other", tmp_path / "saved.tar")
    again = await open_store(URL, tmp_path / "other", load_or_create_secret(tmp_path / "other" / "secret.key"))
    found = set()
    while True:
        page = await again.history.page(build_query(offset=len(found)))
        found |= {row.facts.session_id for row in page.rows}
        if not page.rows:
            break
    assert before <= found
    await check_exact(again)
    await again.close()


async def test_restore_over_a_store_needs_force_and_keeps_it(full: Store, place: Place, tmp_path: Path) -> None:
    saved = save(place, tmp_path / "saved.tar")
    await full.history.close(build_row(pub_time=NOON + 100))
    await full.close()
    before = {path.name: path.read_bytes() for path in _files(place[0])} | {"lock": f"{os.getpid()}\n".encode()}
    with pytest.raises(SetupError, match="--force"):
        put_back(place[0], saved)
    assert {path.name: path.read_bytes() for path in place[0].iterdir()} == before | {
        "lock": f"{os.getpid()}\n".encode()
    }
    kept = put_back(place[0], saved, force=True)
    assert kept is not None
    assert set(os.listdir(kept)) == {"openkls.db", "secret.key"}
    assert (kept / "openkls.db").read_bytes() == before["openkls.db"]
    again = await open_store(URL, place[0], load_or_create_secret(place[1]))
    assert (await again.history.page(build_query())).total == 5
    await again.close()


async def test_running_service_is_refused(full: Store, place: Place, tmp_path: Path) -> None:
    saved = save(place, tmp_path / "saved.tar")
    held = lock_data_dir(place[0])
    with pytest.raises(SetupError, match="in use by process"):
        put_back(place[0], saved, force=True)
    held.release()


def member(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, "/etc/passwd"
    return info, io.BytesIO(content)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda whole: b"", "no backup"),
        (lambda whole: b"not a tar file at all" * 99, "no backup"),
        (lambda whole: whole[: len(whole) // 2], "no backup|damaged"),
        (lambda whole: whole[:20_000] + b"\xff" * 4096 + whole[20_000 + 4096 :], "damaged|cannot be read|no backup"),
    ],
)
async def test_spoilt_backup_changes_nothing(full: Store, place: Place, tmp_path: Path, spoil, text: str) -> None:  # type: ignore[no-untyped-def]
    saved = save(place, tmp_path / "saved.tar")
    saved.write_bytes(spoil(saved.read_bytes()))
    with pytest.raises(SetupError, match=text):
        put_back(tmp_path / "other", saved)
    assert os.listdir(tmp_path / "other") == ["lock"]


@pytest.mark.parametrize(
    "members",
    [
        [member("../evil")],
        [member("/etc/evil")],
        [member("openkls.db", kind=tarfile.SYMTYPE)],
        [member("secret.key", bytes(4097))],
        [member("backup.json", b"[]"), member("secret.key", b"ab" * 32), member("openkls.db")],
        [member("backup.json", b'{"format": 2}'), member("secret.key", b"ab" * 32), member("openkls.db")],
        [member("backup.json", b'{"format": 1}'), member("backup.json", b'{"format": 1}')],
    ],
)
def test_made_up_backup_is_refused(tmp_path: Path, members: list[tuple[tarfile.TarInfo, io.BytesIO]]) -> None:
    with tarfile.open(tmp_path / "saved.tar", "w") as tar:
        for info, content in members:
            content.seek(0)
            tar.addfile(info, content)
    with pytest.raises(SetupError, match=r"no backup|run the newer version"):
        put_back(tmp_path / "other", tmp_path / "saved.tar")
    assert os.listdir(tmp_path / "other") == ["lock"]


async def test_backup_with_another_secret_or_a_newer_schema_is_refused(
    full: Store, place: Place, tmp_path: Path
) -> None:
    await full.close()
    other_secret = tmp_path / "another.key"
    load_or_create_secret(other_secret)
    back_up(open_database(URL, place[0]), other_secret, tmp_path / "a.tar", lambda done, total: None)
    with pytest.raises(SetupError, match="made with another"):
        put_back(tmp_path / "other", tmp_path / "a.tar")
    with contextlib.closing(sqlite3.connect(place[0] / "openkls.db")) as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
        db.commit()
    with pytest.raises(SetupError, match="run the newer version"):
        put_back(tmp_path / "other", save(place, tmp_path / "b.tar"))


async def test_backup_takes_no_files_place_and_needs_a_database(full: Store, place: Place, tmp_path: Path) -> None:
    (tmp_path / "saved.tar").write_bytes(b"mine")
    with pytest.raises(SetupError, match="exists already"):
        save(place, tmp_path / "saved.tar")
    assert (tmp_path / "saved.tar").read_bytes() == b"mine"
    with pytest.raises(SetupError, match="no database"):
        back_up(open_database(URL, tmp_path), place[1], tmp_path / "b.tar", lambda done, total: None)
    with pytest.raises(SetupError, match="no backup was made"):
        save(place, tmp_path / "none" / "b.tar")
    with pytest.raises(SetupError, match="pg_dump"):
        back_up(
            open_database("postgresql://kls@db/kls", tmp_path), place[1], tmp_path / "b.tar", lambda done, total: None
        )
