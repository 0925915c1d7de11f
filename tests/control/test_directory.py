"""Which space a name leads to: publish doors, play seats, and what the API may ask for."""

import pytest

from openkls import config
from openkls.control.directory import QUERY_FIELDS_LIMIT, Directory
from openkls.domain.blacklist import Blacklist
from openkls.domain.errors import BusinessError
from openkls.domain.registry import Registry
from support_domain import key, session

DEMO = config.Space(
    unique_name="demo",
    apps=("live",),
    publish_domains=("localhost", "127.0.0.1", "push.demo.local", "::1"),
    publish_domain=(config.PublishDomain(name="Push2.Demo.Local."),),
    play_domain=(config.PlayDomain(id="1001", name="Play.Demo.Local"),),
    app=(config.App(name="live", merge_ms=50),),
)
SECOND = config.Space(
    unique_name="second",
    publish_domains=("push.second.local", "localhost"),
    play_domain=(config.PlayDomain(id="1", name="play.second.local"),),
)
SHUT = config.Space(
    unique_name="shut",
    publish_domains=("push.shut.local",),
    play_domain=(
        config.PlayDomain(id="1", name="play.shut.local"),
        config.PlayDomain(id="2", name="play2.shut.local", auth="md5", keys=("x",)),
    ),
)
BARE = config.Space(unique_name="bare", publish_domains=("192.0.2.1", "192.0.2.2"))
ACCOUNTS = (
    config.Account(id="1", space=(DEMO, SECOND)),
    config.Account(id="2", space=(SHUT, BARE, config.Space(unique_name="empty"))),
)


@pytest.fixture
def directory() -> Directory:
    return Directory(ACCOUNTS)


def pubdomain_of(directory: Directory, tc_url: str, app_query: str = "", query: str = "") -> str | None:
    door = directory.publish_door(tc_url, app_query, query)
    return None if door is None else f"{door.space.unique_name} {door.pubdomain}"


# -- publish doors ---------------------------------------------------------------------------------------------------


def test_domain_is_named_by_the_streams_query_then_the_apps_then_tcurls_then_its_host(directory: Directory) -> None:
    tc_url = "rtmp://push.shut.local/live?vhost=push.second.local"
    app_query, query = "vhost=push2.demo.local", "vhost=push.demo.local"
    assert pubdomain_of(directory, tc_url, app_query, query) == "demo push.demo.local"
    assert pubdomain_of(directory, tc_url, app_query) == "demo push2.demo.local"
    assert pubdomain_of(directory, tc_url) == "second push.second.local"
    assert pubdomain_of(directory, "rtmp://push.shut.local/live") == "shut push.shut.local"


def test_domain_is_the_other_name_of_vhost(directory: Directory) -> None:
    assert pubdomain_of(directory, "", "", "domain=push.shut.local") == "shut push.shut.local"
    assert pubdomain_of(directory, "", "", "domain=push.demo.local&vhost=push.shut.local") == "shut push.shut.local"
    assert pubdomain_of(directory, "", "", "domain=push.demo.local&vhost=") == "demo push.demo.local"


def test_parameter_that_only_ends_in_domain_names_none(directory: Directory) -> None:
    host = "rtmp://push.demo.local/live"
    assert pubdomain_of(directory, host, "", "subdomain=push.shut.local") == "demo push.demo.local"


@pytest.mark.parametrize(
    "host",
    [
        "push2.demo.local",
        "PUSH2.Demo.Local",
        "push2.demo.local.",
        "push2.demo.local:1935",
        "Push2.demo.local.:19350",
        "user:secret@push2.demo.local",
    ],
)
def test_case_port_and_final_dot_do_not_matter(directory: Directory, host: str) -> None:
    assert pubdomain_of(directory, f"rtmp://{host}/live") == "demo push2.demo.local"
    if "@" not in host:
        assert pubdomain_of(directory, "rtmp://nobody/live", "", f"vhost={host}") == "demo push2.demo.local"


@pytest.mark.parametrize("host", ["[::1]", "[::1]:1935"])
def test_ipv6_address_is_a_name_like_others(directory: Directory, host: str) -> None:
    assert pubdomain_of(directory, f"rtmp://{host}/live") == "demo push.demo.local"
    assert pubdomain_of(directory, "", "", f"vhost={host}") == "demo push.demo.local"
    assert pubdomain_of(directory, "", "", "vhost=::1") == "demo push.demo.local"


@pytest.mark.parametrize(
    "tc_url",
    ["", "live", "rtmp://", "rtmp:///live", "rtmp://[::1/live", "rtmp://push.demo.local]/live", "rtmp://\u2100/live",
     "\x00", "rtmp://[zz]/live", "://push.demo.local"],
)  # fmt: skip
def test_malformed_tcurl_leads_nowhere_unless_a_query_says_where(directory: Directory, tc_url: str) -> None:
    assert pubdomain_of(directory, tc_url) is None
    assert pubdomain_of(directory, tc_url, "", "vhost=push.demo.local") == "demo push.demo.local"


def test_unknown_domain_leads_nowhere(directory: Directory) -> None:
    assert pubdomain_of(directory, "rtmp://nobody.local/live") is None
    assert pubdomain_of(directory, "rtmp://push.demo.local/live", "", "vhost=nobody.local") is None


def test_query_of_too_many_fields_names_no_domain(directory: Directory) -> None:
    padding = "&".join("a=b" for _ in range(QUERY_FIELDS_LIMIT - 1))
    host = "rtmp://push.shut.local/live"
    assert pubdomain_of(directory, host, "", f"{padding}&vhost=push.demo.local") == "demo push.demo.local"
    assert pubdomain_of(directory, host, "", f"a=b&{padding}&vhost=push.demo.local") == "shut push.shut.local"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_aliases_are_recorded_under_the_spaces_first_real_domain(directory: Directory, host: str) -> None:
    door = directory.publish_door(f"rtmp://{host}/live", "", "")
    assert door is not None
    assert directory.key(door, "live", "s1") == key()


def test_first_space_to_list_localhost_owns_it(directory: Directory) -> None:
    assert pubdomain_of(directory, "rtmp://localhost/live") == "demo push.demo.local"
    swapped = Directory([config.Account(id="1", space=(SECOND, DEMO))])
    assert pubdomain_of(swapped, "rtmp://localhost/live") == "second push.second.local"


def test_space_of_addresses_only_is_recorded_under_the_first(directory: Directory) -> None:
    assert pubdomain_of(directory, "rtmp://192.0.2.2/live") == "bare 192.0.2.1"


# -- play seats ------------------------------------------------------------------------------------------------------


def registry_with(*unique_names: str) -> Registry:
    registry = Registry(Blacklist())
    for unique_name in unique_names:
        registry.claim(session(key(unique_name=unique_name)), 0)
    return registry


def test_seat_by_play_domain_is_that_spaces_stream(directory: Directory) -> None:
    registry = registry_with("demo", "second")
    seat = directory.seat("PLAY.demo.local.:8081", "live", "s1", registry)
    assert seat is not None
    assert (seat.name, seat.domain_id) == (key().name, "1001")
    assert directory.seat("play.demo.local", "live", "other", registry) is None
    assert directory.seat("play.shut.local", "live", "s1", registry) is None
    assert directory.seat("nobody.local", "live", "s1", registry) is None


@pytest.mark.parametrize("host", ["localhost:8081", "127.0.0.1", "[2001:db8::1]:8081", "192.0.2.99"])
def test_seat_by_address_is_the_only_space_that_has_the_stream(directory: Directory, host: str) -> None:
    seat = directory.seat(host, "live", "s1", registry_with("demo"))
    assert seat is not None
    assert (seat.name, seat.domain, seat.domain_id) == (key().name, None, "")
    assert directory.seat(host, "live", "s1", registry_with()) is None


def test_seat_by_address_is_none_where_two_spaces_have_the_stream(directory: Directory) -> None:
    assert directory.seat("127.0.0.1", "live", "s1", registry_with("demo", "second")) is None


def test_seat_by_address_is_only_in_spaces_without_play_authentication(directory: Directory) -> None:
    assert directory.seat("127.0.0.1", "live", "s1", registry_with("shut")) is None
    seat = directory.seat("127.0.0.1", "live", "s1", registry_with("shut", "demo"))
    assert seat is not None
    assert seat.name.unique_name == "demo"
    assert directory.seat("127.0.0.1", "live", "s1", registry_with("bare")) is not None


def test_seat_by_address_can_be_switched_off() -> None:
    directory = Directory(ACCOUNTS, by_address=False)
    assert directory.seat("127.0.0.1", "live", "s1", registry_with("demo")) is None
    assert directory.seat("play.demo.local", "live", "s1", registry_with("demo")) is not None


def test_play_host_is_found_like_a_publish_domain(directory: Directory) -> None:
    assert directory.play_host("rtmp://Play.Demo.Local:1935/live", "", "") == "play.demo.local"
    assert directory.play_host("rtmp://127.0.0.1/live", "", "vhost=play.second.local") == "play.second.local"
    assert directory.play_host("rtmp://[::1]:1935/live", "", "") == "::1"


# -- what the API asks for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account_id", "unique_name", "app", "ret_code"),
    [
        ("9", "demo", "live", 5000),
        ("1", "nobody", "live", 6406),
        ("2", "demo", "live", 6406),
        ("1", "demo", "vod", 1003),
    ],
)
def test_space_is_refused_by_account_owner_and_app(
    directory: Directory, account_id: str, unique_name: str, app: str, ret_code: int
) -> None:
    with pytest.raises(BusinessError) as caught:
        directory.space(account_id, unique_name, app)
    assert caught.value.ret_code == ret_code


def test_space_without_a_list_has_any_app(directory: Directory) -> None:
    assert directory.space("1", "demo", "live") is DEMO
    assert directory.space("1", "second", "whatever") is SECOND
    assert directory.has_account("1")
    assert not directory.has_account("9")


def test_pubdomain_of_nobody_is_4000_and_of_another_space_4201(directory: Directory) -> None:
    for pubdomain, ret_code in (("nobody.local", 4000), ("push.second.local", 4201)):
        with pytest.raises(BusinessError) as caught:
            directory.pubdomain(DEMO, pubdomain)
        assert caught.value.ret_code == ret_code


@pytest.mark.parametrize("pubdomain", ["push.demo.local", "PUSH.demo.local.", "localhost", "127.0.0.1"])
def test_pubdomain_is_answered_by_the_name_streams_are_recorded_under(directory: Directory, pubdomain: str) -> None:
    assert directory.pubdomain(DEMO, pubdomain) == "push.demo.local"


def test_settings_are_the_apps_or_the_defaults(directory: Directory) -> None:
    assert directory.settings(key().name).merge_ms == 50
    assert directory.settings(key(app="vod").name) == config.App(name="vod")
