"""What the types of the configuration cannot say. Rule: every complaint names the key, what was got and what to do."""

import re
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from openkls.config.names import (
    HOST_NAME,
    ConfigError,
    is_alias,
    normal_host,
    parse_address,
    parse_advertised,
    parse_network,
)
from openkls.config.tree import (
    Account,
    Api,
    Cluster,
    Config,
    Console,
    Key,
    Log,
    Metrics,
    PlayDomain,
    PublishDomain,
    Space,
)

# What examples and tutorials carry; a service must never come up with one of them (security class 14).
PLACEHOLDER_SECRETS = frozenset({"", "..."})
PLACEHOLDER_ACCESS_KEY = "AKEXAMPLE"
# Of the cluster's token: 16 hexadecimal digits are 64 bits, which nobody tries over a network.
TOKEN_LEAST_CHARACTERS = 16
# ListStreamDurations looks 60 days back (contract, 6); history must not end before that.
RETENTION_MIN_DAYS = 61
# Each stream is nine series of a metrics system; with more the scrape is felt by the media plane.
PER_STREAM_LIMIT = 500
# How long viewers may be kept on a stream that is gone; beyond this nobody watches a still picture.
GRACE_MAX_SECONDS = 60
# A day: who looks at the console less often logs in again.
IDLE_MAX_MINUTES = 24 * 60


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
    _check_console(config.console)
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
    _check_cluster(config)
    _check_accounts(config.account)
    _check_relay(config.cluster)
    _check_metrics(config.metrics)
    _check_log(config.log)


def _check_cluster(config: Config) -> None:
    if not config.cluster.url:
        return
    # The URL itself is not repeated: it may hold a password.
    if not re.fullmatch(r"(rediss?|unix)://[\x21-\x7e]+", config.cluster.url):
        raise ConfigError("cluster.url: redis://host:6379/0 (or rediss:// or unix://) expected")
    if config.store.url.startswith("sqlite:") and not config.store.url.startswith("sqlite:////"):
        raise ConfigError(
            "cluster.url: all nodes share one store, and store.url names a file of this node's own; name a "
            "PostgreSQL there, or, for processes of one machine, one file by its whole path (sqlite:////path)"
        )


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
    _check_callback(where, space)
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


def _check_callback(where: str, space: Space) -> None:
    if not space.callback_url:
        if space.callback_keys or space.callback_private:
            raise ConfigError(f"{where}: has callback_keys or callback_private but no callback_url; set it")
        return
    # The URL itself is not repeated: it may hold a secret.
    if not _is_plain_url(space.callback_url):
        raise ConfigError(
            f"{where}: callback_url: http://host/path or https://host/path expected, without user, password and #"
        )
    if not space.callback_keys:
        raise ConfigError(
            f"{where}: callback_url needs callback_keys: without a signature anybody could tell your server of "
            "publishes; `openssl rand -hex 32` makes one"
        )
    if PLACEHOLDER_SECRETS & set(space.callback_keys):
        raise ConfigError(f"{where}: callback_keys holds a placeholder; put real secrets there")


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


def _check_console(console: Console) -> None:
    for name in console.hosts:
        if not HOST_NAME.fullmatch(normal_host(name)) or ":" in name:
            raise ConfigError(f"console.hosts: {name!r} is no host name; a name without port expected")
    if not 1 <= console.idle_minutes <= IDLE_MAX_MINUTES:
        raise ConfigError(f"console.idle_minutes: 1 to {IDLE_MAX_MINUTES} expected")


def _check_relay(cluster: Cluster) -> None:
    if not cluster.url:
        return
    if len(cluster.token) < TOKEN_LEAST_CHARACTERS:
        raise ConfigError(
            f"cluster.token: at least {TOKEN_LEAST_CHARACTERS} characters expected, the same on all nodes: it is what "
            "their relay ports let each other in by; `openssl rand -hex 32` makes one"
        )
    if not re.fullmatch(r"[\x21-\x7e]+", cluster.token):
        raise ConfigError("cluster.token: printable ASCII characters without blanks expected")
    bound = parse_address(cluster.relay_listen, "cluster.relay_listen")
    if cluster.relay_advertise:
        parse_advertised(cluster.relay_advertise, bound)
    elif bound.host in ("", "0.0.0.0", "::"):  # noqa: S104 - refused here
        raise ConfigError(
            "cluster.relay_advertise: relay_listen listens on all addresses; name the one the other nodes reach, "
            "host or host:port"
        )


def _check_metrics(metrics: Metrics) -> None:
    # The token itself is not repeated.
    if metrics.token and not re.fullmatch(rf"[\x21-\x7e]{{{TOKEN_LEAST_CHARACTERS},}}", metrics.token):
        raise ConfigError(
            f"metrics.token: at least {TOKEN_LEAST_CHARACTERS} printable ASCII characters without blanks expected; "
            "`openssl rand -hex 32` makes one"
        )
    if metrics.listen:
        parse_address(metrics.listen, "metrics.listen")
    if not 0 <= metrics.per_stream <= PER_STREAM_LIMIT:
        raise ConfigError(f"metrics.per_stream: 0 (none) to {PER_STREAM_LIMIT} streams expected")


def _check_log(log: Log) -> None:
    for name in log.levels:
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name, re.ASCII):
            raise ConfigError(f"log.levels: {name!r} is no package, such as openkls.store")


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


def _is_plain_url(text: str) -> bool:
    if not re.fullmatch(r"https?://[\x21-\x7e]+", text, re.IGNORECASE):
        return False
    try:
        url = urlsplit(text)
        return bool(url.hostname) and url.port != 0 and "@" not in url.netloc and "#" not in text
    except ValueError:  # such as a port that is none
        return False
