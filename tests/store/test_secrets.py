"""The secret file and the seal."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.store import SetupError, load_or_create_secret, secret_path
from openkls.store.secrets import Seal, SealBroken
from support_store import SECRET


def test_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    before = os.umask(0)
    try:
        secret = load_or_create_secret(path)
    finally:
        os.umask(before)
    assert len(secret) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create_secret(path) == secret
    assert os.listdir(tmp_path) == ["secret.key"]
    assert load_or_create_secret(tmp_path / "other.key") != secret


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_secret_file_open_to_others_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret.key"
    secret = load_or_create_secret(path)
    path.chmod(mode)
    with pytest.raises(SetupError, match=f"chmod 600 {path}") as caught:
        load_or_create_secret(path)
    assert secret.hex() not in str(caught.value)
    path.chmod(0o400)
    assert load_or_create_secret(path) == secret


@pytest.mark.parametrize("content", [b"", b"ab" * 31, b"ab" * 33, b"zz" * 32, bytes(32), b"ab" * 32 + b"\n\n"])
def test_damaged_secret_file_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SetupError, match="restore it"):
        load_or_create_secret(path)
    assert path.read_bytes() == content


def test_secret_in_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be made"):
        load_or_create_secret(tmp_path / "none" / "secret.key")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SetupError, match="cannot be read"):
        load_or_create_secret(tmp_path / "folder")


@given(st.text(max_size=80), st.text(max_size=20))
def test_sealed_secret_opens_again(secret_key: str, access_key: str) -> None:
    seal = Seal(SECRET)
    sealed = seal.close(access_key, secret_key)
    assert sealed.startswith("v1:")
    assert sealed != seal.close(access_key, secret_key)
    assert Seal(SECRET).open(access_key, sealed) == secret_key


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sealed: sealed[:-4],
        lambda sealed: sealed[:10] + ("A" if sealed[10] != "A" else "B") + sealed[11:],
        lambda sealed: "v1:",
        lambda sealed: "v1:!!!!",
        lambda sealed: "v2:" + sealed[3:],
        lambda sealed: sealed + "é",
    ],
)
def test_spoilt_seal_is_broken_and_tells_no_secret(spoil) -> None:  # type: ignore[no-untyped-def]
    seal = Seal(SECRET)
    with pytest.raises(SealBroken) as caught:
        seal.open("AK", spoil(seal.close("AK", "hidden")))
    assert "hidden" not in str(caught.value)


def test_seal_of_another_row_or_secret_is_broken() -> None:
    sealed = Seal(SECRET).close("AK", "hidden")
    with pytest.raises(SealBroken):
        Seal(SECRET).open("AK2", sealed)
    with pytest.raises(SealBroken):
        Seal(bytes(32)).open("AK", sealed)


@pytest.mark.parametrize("length_bytes", [0, 31, 33])
def test_secret_of_another_length_is_refused(length_bytes: int) -> None:
    with pytest.raises(ValueError, match="expected 32"):
        Seal(bytes(length_bytes))


def test_secret_file_is_the_one_configured_else_in_the_data_folder(tmp_path: Path) -> None:
    assert secret_path("", tmp_path) == tmp_path / "secret.key"
    assert secret_path("/etc/openkls.secret", tmp_path) == Path("/etc/openkls.secret")
