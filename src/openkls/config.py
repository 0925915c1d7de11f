"""The configuration: one frozen tree from a TOML file and the environment.

Rule: a file that is not understood whole is refused whole, with the key at fault and what to do. Sections, keys and
defaults are fixed (scripts rely on them); docs/reference/configuration.md lists them and a test keeps it true.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

ENVIRONMENT_PREFIX = "OPENKLS_"
# What examples and tutorials carry; a service must never come up with one of them (security class 14).
PLACEHOLDER_SECRETS = frozenset({"", "..."})
PLACEHOLDER_ACCESS_KEY = "AKEXAMPLE"
# ListStreamDurations looks 60 days back (contract, 6); history must not end before that.
RETENTION_MIN_DAYS = 61
# How long viewers may be kept on a stream that is gone; beyond this nobody watches a still picture.
GRACE_MAX_SECONDS = 60
# An IPv4 address within ::ffff:0:0/96 (RFC 4291, 2.5.5.2).
MAPPED_BITS = 96
HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConfigError(Exception):
    """The configuration cannot be used; the text names the key and says what was expected."""


class Address(NamedTuple):
    """A host and a port to listen on; port 0 lets the system choose."""

    host: str
    port: int


class _Reticent(msgspec.Struct, frozen=True):
    """A section that holds secrets: its repr() leaves them out, and is all that rich shows of it in a traceback."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("without_secrets", repr(self))]


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[server]``."""

    region: str = "cn-beijing-6"
    regions: tuple[str, ...] = ()
    timezone: str = "Asia/Shanghai"
    data_dir: str = "./openkls-data"
    node: str = "127.0.0.1"


class Api(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[api]``."""

    listen: str = "127.0.0.1:8080"
    tls_listen: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    trusted_proxies: tuple[str, ...] = ()

    @property
    def trusted_networks(self) -> tuple[Network, ...]:
        """``trusted_proxies``, read; ``check`` has seen that it can be."""
        return tuple(parse_network(text) for text in self.trusted_proxies)


class Rtmp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[rtmp]``."""

    listen: str = "127.0.0.1:1935"


class Play(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[play]``."""

    listen: str = "127.0.0.1:8081"
    merge_ms: int = 150
    by_address: bool = True
    republish_grace_seconds: float = 5.0


class StoreSection(_Reticent, frozen=True, forbid_unknown_fields=True):
    """``[store]``."""

    url: str = "sqlite:///openkls.db"
    secret_file: str = ""
    retention_days: int = 90

    def __repr__(self) -> str:
        return f"StoreSection(retention_days={self.retention_days})"


class Cluster(_Reticent, frozen=True, forbid_unknown_fields=True):
    """``[cluster]``."""

    url: str = ""
    relay_listen: str = "127.0.0.1:0"
    relay_advertise: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return "Cluster(...)"


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[limits]``."""

    enforce: bool = True
    connections_per_address: int = 1000


class Key(_Reticent, frozen=True, forbid_unknown_fields=True):
    """``[[account.key]]``."""

    access_key: str
    secret_key: str
    policy: tuple[dict[str, Any], ...] | None = None

    def __repr__(self) -> str:
        return f"Key({self.access_key!r})"


class PublishDomain(_Reticent, frozen=True, forbid_unknown_fields=True):
    """``[[account.space.publish_domain]]``, and each name of the short form ``publish_domains``."""

    name: str
    auth: Literal["none", "md5", "hmac", "external"] = "none"
    keys: tuple[str, ...] = ()
    external_url: str = ""
    external_private: bool = False
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"PublishDomain({self.name!r}, auth={self.auth!r})"


class PlayDomain(_Reticent, frozen=True, forbid_unknown_fields=True):
    """``[[account.space.play_domain]]``."""

    id: str
    name: str
    auth: Literal["none", "md5"] = "none"
    keys: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"PlayDomain({self.id!r}, {self.name!r}, auth={self.auth!r})"


class App(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[[account.space.app]]``: settings of one app; None means the general one."""

    name: str
    merge_ms: int | None = None
    republish_grace_seconds: float | None = None
    rendition_suffixes: tuple[str, ...] = ()


class Space(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[[account.space]]``: a UniqueName with its apps and domains."""

    unique_name: str
    apps: tuple[str, ...] = ()
    publish_domains: tuple[str, ...] = ()
    durations: bool = True
    callback_url: str = ""
    publish_domain: tuple[PublishDomain, ...] = ()
    play_domain: tuple[PlayDomain, ...] = ()
    app: tuple[App, ...] = ()

    @property
    def doors(self) -> tuple[PublishDomain, ...]:
        """All publish domains, the short form's first."""
        return tuple(PublishDomain(name=name) for name in self.publish_domains) + self.publish_domain

    def has_app(self, name: str) -> bool:
        """Whether the space lets streams into this app; an empty list lets them into any."""
        return not self.apps or name in self.apps

    def settings_of(self, name: str) -> App:
        """The settings of an app, defaults where the file has none."""
        return next((app for app in self.app if app.name == name), App(name=name))


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[[account]]``."""

    id: str
    key: tuple[Key, ...] = ()
    space: tuple[Space, ...] = ()


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole tree."""

    server: Server = Server()
    api: Api = Api()
    rtmp: Rtmp = Rtmp()
    play: Play = Play()
    store: StoreSection = StoreSection()
    cluster: Cluster = Cluster()
    limits: Limits = Limits()
    account: tuple[Account, ...] = ()

    @property
    def data_dir(self) -> Path:
        """Where everything durable lives."""
        return Path(self.server.data_dir)


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read a file (None: the defaults alone), lay the environment over it, check it. Raises ConfigError."""
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: is not TOML: {error}") from error
    _lay_over(tree, environment)
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path or 'configuration'}: {_plain(str(error))}") from error
    check(config)
    return config


def parse_address(text: str, key: str) -> Address:
    """``host:port`` or ``[v6]:port``; ``key`` is named in the ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f'{key}: got {text!r}, expected "host:port", such as "127.0.0.1:8080"')
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def normal_host(text: str) -> str:
    """A host as domains are compared: lower case, without port and final dot, IPv6 without brackets."""
    host = text.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    if host.count(":") == 1:
        host = host.partition(":")[0]
    return host.removesuffix(".")


def parse_network(text: str) -> Network:
    """An address or CIDR of an address list; an IPv4 network in IPv6 notation is that of IPv4. Raises ValueError."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= MAPPED_BITS:
        address = network.network_address.ipv4_mapped
        if address is not None:
            return ipaddress.IPv4Network((address, network.prefixlen - MAPPED_BITS))
    return network


def is_alias(host: str) -> bool:
    """Whether a publish domain is another name for the space's first real one: ``localhost`` or an address."""
    return host == "localhost" or _is_address(host)


def check(config: Config) -> None:
    """What the types cannot say. Raises ConfigError."""
    for key, text in (
        ("api.listen", config.api.listen),
        ("rtmp.listen", config.rtmp.listen),
        ("play.listen", config.play.listen),
    ):
        parse_address(text, key)
    _check_tls(config.api)
    _check_networks("api.trusted_proxies", config.api.trusted_proxies)
    try:
        ZoneInfo(config.server.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"server.timezone: {config.server.timezone!r} is no time zone, such as Asia/Shanghai"
        ) from error
    if config.store.retention_days < RETENTION_MIN_DAYS:
        raise ConfigError(f"store.retention_days: must be at least {RETENTION_MIN_DAYS}")
    if config.limits.connections_per_address < 1:
        raise ConfigError("limits.connections_per_address: must be at least 1")
    _check_merge("play.merge_ms", config.play.merge_ms)
    _check_grace("play.republish_grace_seconds", config.play.republish_grace_seconds)
    _check_accounts(config.account)
    _check_unbuilt(config)


def _check_accounts(accounts: tuple[Account, ...]) -> None:
    _unique("account.id", [account.id for account in accounts])
    _unique("account.key.access_key", [key.access_key for account in accounts for key in account.key])
    spaces = [space for account in accounts for space in account.space]
    _unique("account.space.unique_name", [space.unique_name for space in spaces])
    _unique(
        "publish domain",
        [normal_host(door.name) for space in spaces for door in space.doors if not is_alias(normal_host(door.name))],
    )
    _unique("play_domain.name", [normal_host(domain.name) for space in spaces for domain in space.play_domain])
    for account in accounts:
        if not account.id:
            raise ConfigError("account.id: must not be empty")
        for key in account.key:
            _check_key(key)
    for space in spaces:
        _check_space(space)


def _check_key(key: Key) -> None:
    if key.access_key == PLACEHOLDER_ACCESS_KEY:
        raise ConfigError(f"account.key.access_key: {PLACEHOLDER_ACCESS_KEY} is the example's; choose your own")
    if not re.fullmatch(r"[\x21-\x2e\x30-\x7e]{1,128}", key.access_key):
        raise ConfigError(
            "account.key.access_key: 1 to 128 printable ASCII characters without blank and slash expected"
        )
    if key.secret_key in PLACEHOLDER_SECRETS:
        raise ConfigError(f"account.key.secret_key of {key.access_key}: is a placeholder; put a real secret there")


def _check_space(space: Space) -> None:
    where = f"space {space.unique_name}"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", space.unique_name):
        raise ConfigError(f"{where}: unique_name must be 1 to 64 of A-Z a-z 0-9 _ -")
    _unique(f"{where}: publish domain", [normal_host(door.name) for door in space.doors])
    _unique(f"{where}: play_domain.id", [domain.id for domain in space.play_domain])
    _unique(f"{where}: app.name", [app.name for app in space.app])
    domains: tuple[PublishDomain | PlayDomain, ...] = (*space.doors, *space.play_domain)
    for domain in domains:
        host = normal_host(domain.name)
        if not is_alias(host) and not HOST_NAME.fullmatch(host):
            raise ConfigError(f"{where}: {domain.name!r} is no host name")
        if domain.auth in ("md5", "hmac") and not domain.keys:
            raise ConfigError(f"{where}: {domain.name}: auth {domain.auth} needs keys")
        if domain.auth == "none" and domain.keys:
            raise ConfigError(f'{where}: {domain.name}: has keys but auth "none", which asks for none; set auth')
        secrets = {key.partition(":")[2] if domain.auth == "hmac" and ":" in key else key for key in domain.keys}
        if PLACEHOLDER_SECRETS & secrets:
            raise ConfigError(f"{where}: {domain.name}: keys holds a placeholder; put real secrets there")
        if domain.auth == "hmac" and not all(re.fullmatch(r"[^:]+:.+", key) for key in domain.keys):
            raise ConfigError(f'{where}: {domain.name}: keys of auth hmac are "accesskey:secret"')
    for door in space.publish_domain:
        _check_door(f"{where}: {door.name}", door)
    for app in space.app:
        if app.merge_ms is not None:
            _check_merge(f"{where}: app {app.name}: merge_ms", app.merge_ms)
        if app.republish_grace_seconds is not None:
            _check_grace(f"{where}: app {app.name}: republish_grace_seconds", app.republish_grace_seconds)
        if not space.has_app(app.name):
            raise ConfigError(f"{where}: app {app.name} is not in apps")


def _check_door(where: str, door: PublishDomain) -> None:
    _check_networks(f"{where}: allow", door.allow)
    _check_networks(f"{where}: deny", door.deny)
    if door.auth != "external":
        if door.external_url or door.external_private:
            raise ConfigError(f'{where}: has external_url or external_private but auth "{door.auth}"; set auth')
    elif not door.external_url:
        raise ConfigError(f"{where}: auth external needs external_url")
    elif not _is_plain_url(door.external_url):
        # The URL itself is not repeated: it may hold a secret.
        raise ConfigError(
            f"{where}: external_url: http://host/path or https://host/path expected, without user, password and #"
        )


def _check_networks(key: str, texts: tuple[str, ...]) -> None:
    for text in texts:
        try:
            parse_network(text)
        except ValueError as error:
            raise ConfigError(f"{key}: {text!r}: {error}; an address or a CIDR expected") from error


def _check_tls(api: Api) -> None:
    if not api.tls_listen:
        return
    parse_address(api.tls_listen, "api.tls_listen")
    for key, text in (("tls_certificate", api.tls_certificate), ("tls_key", api.tls_key)):
        if not text:
            raise ConfigError(f"api.{key}: api.tls_listen needs it; `openkls cert` makes one for development")


def _check_unbuilt(config: Config) -> None:
    """Refuse what this version would ignore: an address list, a policy or a TLS port that is asked for and not
    there leaves a door open that its owner believes closed."""
    spaces = [space for account in config.account for space in account.space]
    for asked, what in (
        (config.cluster.url, "cluster.url"),
        (any(space.callback_url for space in spaces), "account.space.callback_url"),
    ):
        if asked:
            raise ConfigError(f"{what}: is not built yet in this version; remove it")


def _check_merge(key: str, merge_ms: int) -> None:
    if not 0 <= merge_ms <= 2000:
        raise ConfigError(f"{key}: 0 to 2000 milliseconds expected")


def _check_grace(key: str, grace_seconds: float) -> None:
    if not 0 <= grace_seconds <= GRACE_MAX_SECONDS:  # so that no NaN gets in
        raise ConfigError(f"{key}: 0 to {GRACE_MAX_SECONDS} seconds expected")


def _unique(key: str, values: list[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ConfigError(f"{key}: {value!r} is there twice")
        seen.add(value)


def _lay_over(tree: dict[str, Any], environment: Mapping[str, str]) -> None:
    """``OPENKLS_<SECTION>__<KEY>`` replaces one key; a list or number is written as in TOML."""
    sections = {field.name: field.type for field in msgspec.structs.fields(Config) if field.name != "account"}
    for variable, text in environment.items():
        section, separator, key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if not variable.startswith(ENVIRONMENT_PREFIX) or not separator:
            continue
        types = (
            {field.name: field.type for field in msgspec.structs.fields(sections[section])}
            if section in sections
            else {}
        )
        if key not in types:
            raise ConfigError(f"environment variable {variable}: there is no key [{section}] {key}")
        value: Any = text
        if types[key] is not str:
            try:
                value = tomllib.loads(f"value = {text}")["value"]
            except tomllib.TOMLDecodeError as error:
                raise ConfigError(f"environment variable {variable}: {text!r} is no TOML value") from error
        table = tree.setdefault(section, {})
        if isinstance(table, dict):  # else the file is at fault, and is told so when the tree is read
            table[key] = value


def _plain(text: str) -> str:
    """msgspec's account of a mismatch with its path written as the file's keys are."""
    message, _, path = text.partition(" - at `$")
    keys = re.sub(r"\[\.*(\d*)\]", r"[\1]", path.rstrip("`")).lstrip(".")
    return f"{keys}: {message}" if keys else message


def _is_plain_url(text: str) -> bool:
    if not re.fullmatch(r"https?://[\x21-\x7e]+", text, re.IGNORECASE):
        return False
    try:
        url = urlsplit(text)
        return bool(url.hostname) and url.port != 0 and "@" not in url.netloc and "#" not in text
    except ValueError:  # such as a port that is none
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
