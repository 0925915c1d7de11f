"""The first start's configuration: right, private, made once."""

import stat
import tomllib
from pathlib import Path

from openkls import config
from openkls.cli.firstrun import make_first_config, new_access_key, new_secret_key


def test_the_first_configuration_is_right_and_has_what_the_design_says(folder: Path) -> None:
    path = make_first_config("./openkls-data")
    tree = config.load(path, {})
    assert path == Path("openkls-data/openkls.toml")
    assert tree.data_dir == Path("./openkls-data")
    (account,) = tree.account
    (space,) = account.space
    assert account.id.isdecimal()
    assert (space.unique_name, space.apps) == ("demo", ("live",))
    assert space.publish_domains == ("push.demo.local", "localhost", "127.0.0.1")
    assert [(domain.id, domain.name) for domain in space.play_domain] == [("1001", "play.demo.local")]
    assert tree.api.listen.startswith("127.0.0.1:")
    assert tree.rtmp.listen.startswith("127.0.0.1:")


def test_nobody_else_can_read_it(folder: Path) -> None:
    path = make_first_config("./openkls-data")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_second_making_changes_nothing(folder: Path) -> None:
    first = make_first_config("./openkls-data").read_bytes()
    assert make_first_config("./openkls-data").read_bytes() == first


def test_two_first_starts_have_different_keys_and_accounts(folder: Path) -> None:
    one, two = (tomllib.loads(make_first_config(name).read_text())["account"][0] for name in ("one", "two"))
    assert one["key"][0]["access_key"] != two["key"][0]["access_key"]
    assert one["key"][0]["secret_key"] != two["key"][0]["secret_key"]


def test_keys_are_of_the_documented_form() -> None:
    access_key, secret_key = new_access_key(), new_secret_key()
    assert access_key.startswith("AK")
    assert len(access_key) == 22
    assert access_key.isalnum()
    assert len(secret_key) == 40
    assert secret_key.isalnum()


def test_any_folder_name_is_written_as_toml(folder: Path) -> None:
    name = 'a "b"\\c\n大'
    assert config.load(make_first_config(name), {}).server.data_dir == name
