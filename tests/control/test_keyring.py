"""Which key pairs sign requests."""

import itertools
import json
import logging
from dataclasses import replace

import pytest

from openkls import config
from openkls.config import ConfigError
from openkls.control.keyring import Credential, KeyRing, read_policy
from openkls.domain.policy import NO_RIGHTS, PolicyError
from openkls.domain.ports import AccessKey, AccountSwitch
from support_control import Clock

RING = (config.Account(id="1", key=(config.Key(access_key="AKFILE", secret_key="of the file"),)),)
STATEMENTS = [{"Effect": "Allow", "Action": "kls:GetBlacklist", "Resource": "*"}]
POLICY = json.dumps(STATEMENTS)


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


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_rows_may_come_in_any_order_and_twice(order: tuple[int, ...]) -> None:
    rows = {1: made(), 2: replace(made(version=2), policy=POLICY), 3: made(enabled=False, version=3)}
    ring = KeyRing(RING)
    for version in (*order, *order):
        assert ring.apply(rows[version])
    assert ring.find("AKMADE") is None


def test_key_signs_until_the_second_it_expires() -> None:
    clock = Clock()
    ring = KeyRing(RING, clock)
    ring.apply(replace(made(), expires_at=int(clock.now) + 10))
    clock.now += 9.9
    assert ring.find("AKMADE") is not None
    clock.now += 0.1
    assert ring.find("AKMADE") is None


def test_policies_of_the_file_and_of_the_store_are_read() -> None:
    account = config.Account(id="1", key=(config.Key("AKFILE", "s", policy=tuple(STATEMENTS)),))
    ring = KeyRing((account,))
    ring.apply(replace(made(), policy=POLICY))
    wanted = read_policy(POLICY)
    assert [found.policy for name in ("AKFILE", "AKMADE") if (found := ring.find(name))] == [wanted, wanted]
    ring.apply(made(version=2))
    found = ring.find("AKMADE")
    assert found is not None
    assert found.policy is None


def test_policy_that_cannot_be_read_allows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    ring = KeyRing(RING)
    with caplog.at_level(logging.ERROR):
        ring.apply(replace(made(), policy="[{]"))
    found = ring.find("AKMADE")
    assert found is not None
    assert found.policy is NO_RIGHTS
    assert "policy of key AKMADE" in caplog.text
    with pytest.raises(PolicyError):
        read_policy("[{]")


def test_policy_of_the_file_that_is_none_is_named() -> None:
    account = config.Account(id="1", key=(config.Key("AKFILE", "s", policy=({"Effect": "Maybe"},)),))
    with pytest.raises(ConfigError, match=r"account\.key\.policy of AKFILE: statement 1"):
        KeyRing((account,))


def test_store_never_hides_nor_disables_a_key_of_the_file() -> None:
    ring = KeyRing(RING)
    assert not ring.apply(made("AKFILE"))
    assert ring.find("AKFILE") == Credential("AKFILE", "of the file", "1")
    assert ring.clashes == {"AKFILE"}
    # What does not sign there is no clash: so disabling it is a remedy.
    assert ring.apply(made("AKFILE", enabled=False, version=2))
    assert ring.find("AKFILE") == Credential("AKFILE", "of the file", "1")
    assert ring.clashes == set()


def test_another_file_replaces_its_keys_and_leaves_the_stores() -> None:
    ring = KeyRing(RING)
    ring.apply(made())
    ring.replace((config.Account(id="3", key=(config.Key("AKNEW", "new"),)),))
    assert ring.find("AKFILE") is None
    assert ring.find("AKNEW") == Credential("AKNEW", "new", "3")
    assert ring.find("AKMADE") == Credential("AKMADE", "made secret", "2")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (config.Key("AKMADE", "new"), "AKMADE exists in the store too"),
        (config.Key("AKNEW", "new", policy=({},)), "policy of AKNEW"),
    ],
)
def test_file_that_does_not_fit_replaces_nothing(key: config.Key, text: str) -> None:
    ring = KeyRing(RING)
    ring.apply(made())
    with pytest.raises(ConfigError, match=text):
        ring.replace((config.Account(id="1", key=(key,)),))
    assert ring.find("AKFILE") == Credential("AKFILE", "of the file", "1")
    assert ring.find("AKMADE") == Credential("AKMADE", "made secret", "2")
    assert ring.find("AKNEW") is None


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_newest_switch_of_an_account_counts(order: tuple[int, ...]) -> None:
    ring = KeyRing(RING)
    for version in order:
        ring.apply_switch(AccountSwitch("1", version != 2, version))
        ring.apply_switch(AccountSwitch("2", version == 2, version))
    assert ring.disabled_accounts == {"1"}
    ring.replace(())
    assert ring.disabled_accounts == {"1"}


def test_credential_never_shows_its_secret() -> None:
    assert repr(Credential("AK", "top secret", "1")) == "Credential('AK', account_id='1')"
