"""The configuration: what is read, what lies over it, and what is refused with which words."""

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from rich.pretty import pretty_repr

from openkls import config as module
from openkls.config import (
    Address,
    Config,
    ConfigError,
    is_alias,
    join_address,
    load,
    normal_host,
    parse_address,
    parse_advertised,
    parse_network,
)

NOTHING: Mapping[str, str] = {}
SPACE = """
[[account]]
id = "2000001"
[[account.key]]
access_key = "AKTEST"
secret_key = "a real secret"
[[account.space]]
unique_name = "demo"
"""
DOOR = f"{SPACE}[[account.space.publish_domain]]\nname = 'a.b'\n"


def read(tmp_path: Path, text: str, environment: Mapping[str, str] = NOTHING) -> Config:
    path = tmp_path / "openkls.toml"
    path.write_text(textwrap.dedent(text), "utf-8")
    return load(path, environment)


def fault(tmp_path: Path, text: str, environment: Mapping[str, str] = NOTHING) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, environment)
    return str(caught.value)


def plain(config: Config) -> Any:
    return msgspec.json.decode(msgspec.json.encode(config))


# -- what is read ----------------------------------------------------------------------------------------------------


def test_defaults_are_the_documented_ones() -> None:
    assert plain(load(None, NOTHING)) == {
        "server": {
            "region": "cn-beijing-6",
            "regions": [],
            "timezone": "Asia/Shanghai",
            "data_dir": "./openkls-data",
            "node": "127.0.0.1",
        },
        "api": {
            "listen": "127.0.0.1:8080",
            "tls_listen": "",
            "tls_certificate": "",
            "tls_key": "",
            "trusted_proxies": [],
        },
        "console": {"enabled": True, "hosts": [], "idle_minutes": 30},
        "rtmp": {"listen": "127.0.0.1:1935"},
        "play": {"listen": "127.0.0.1:8081", "merge_ms": 150, "by_address": True, "republish_grace_seconds": 5.0},
        "store": {"url": "sqlite:///openkls.db", "secret_file": "", "retention_days": 90},
        "cluster": {"url": "", "relay_listen": "127.0.0.1:0", "relay_advertise": "", "token": ""},
        "limits": {"enforce": True, "connections_per_address": 1000},
        "metrics": {"token": "", "listen": "", "per_stream": 0},
        "log": {"format": "console", "levels": {}, "access": True},
        "account": [],
    }


EVERYTHING = """
[server]
region = "cn-shanghai-3"
regions = ["cn-beijing-6"]
timezone = "UTC"
data_dir = "/var/lib/openkls"
node = "192.0.2.1"
[api]
listen = "0.0.0.0:80"
[rtmp]
listen = "[::]:1936"
[play]
listen = ":8000"
merge_ms = 0
by_address = false
[console]
enabled = false
hosts = ["kls.example.com"]
idle_minutes = 1440
[store]
url = "sqlite:///other.db"
secret_file = "/etc/openkls.secret"
retention_days = 61
[cluster]
relay_listen = "127.0.0.1:9000"
relay_advertise = "192.0.2.1:9000"
token = "token of the cluster"
[limits]
enforce = false
connections_per_address = 1
[metrics]
token = "secret-of-the-metrics"
listen = "127.0.0.1:9180"
per_stream = 20
[log]
format = "json"
levels = { openkls = "warning", "openkls.store" = "debug" }
access = false
[[account]]
id = "2000001"
[[account.key]]
access_key = "AKTEST"
secret_key = "secret of the key"
[[account.space]]
unique_name = "demo"
apps = ["live", "vod"]
publish_domains = ["push.demo.local", "localhost"]
durations = false
callback_url = "https://hooks.example/told?token=secret-of-the-url"
callback_keys = ["secret of the callback", "the next secret of it"]
callback_private = true
[[account.space.publish_domain]]
name = "push2.demo.local"
auth = "md5"
keys = ["secret of the push"]
[[account.space.publish_domain]]
name = "push3.demo.local"
auth = "hmac"
keys = ["AK1:secret of the hmac", "AK1:the next one"]
allow = ["192.0.2.0/24", "2001:db8::/32"]
deny = ["192.0.2.7"]
[[account.space.publish_domain]]
name = "push4.demo.local"
auth = "external"
keys = ["secret of the question"]
external_url = "https://hooks.example/ask?token=secret-of-the-url"
external_private = true
[[account.space.play_domain]]
id = "1001"
name = "play.demo.local"
auth = "md5"
keys = ["secret of the play"]
[[account.space.app]]
name = "live"
merge_ms = 350
republish_grace_seconds = 0
rendition_suffixes = ["_500", "_1500"]
"""


def test_every_key_is_read(tmp_path: Path) -> None:
    config = read(tmp_path, EVERYTHING)
    assert plain(config) == {
        "server": {
            "region": "cn-shanghai-3",
            "regions": ["cn-beijing-6"],
            "timezone": "UTC",
            "data_dir": "/var/lib/openkls",
            "node": "192.0.2.1",
        },
        "api": {"listen": "0.0.0.0:80", "tls_listen": "", "tls_certificate": "", "tls_key": "", "trusted_proxies": []},
        "console": {"enabled": False, "hosts": ["kls.example.com"], "idle_minutes": 1440},
        "rtmp": {"listen": "[::]:1936"},
        "play": {"listen": ":8000", "merge_ms": 0, "by_address": False, "republish_grace_seconds": 5.0},
        "store": {"url": "sqlite:///other.db", "secret_file": "/etc/openkls.secret", "retention_days": 61},
        "cluster": {
            "url": "",
            "relay_listen": "127.0.0.1:9000",
            "relay_advertise": "192.0.2.1:9000",
            "token": "token of the cluster",
        },
        "limits": {"enforce": False, "connections_per_address": 1},
        "metrics": {"token": "secret-of-the-metrics", "listen": "127.0.0.1:9180", "per_stream": 20},
        "log": {"format": "json", "levels": {"openkls": "warning", "openkls.store": "debug"}, "access": False},
        "account": [
            {
                "id": "2000001",
                "key": [{"access_key": "AKTEST", "secret_key": "secret of the key", "policy": None}],
                "space": [
                    {
                        "unique_name": "demo",
                        "apps": ["live", "vod"],
                        "publish_domains": ["push.demo.local", "localhost"],
                        "durations": False,
                        "callback_url": "https://hooks.example/told?token=secret-of-the-url",
                        "callback_keys": ["secret of the callback", "the next secret of it"],
                        "callback_private": True,
                        "publish_domain": [
                            {
                                "name": "push2.demo.local",
                                "auth": "md5",
                                "keys": ["secret of the push"],
                                "external_url": "",
                                "external_private": False,
                                "allow": [],
                                "deny": [],
                            },
                            {
                                "name": "push3.demo.local",
                                "auth": "hmac",
                                "keys": ["AK1:secret of the hmac", "AK1:the next one"],
                                "external_url": "",
                                "external_private": False,
                                "allow": ["192.0.2.0/24", "2001:db8::/32"],
                                "deny": ["192.0.2.7"],
                            },
                            {
                                "name": "push4.demo.local",
                                "auth": "external",
                                "keys": ["secret of the question"],
                                "external_url": "https://hooks.example/ask?token=secret-of-the-url",
                                "external_private": True,
                                "allow": [],
                                "deny": [],
                            },
                        ],
                        "play_domain": [
                            {"id": "1001", "name": "play.demo.local", "auth": "md5", "keys": ["secret of the play"]}
                        ],
                        "app": [
                            {
                                "name": "live",
                                "merge_ms": 350,
                                "republish_grace_seconds": 0,
                                "rendition_suffixes": ["_500", "_1500"],
                            }
                        ],
                    }
                ],
            }
        ],
    }
    assert config.data_dir == Path("/var/lib/openkls")


def test_space_answers_for_its_doors_apps_and_settings(tmp_path: Path) -> None:
    space = read(tmp_path, EVERYTHING).account[0].space[0]
    assert [(door.name, door.auth) for door in space.doors] == [
        ("push.demo.local", "none"),
        ("localhost", "none"),
        ("push2.demo.local", "md5"),
        ("push3.demo.local", "hmac"),
        ("push4.demo.local", "external"),
    ]
    assert [space.has_app(name) for name in ("live", "vod", "other")] == [True, True, False]
    assert space.settings_of("live").merge_ms == 350
    assert space.settings_of("vod") == module.App(name="vod")
    assert module.Space(unique_name="any").has_app("whatever")


@pytest.mark.parametrize("show", [repr, str, pretty_repr, lambda value: f"{value!r}"])
def test_secrets_are_shown_nowhere(tmp_path: Path, show: Any) -> None:
    config = read(tmp_path, EVERYTHING.replace("sqlite:///other.db", "postgresql://kls:secret-of-the-store@db/kls"))
    shown = show(config)
    for secret in (
        "secret of",
        "the next one",
        "token of",
        "secret-of-the-store",
        "secret-of-the-url",
        "secret-of-the-m",
    ):
        assert secret not in shown
    for name in ("AKTEST", "push2.demo.local", "play.demo.local", "md5"):
        assert name in shown


def test_tree_never_changes() -> None:
    with pytest.raises(AttributeError):
        load(None, NOTHING).server.region = "other"  # type: ignore[misc]


# -- the environment -------------------------------------------------------------------------------------------------


def test_environment_replaces_any_key_of_a_section(tmp_path: Path) -> None:
    sections = {field.name: field.type for field in msgspec.structs.fields(Config) if field.name != "account"}
    samples: dict[Any, tuple[str, Any]] = {
        bool: ("false", False),
        int: ("77", 77),
        float: ("7.5", 7.5),
        tuple[str, ...]: ('["a", "b"]', ("a", "b")),
    }
    samples |= {
        Literal["console", "json"]: ("json", "json"),
        dict[str, Literal["debug", "info", "warning", "error"]]: (
            '{ "openkls.store" = "debug" }',
            {"openkls.store": "debug"},
        ),
    }
    refused_when_set = {"api.tls_listen", "api.trusted_proxies", "cluster.url"}
    texts = {"server.timezone": "UTC", "api.listen": "0.0.0.0:1", "rtmp.listen": "h:2", "play.listen": "[::1]:3"}
    texts |= {"metrics.token": "0123456789abcdef", "metrics.listen": "127.0.0.1:4"}
    count = 0
    for section, struct in sections.items():
        for field in msgspec.structs.fields(struct):
            name = f"{section}.{field.name}"
            if name in refused_when_set:
                continue
            text, value = samples.get(field.type) or (texts.get(name, "text"),) * 2
            config = load(None, {f"OPENKLS_{section.upper()}__{field.name.upper()}": text})
            assert getattr(getattr(config, section), field.name) == value, name
            count += 1
    assert count == 30


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("[metrics]\ntoken = '0123456789hush5'", "metrics.token: at least 16"),
        ("[metrics]\ntoken = '0123456789 hush6'", "metrics.token: at least 16"),
        ("[metrics]\nlisten = 'nowhere'", "metrics.listen: got 'nowhere'"),
        ("[metrics]\nper_stream = -1", "metrics.per_stream: 0 (none) to 500"),
        ("[metrics]\nper_stream = 501", "metrics.per_stream: 0 (none) to 500"),
        ("[log]\nformat = 'xml'", "log.format"),
        ("[log]\nlevels = { openkls = 'loud' }", "log.levels"),
        ("[log]\nlevels = { 'not a package' = 'debug' }", "log.levels: 'not a package' is no package"),
        ("[log]\naccess = 'yes'", "log.access"),
    ],
)
def test_metrics_and_log_that_make_no_sense_are_refused(tmp_path: Path, lines: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(fault)) as caught:
        read(tmp_path, lines)
    assert "hush" not in str(caught.value)


def test_limits_of_metrics_are_in_reach(tmp_path: Path) -> None:
    metrics = read(tmp_path, f"[metrics]\ntoken = '{TOKEN}'\nper_stream = 500").metrics
    assert (metrics.token, metrics.per_stream) == (TOKEN, 500)


TOKEN = "0123456789abcdef"
CLUSTER = "[store]\nurl = 'postgresql://db/openkls'\n[cluster]\nurl = 'redis://r'\n"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("", "cluster.token: at least 16 characters"),
        ("token = '0123456789abcde'", "cluster.token: at least 16 characters"),
        ("token = '0123456789 abcdef'", "cluster.token: printable ASCII"),
        (f"token = '{TOKEN}'\nrelay_listen = 'nowhere'", "cluster.relay_listen"),
        (f"token = '{TOKEN}'\nrelay_listen = '0.0.0.0:7001'", "cluster.relay_advertise: relay_listen listens on all"),
        (f"token = '{TOKEN}'\nrelay_listen = '[::]:7001'", "cluster.relay_advertise: relay_listen listens on all"),
        (f"token = '{TOKEN}'\nrelay_advertise = 'node:port'", "cluster.relay_advertise: got 'node:port'"),
        (f"token = '{TOKEN}'\nrelay_advertise = 'node:0'", "cluster.relay_advertise: got 'node:0'"),
    ],
)
def test_cluster_without_a_safe_relay_port_is_refused(tmp_path: Path, lines: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(fault)):
        read(tmp_path, CLUSTER + lines)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.5", "10.0.0.5:7001"),
        ("10.0.0.5:80", "10.0.0.5:80"),
        ("node-5", "node-5:7001"),
        ("[2001:db8::5]", "[2001:db8::5]:7001"),
        ("[2001:db8::5]:80", "[2001:db8::5]:80"),
    ],
)
def test_what_is_advertised_leaves_out_what_is_as_bound(tmp_path: Path, text: str, address: str) -> None:
    read(tmp_path, CLUSTER + f"token = '{TOKEN}'\nrelay_listen = '0.0.0.0:7001'\nrelay_advertise = '{text}'")
    assert join_address(parse_advertised(text, Address("0.0.0.0", 7001))) == address


@pytest.mark.parametrize("store", ["postgresql://db/openkls", "sqlite:////srv/openkls.db"])
@pytest.mark.parametrize("url", ["redis://localhost", "rediss://user:pass@r:6380/2", "unix:///run/redis.sock"])
def test_cluster_stands_on_a_store_that_its_nodes_share(tmp_path: Path, store: str, url: str) -> None:
    config = read(tmp_path, f"[store]\nurl = '{store}'\n[cluster]\nurl = '{url}'\ntoken = '{TOKEN}'\n")
    assert config.cluster.url == url


def test_fault_in_the_address_of_the_cluster_does_not_show_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as fault:
        read(tmp_path, "[cluster]\nurl = 'rediss:/user:hush@r'\n")
    assert "hush" not in str(fault.value)


def test_environment_lies_over_the_file(tmp_path: Path) -> None:
    config = read(tmp_path, '[rtmp]\nlisten = "1.1.1.1:1"\n', {"OPENKLS_RTMP__LISTEN": "2.2.2.2:2"})
    assert config.rtmp.listen == "2.2.2.2:2"


@pytest.mark.parametrize(
    "variable", ["OPENKLS_ENDPOINT", "OPENKLS_SECRET_KEY", "PATH", "RTMP__LISTEN", "X_OPENKLS_A__B"]
)
def test_environment_of_others_is_left_alone(variable: str) -> None:
    assert load(None, {variable: "whatever"}) == Config()


@pytest.mark.parametrize(
    "variable", ["OPENKLS_RTMP__PORT", "OPENKLS_NOBODY__LISTEN", "OPENKLS_ACCOUNT__ID", "OPENKLS___"]
)
def test_environment_variable_without_a_key_is_refused_by_name(variable: str) -> None:
    with pytest.raises(ConfigError, match=f"environment variable {variable}: there is no key"):
        load(None, {variable: "x"})


@pytest.mark.parametrize("text", ["", "yes", "[", '"', "1 2"])
def test_environment_value_that_is_not_toml_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"environment variable OPENKLS_PLAY__MERGE_MS: .* is no TOML value"):
        load(None, {"OPENKLS_PLAY__MERGE_MS": text})


@pytest.mark.parametrize("text", ['"150"', "1.5", "true", "[1]"])
def test_environment_value_of_the_wrong_type_is_refused_by_key(text: str) -> None:
    with pytest.raises(ConfigError, match=r"play.merge_ms: Expected `int`"):
        load(None, {"OPENKLS_PLAY__MERGE_MS": text})


@pytest.mark.parametrize("text", ["rtmp = 5", 'rtmp = "x"', "[[rtmp]]"])
def test_section_that_is_no_table_is_refused_also_under_an_override(tmp_path: Path, text: str) -> None:
    assert "rtmp: Expected `object`" in fault(tmp_path, text)
    assert "rtmp: " in fault(tmp_path, text, {"OPENKLS_RTMP__LISTEN": "127.0.0.1:1"})


# -- what is refused -------------------------------------------------------------------------------------------------


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.toml: cannot be read: No such file"):
        load(tmp_path / "nowhere.toml", NOTHING)


def test_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    assert "openkls.toml: is not TOML:" in fault(tmp_path, "[server")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary.toml: is not TOML"):
        load(tmp_path / "binary.toml", NOTHING)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("colour = 1", "unknown field `colour`"),
        ("[server]\ncolour = 1", "server: Object contains unknown field `colour`"),
        ("[[account]]\nid = 'x'\ncolour = 1", "account[0]: Object contains unknown field `colour`"),
        (f"{SPACE}colour = 1", "account[0].space[0]: Object contains unknown field `colour`"),
        ("[[account]]", "account[0]: Object missing required field `id`"),
        ("[server]\nregion = 6", "server.region: Expected `str`, got `int`"),
        ("[server]\nregions = 'x'", "server.regions: Expected `array`, got `str`"),
        ("[limits]\nenforce = 1", "limits.enforce: Expected `bool`, got `int`"),
        ("[store]\nretention_days = 90.5", "store.retention_days: Expected `int`, got `float`"),
        (
            f"{SPACE}[[account.space.publish_domain]]\nname = 'a.b'\nauth = 'basic'",
            "account[0].space[0].publish_domain[0].auth: Invalid enum value 'basic'",
        ),
        (
            f"{SPACE}[[account.space.play_domain]]\nid = '1'\nname = 'a.b'\nauth = 'hmac'",
            "account[0].space[0].play_domain[0].auth: Invalid enum value 'hmac'",
        ),
        ("[api]\nlisten = '8080'", "api.listen: got '8080', expected \"host:port\""),
        ("[rtmp]\nlisten = '127.0.0.1:65536'", "rtmp.listen: got '127.0.0.1:65536'"),
        ("[play]\nlisten = '127.0.0.1:'", "play.listen: got '127.0.0.1:'"),
        ("[play]\nlisten = '127.0.0.1:-1'", "play.listen: got '127.0.0.1:-1'"),
        ("[server]\ntimezone = 'Mars/Olympus'", "server.timezone: 'Mars/Olympus' is no time zone"),
        ("[server]\ntimezone = ''", "server.timezone: '' is no time zone"),
        ("[server]\ntimezone = '../etc/passwd'", "server.timezone: '../etc/passwd' is no time zone"),
        ("[server]\ntimezone = 'Asia'", "server.timezone: 'Asia' is no time zone"),
        ("[store]\nretention_days = 60", "store.retention_days: must be at least 61"),
        ("[limits]\nconnections_per_address = 0", "limits.connections_per_address: must be at least 1"),
        ("[play]\nmerge_ms = -1", "play.merge_ms: 0 to 2000 milliseconds"),
        ("[play]\nmerge_ms = 2001", "play.merge_ms: 0 to 2000 milliseconds"),
        ("[play]\nrepublish_grace_seconds = -0.1", "play.republish_grace_seconds: 0 to 60 seconds"),
        ("[play]\nrepublish_grace_seconds = 60.1", "play.republish_grace_seconds: 0 to 60 seconds"),
        ("[play]\nrepublish_grace_seconds = nan", "play.republish_grace_seconds: 0 to 60 seconds"),
        (
            f"{SPACE}[[account.space.app]]\nname = 'live'\nrepublish_grace_seconds = 61",
            "space demo: app live: republish_grace_seconds: 0 to 60 seconds",
        ),
        ("[[account]]\nid = ''", "account.id: must not be empty"),
        ("[[account]]\nid = '1'\n[[account]]\nid = '1'", "account.id: '1' is there twice"),
        (f"{SPACE}[[account.key]]\naccess_key = 'AKTEST'\nsecret_key = 'x'", "account.key.access_key: 'AKTEST' is"),
        (f"{SPACE}[[account.space]]\nunique_name = 'demo'", "account.space.unique_name: 'demo' is there twice"),
        (
            f"{SPACE}publish_domains = ['a.b']\n[[account.space]]\nunique_name = 'x'\npublish_domains = ['A.B.']",
            "publish domain: 'a.b' is there twice",
        ),
        (
            f"{SPACE}publish_domains = ['localhost', 'LOCALHOST']",
            "space demo: publish domain: 'localhost' is there twice",
        ),
        (
            f"{SPACE}publish_domains = ['a.b']\n[[account.space.publish_domain]]\nname = 'a.b'",
            "publish domain: 'a.b' is there twice",
        ),
        (
            f"{SPACE}[[account.space.play_domain]]\nid = '1'\nname = 'a.b'\n"
            "[[account.space.play_domain]]\nid = '1'\nname = 'c.d'",
            "space demo: play_domain.id: '1' is there twice",
        ),
        (
            f"{SPACE}[[account.space.play_domain]]\nid = '1'\nname = 'a.b'\n"
            "[[account.space]]\nunique_name = 'x'\n[[account.space.play_domain]]\nid = '1'\nname = 'a.b'",
            "play_domain.name: 'a.b' is there twice",
        ),
        (
            f"{SPACE}[[account.space.app]]\nname = 'live'\n[[account.space.app]]\nname = 'live'",
            "space demo: app.name: 'live' is there twice",
        ),
        (f"{SPACE}[[account.space.app]]\nname = 'live'\nmerge_ms = 2001", "space demo: app live: merge_ms: 0 to 2000"),
        (f"{SPACE}apps = ['vod']\n[[account.space.app]]\nname = 'live'", "space demo: app live is not in apps"),
        (f"{SPACE}publish_domains = ['a b']", "space demo: 'a b' is no host name"),
        (f"{SPACE}publish_domains = ['']", "space demo: '' is no host name"),
        (f"{SPACE}publish_domains = ['-a.b']", "space demo: '-a.b' is no host name"),
        (f"{SPACE}publish_domains = ['{'a' * 64}']", "is no host name"),
        (f"{SPACE}publish_domains = ['{'a.' * 126}ab']", "is no host name"),
        (
            f"{SPACE}[[account.space.publish_domain]]\nname = 'a.b'\nauth = 'md5'",
            "space demo: a.b: auth md5 needs keys",
        ),
        (
            f"{SPACE}[[account.space.publish_domain]]\nname = 'a.b'\nauth = 'hmac'",
            "space demo: a.b: auth hmac needs keys",
        ),
        (
            f"{SPACE}[[account.space.play_domain]]\nid = '1'\nname = 'a.b'\nauth = 'md5'",
            "space demo: a.b: auth md5 needs keys",
        ),
        (
            f"{SPACE}[[account.space.publish_domain]]\nname = 'a.b'\nkeys = ['forgotten auth']",
            'space demo: a.b: has keys but auth "none"',
        ),
        (
            f"{SPACE}[[account.space.publish_domain]]\nname = 'a.b'\nauth = 'hmac'\nkeys = ['no colon']",
            'space demo: a.b: keys of auth hmac are "accesskey:secret"',
        ),
        ("[api]\ntls_listen = '443'", "api.tls_listen: got '443'"),
        ("[api]\ntls_listen = ':443'\ntls_key = 'k.pem'", "api.tls_certificate: api.tls_listen needs it"),
        ("[api]\ntls_listen = ':443'\ntls_certificate = 'c.pem'", "api.tls_key: api.tls_listen needs it"),
        ("[api]\ntrusted_proxies = ['10.0.0.0/8', '10.0.0.1/8']", "api.trusted_proxies: '10.0.0.1/8': "),
        ("[api]\ntrusted_proxies = ['proxy.local']", "api.trusted_proxies: 'proxy.local': "),
        ("[console]\nhosts = ['kls.local:8080']", "console.hosts: 'kls.local:8080' is no host name"),
        ("[console]\nhosts = ['*.local']", "console.hosts: '*.local' is no host name"),
        ("[console]\nhosts = ['']", "console.hosts: '' is no host name"),
        ("[console]\nidle_minutes = 0", "console.idle_minutes: 1 to 1440 expected"),
        ("[console]\nidle_minutes = 1441", "console.idle_minutes: 1 to 1440 expected"),
        ("[cluster]\nurl = 'localhost:6379'", "cluster.url: redis://host:6379/0 (or rediss:// or unix://) expected"),
        ("[cluster]\nurl = 'redis://localhost'", "cluster.url: all nodes share one store, and store.url names a file"),
        (
            SPACE.replace("[[account.space]]", "policy = {}\n[[account.space]]"),
            "key[0].policy: Expected `array | null`",
        ),
        (f"{SPACE}callback_url = 'http://x'", "space demo: callback_url needs callback_keys"),
        (f"{SPACE}callback_url = 'http://x'\ncallback_keys = ['...']", "space demo: callback_keys holds a placeholder"),
        (f"{SPACE}callback_url = 'http://x'\ncallback_keys = ['']", "space demo: callback_keys holds a placeholder"),
        (f"{SPACE}callback_keys = ['k']", "space demo: has callback_keys or callback_private but no callback_url"),
        (f"{SPACE}callback_private = true", "space demo: has callback_keys or callback_private but no callback_url"),
        (f"{SPACE}callback_url = 'ftp://x'\ncallback_keys = ['k']", "space demo: callback_url: http://host/path or"),
        (f"{SPACE}callback_url = 'http://u:p@x/'\ncallback_keys = ['k']", "without user, password and #"),
        (f"{SPACE}callback_url = 'http://x/#a'\ncallback_keys = ['k']", "without user, password and #"),
        (f"{SPACE}callback_url = 'http:///told'\ncallback_keys = ['k']", "without user, password and #"),
        (f"{DOOR}auth = 'external'", "space demo: a.b: auth external needs external_url"),
        (f"{DOOR}external_url = 'http://x'", 'space demo: a.b: has external_url or external_private but auth "none"'),
        (f"{DOOR}external_private = true", 'space demo: a.b: has external_url or external_private but auth "none"'),
        (f"{DOOR}auth = 'md5'\nkeys = ['k']\nexternal_url = 'http://x'", 'but auth "md5"; set auth'),
        (f"{DOOR}auth = 'external'\nexternal_url = 'http://x'\nkeys = ['...']", "a.b: keys holds a placeholder"),
        *(
            (f"{DOOR}auth = 'external'\nexternal_url = '{url}'", "space demo: a.b: external_url: http://host/path or")
            for url in (
                *("x", "/path", "ftp://h/", "http:///path", "http://", "http://h:x/", "http://h:0/", "http://h:65536/"),
                *("http://u:p@h/", "http://h/#x", "http://h/a b", "http://h/\u6d41", "http://[::1/", "unix:///socket"),
            )
        ),
        *(
            (f"{DOOR}{key} = ['10.0.0.0/8', '{text}']", f"space demo: a.b: {key}: '{text}': ")
            for key in ("allow", "deny")
            for text in ("", "10.0.0.1/8", "10.0.0.0/33", "host.local", "10.0.0", "::1/129", "fe80::1/10", "10.0.0.0-9")
        ),
    ],
)
def test_fault_names_its_key_and_says_what_was_expected(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in fault(tmp_path, text)


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a/b", "名"])
def test_unique_name_is_the_contracts(tmp_path: Path, name: str) -> None:
    assert "unique_name must be 1 to 64" in fault(tmp_path, SPACE.replace('"demo"', f'"{name}"'))


def test_limits_themselves_are_let_in(tmp_path: Path) -> None:
    longest = "x" * 64
    config = read(
        tmp_path,
        SPACE.replace('"demo"', f'"{longest}"')
        + f"publish_domains = ['{'a' * 63}.{'b' * 63}', '{'a.' * 126}a']\n"
        + "[[account.space.app]]\nname = 'x'\nmerge_ms = 2000\nrepublish_grace_seconds = 60",
    )
    assert config.account[0].space[0].unique_name == longest


def test_address_lists_and_urls_that_are_right_are_let_in(tmp_path: Path) -> None:
    lists = "allow = ['10.0.0.0/8', '192.0.2.7', '::/0', '::ffff:10.0.0.0/104']\ndeny = ['2001:db8::/32', 'fe80::1']"
    read(tmp_path, f"{DOOR}{lists}")
    for url in ("http://h", "HTTPS://hooks.example:8443/a/b?c=%20&d=1", "http://127.0.0.1:1/", "http://[::1]:65535/x"):
        read(tmp_path, f"{DOOR}auth = 'external'\nexternal_url = '{url}'")


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.1", "10.0.0.1/32"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:0:0/95", None),
        ("::/0", "::/0"),
        ("2001:db8::1", "2001:db8::1/128"),
    ],
)
def test_network_of_ipv4_is_one_however_it_is_written(text: str, network: str | None) -> None:
    if network is None:
        with pytest.raises(ValueError, match="host bits"):
            parse_network(text)
    else:
        assert str(parse_network(text)) == network


# -- security class 14 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["", "..."])
def test_security_14_placeholder_secrets_are_refused(tmp_path: Path, secret: str) -> None:
    text = fault(tmp_path, SPACE.replace("a real secret", secret))
    assert "account.key.secret_key of AKTEST: is a placeholder" in text


def test_security_14_the_examples_key_is_refused(tmp_path: Path) -> None:
    assert "account.key.access_key: AKEXAMPLE" in fault(tmp_path, SPACE.replace("AKTEST", "AKEXAMPLE"))


@pytest.mark.parametrize("access_key", ["", "a b", "a/b", "x" * 129, "é"])
def test_access_key_must_fit_a_credential(tmp_path: Path, access_key: str) -> None:
    assert "account.key.access_key: 1 to 128" in fault(tmp_path, SPACE.replace("AKTEST", access_key))


@pytest.mark.parametrize(("auth", "keys"), [("md5", "''"), ("md5", "'real', '...'"), ("hmac", "'AK1:...'")])
def test_security_14_placeholder_keys_of_a_publish_domain_are_refused(tmp_path: Path, auth: str, keys: str) -> None:
    text = f"{SPACE}[[account.space.publish_domain]]\nname = 'a.b'\nauth = '{auth}'\nkeys = [{keys}]"
    assert "space demo: a.b: keys holds a placeholder" in fault(tmp_path, text)


def test_security_14_placeholder_keys_of_a_play_domain_are_refused(tmp_path: Path) -> None:
    text = f"{SPACE}[[account.space.play_domain]]\nid = '1'\nname = 'a.b'\nauth = 'md5'\nkeys = ['...']"
    assert "space demo: a.b: keys holds a placeholder" in fault(tmp_path, text)


@pytest.mark.parametrize("secret", ["....", " ", "secret", "AKEXAMPLE"])
def test_security_14_no_other_secret_is_refused(tmp_path: Path, secret: str) -> None:
    assert read(tmp_path, SPACE.replace("a real secret", secret)).account[0].key[0].secret_key == secret


# -- hosts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (" Push.Demo.Local ", "push.demo.local"),
        ("push.demo.local.:1935", "push.demo.local"),
        ("push.demo.local.", "push.demo.local"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[2001:DB8::1]:80", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("", ""),
    ],
)
def test_hosts_are_compared_without_case_port_final_dot_and_brackets(text: str, host: str) -> None:
    assert normal_host(text) == host


def test_aliases_are_localhost_and_addresses() -> None:
    assert all(is_alias(host) for host in ("localhost", "127.0.0.1", "192.0.2.1", "::1", "2001:db8::1"))
    assert not any(is_alias(host) for host in ("", "push.demo.local", "localhost.local", "1.2.3", "1.2.3.4.5"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("[::1]:0", Address("::1", 0)),
        ("host:65535", Address("host", 65535)),
        (":80", Address("", 80)),
    ],
)
def test_address_is_host_and_port(text: str, address: Address) -> None:
    assert parse_address(text, "x") == address


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "host:65536", "host:-1", "host: 80"])
def test_address_that_is_none_is_refused_with_its_key(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^the\.key: got "):
        parse_address(text, "the.key")
