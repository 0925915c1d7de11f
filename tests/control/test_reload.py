"""A changed configuration in a running process: all of it or nothing, and what needs a restart is named."""

from typing import Any

import msgspec
import pytest

from openkls import config
from openkls.config import Config, ConfigError
from openkls.control.directory import Directory
from openkls.control.keyring import KeyRing
from openkls.control.reload import TAKEN_UP, Reload, restart_keys
from openkls.domain.keys import StreamName
from openkls.domain.ports import AccessKey
from support_control import House, Still, ask

SPACE = config.Space("demo", apps=("live",), publish_domains=("push.demo.local",))
BEFORE = Config(account=(config.Account("1", key=(config.Key("AK1", "one"),), space=(SPACE,)),))


class Running:
    """What a process has of its configuration."""

    def __init__(self) -> None:
        self.directory = Directory(BEFORE.account)
        self.key_ring = KeyRing(BEFORE.account)
        self.limits = BEFORE.limits
        self.reload = Reload(BEFORE, self.directory, self.key_ring, self._set_limits)

    def _set_limits(self, limits: config.Limits) -> None:
        self.limits = limits

    def door(self, host: str) -> bool:
        return self.directory.publish_door(f"rtmp://{host}/live", "", "") is not None


def test_accounts_keys_spaces_doors_and_limits_are_taken_up() -> None:
    running = Running()
    space = config.Space("other", publish_domains=("push.other.local",))
    account = config.Account("2", key=(config.Key("AK2", "two"),), space=(space,))
    after = Config(account=(account,), limits=config.Limits(enforce=False, connections_per_address=7))
    assert running.reload.apply(after) == []
    assert running.key_ring.find("AK1") is None
    assert running.key_ring.find("AK2") is not None
    assert not running.directory.has_account("1")
    assert running.directory.has_account("2")
    assert (running.door("push.demo.local"), running.door("push.other.local")) == (False, True)
    assert running.limits == after.limits


def test_what_does_not_fit_changes_nothing() -> None:
    running = Running()
    running.key_ring.apply(AccessKey("AK2", "made", "1", True, 1000, 1))
    account = config.Account("2", key=(config.Key("AK2", "two"),), space=())
    after = Config(account=(account,), limits=config.Limits(connections_per_address=7))
    with pytest.raises(ConfigError, match="AK2 exists in the store too"):
        running.reload.apply(after)
    assert running.key_ring.find("AK1") is not None
    assert running.directory.has_account("1")
    assert not running.directory.has_account("2")
    assert running.limits == BEFORE.limits


def every_key() -> list[tuple[str, str]]:
    sections = (field for field in msgspec.structs.fields(Config) if field.name != "account")
    return [(each.name, field.name) for each in sections for field in msgspec.structs.fields(each.type)]


@pytest.mark.parametrize(("section", "key"), every_key())
def test_every_key_is_taken_up_or_named(section: str, key: str) -> None:
    default = getattr(getattr(BEFORE, section), key)
    other: Any = (
        not default
        if isinstance(default, bool)
        else default + 1
        if isinstance(default, int | float)
        else ("x",)
        if isinstance(default, tuple)
        else {"openkls": "debug"}
        if isinstance(default, dict)
        else default + "x"
    )
    changed = msgspec.structs.replace(getattr(BEFORE, section), **{key: other})
    after = msgspec.structs.replace(BEFORE, **{section: changed})
    taken_up = section in TAKEN_UP or f"{section}.{key}" in TAKEN_UP
    assert restart_keys(BEFORE, after) == ([] if taken_up else [f"{section}.{key}"])


def test_key_goes_on_being_named_until_the_restart() -> None:
    running = Running()
    after = msgspec.structs.replace(BEFORE, api=config.Api(listen="127.0.0.1:9000"))
    assert running.reload.apply(after) == ["api.listen"]
    assert running.reload.apply(after) == ["api.listen"]
    assert running.reload.apply(BEFORE) == []


def test_live_session_outlives_its_space(still: Still) -> None:
    house: House = still.house
    session = still.loop.run(house.admission.admit(ask(), _Publisher()))
    house.directory.replace(())
    assert house.directory.settings(session.key.name) == config.App(name="live")  # type: ignore[union-attr]
    assert house.registry.holder(session.key.name) is session  # type: ignore[union-attr]
    assert house.directory.settings(StreamName("gone", "vod", "s")) == config.App(name="vod")


class _Publisher:
    def kick(self, code: object) -> None:
        raise AssertionError("a changed configuration cuts nobody")

    def catch_up(self) -> None:
        """Nothing waits to be read."""

    def silent_seconds(self) -> float:
        return 0.0
