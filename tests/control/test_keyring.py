"""Which key pairs sign requests."""

from openkls import config
from openkls.control.keyring import Credential, KeyRing
from openkls.domain.ports import AccessKey

RING = (config.Account(id="1", key=(config.Key(access_key="AKFILE", secret_key="of the file"),)),)


def made(access_key: str = "AKMADE", enabled: bool = True, version: int = 1) -> AccessKey:
    return AccessKey(access_key, "made secret", "2", enabled, 1000, version)


def test_keys_of_the_file_sign_for_their_account() -> None:
    ring = KeyRing(RING)
    assert ring.find("AKFILE") == Credential("AKFILE", "of the file", "1")
    assert ring.find("AKNONE") is None


def test_key_made_at_run_time_signs_until_it_is_disabled() -> None:
    ring = KeyRing(RING)
    assert ring.apply(made())
    assert ring.find("AKMADE") == Credential("AKMADE", "made secret", "2")
    assert ring.apply(made(enabled=False, version=2))
    assert ring.find("AKMADE") is None
    assert ring.apply(made(enabled=False, version=3))


def test_store_never_hides_nor_disables_a_key_of_the_file() -> None:
    ring = KeyRing(RING)
    assert not ring.apply(made("AKFILE"))
    assert not ring.apply(made("AKFILE", enabled=False))
    assert ring.find("AKFILE") == Credential("AKFILE", "of the file", "1")
    assert ring.clashes == {"AKFILE"}


def test_credential_never_shows_its_secret() -> None:
    assert repr(Credential("AK", "top secret", "1")) == "Credential('AK', account_id='1')"
