"""What a started service tells, by the configuration it has."""

from pathlib import Path

import msgspec
import pytest

from openkls import config
from openkls.cli.firstrun import make_first_config
from openkls.cli.welcome import Endpoints, open_doors_warning, welcome

ENDPOINTS_GIVEN = [config.Address("127.0.0.1", port) for port in (8080, 1935, 8081)]
ENDPOINTS = Endpoints(*ENDPOINTS_GIVEN)


@pytest.fixture
def tree(folder: Path) -> config.Config:
    return config.load(make_first_config("./openkls-data"), {})


def text(tree: config.Config, on_terminal: bool = False, endpoints: Endpoints = ENDPOINTS) -> str:
    return "\n".join(welcome(tree, Path("openkls.toml"), endpoints, on_terminal))


def with_space(tree: config.Config, **changes: object) -> config.Config:
    space = msgspec.structs.replace(tree.account[0].space[0], **changes)
    return msgspec.structs.replace(tree, account=(msgspec.structs.replace(tree.account[0], space=(space,)),))


def test_the_secret_is_shown_on_a_terminal_only(tree: config.Config) -> None:
    secret = tree.account[0].key[0].secret_key
    assert secret in text(tree, on_terminal=True)
    assert secret not in text(tree)
    assert "in openkls.toml" in text(tree)


def test_a_push_and_two_play_urls_are_ready(tree: config.Config) -> None:
    told = text(tree)
    assert "-f flv 'rtmp://127.0.0.1:1935/live/test'" in told
    assert "  rtmp://127.0.0.1:1935/live/test" in told
    assert "  http://127.0.0.1:8081/live/test.flv" in told


def test_what_listens_everywhere_is_told_as_an_address_to_connect_to(tree: config.Config) -> None:
    told = text(tree, endpoints=Endpoints(*(config.Address("0.0.0.0", port) for port in (8080, 1935, 8081))))
    assert "0.0.0.0" not in told
    told = text(tree, endpoints=Endpoints(*(config.Address("::", port) for port in (8080, 1935, 8081))))
    assert "rtmp://[::1]:1935/live/test" in told


def test_https_is_told_of_where_it_is_spoken(tree: config.Config) -> None:
    assert "https" not in text(tree)
    secured = Endpoints(*ENDPOINTS_GIVEN, config.Address("0.0.0.0", 8443))
    assert "  https://127.0.0.1:8443" in text(tree, endpoints=secured)


def test_the_console_is_told_of_where_there_is_one(tree: config.Config) -> None:
    assert "  console     http://127.0.0.1:8080/console/" in text(tree)
    without = msgspec.structs.replace(tree, console=config.Console(enabled=False))
    assert "console" not in text(without)


def test_a_domain_that_resolves_nowhere_is_named_in_the_url(tree: config.Config) -> None:
    told = text(with_space(tree, publish_domains=("push.example.com",)))
    assert "rtmp://127.0.0.1:1935/live/test?vhost=push.example.com" in told


def test_protected_doors_are_not_promised(tree: config.Config) -> None:
    door = config.PublishDomain("push.example.com", auth="md5", keys=("s",))
    told = text(with_space(tree, publish_domains=(), publish_domain=(door,)))
    assert "ffmpeg" not in told
    assert "protect-a-publish-domain" in told


def test_no_key_says_how_to_make_one(tree: config.Config) -> None:
    bare = msgspec.structs.replace(tree, account=(msgspec.structs.replace(tree.account[0], key=()),))
    assert "openkls key create" in text(bare)


@pytest.mark.parametrize(
    ("listen", "warned"),
    [
        ("127.0.0.1:1935", False),
        ("localhost:1935", False),
        ("[::1]:1935", False),
        ("0.0.0.0:1935", True),
        (":1935", True),
        ("192.0.2.1:1935", True),
    ],
)
def test_an_open_door_is_warned_of_off_loopback(tree: config.Config, listen: str, warned: bool) -> None:
    moved = msgspec.structs.replace(tree, rtmp=config.Rtmp(listen=listen))
    assert bool(open_doors_warning(moved)) is warned


def test_protected_doors_are_not_warned_of(tree: config.Config) -> None:
    door = config.PublishDomain("push.example.com", auth="md5", keys=("s",))
    moved = msgspec.structs.replace(tree, rtmp=config.Rtmp(listen="0.0.0.0:1935"))
    assert open_doors_warning(with_space(moved, publish_domains=(), publish_domain=(door,))) is None


def test_doors_with_an_allow_list_are_not_warned_of_and_those_with_a_deny_list_are(tree: config.Config) -> None:
    moved = msgspec.structs.replace(tree, rtmp=config.Rtmp(listen="0.0.0.0:1935"))
    allowing = config.PublishDomain("push.example.com", allow=("192.0.2.0/24",))
    denying = config.PublishDomain("push.example.com", deny=("192.0.2.0/24",))
    assert open_doors_warning(with_space(moved, publish_domains=(), publish_domain=(allowing,))) is None
    assert open_doors_warning(with_space(moved, publish_domains=(), publish_domain=(denying,)))
