"""The sections and keys, and their defaults. Rule: types only; what they cannot say is said in `config.check`."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from openkls.config.names import Network, parse_network


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


class Console(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[console]``."""

    enabled: bool = True
    hosts: tuple[str, ...] = ()
    idle_minutes: int = 30


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


class Metrics(_Reticent, frozen=True, forbid_unknown_fields=True):
    """``[metrics]``."""

    token: str = ""
    listen: str = ""
    per_stream: int = 0

    def __repr__(self) -> str:
        return f"Metrics(listen={self.listen!r}, per_stream={self.per_stream})"


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[log]``."""

    format: Literal["console", "json"] = "console"
    levels: dict[str, Literal["debug", "info", "warning", "error"]] = {}
    access: bool = True


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


class Space(_Reticent, frozen=True, forbid_unknown_fields=True):
    """``[[account.space]]``: a UniqueName with its apps and domains."""

    unique_name: str
    apps: tuple[str, ...] = ()
    publish_domains: tuple[str, ...] = ()
    durations: bool = True
    callback_url: str = ""
    callback_keys: tuple[str, ...] = ()
    callback_private: bool = False
    publish_domain: tuple[PublishDomain, ...] = ()
    play_domain: tuple[PlayDomain, ...] = ()
    app: tuple[App, ...] = ()

    def __repr__(self) -> str:
        return f"Space({self.unique_name!r}, publish_domain={self.doors!r}, play_domain={self.play_domain!r})"

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
    console: Console = Console()
    rtmp: Rtmp = Rtmp()
    play: Play = Play()
    store: StoreSection = StoreSection()
    cluster: Cluster = Cluster()
    limits: Limits = Limits()
    metrics: Metrics = Metrics()
    log: Log = Log()
    account: tuple[Account, ...] = ()

    @property
    def data_dir(self) -> Path:
        """Where everything durable lives."""
        return Path(self.server.data_dir)
