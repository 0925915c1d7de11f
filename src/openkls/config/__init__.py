"""The configuration: one frozen tree from a TOML file and the environment.

Rule: a file that is not understood whole is refused whole, with the key at fault and what to do. Sections, keys and
defaults are fixed (scripts rely on them); docs/reference/configuration.md lists them and a test keeps it true.
"""

from openkls.config.check import check
from openkls.config.names import (
    HOST_NAME,
    Address,
    ConfigError,
    Network,
    is_alias,
    join_address,
    normal_host,
    parse_address,
    parse_advertised,
    parse_network,
)
from openkls.config.read import load
from openkls.config.tree import (
    Account,
    Api,
    App,
    Cluster,
    Config,
    Console,
    Key,
    Limits,
    Log,
    Metrics,
    Play,
    PlayDomain,
    PublishDomain,
    Rtmp,
    Server,
    Space,
    StoreSection,
)

__all__ = [
    "HOST_NAME",
    "Account",
    "Address",
    "Api",
    "App",
    "Cluster",
    "Config",
    "ConfigError",
    "Console",
    "Key",
    "Limits",
    "Log",
    "Metrics",
    "Network",
    "Play",
    "PlayDomain",
    "PublishDomain",
    "Rtmp",
    "Server",
    "Space",
    "StoreSection",
    "check",
    "is_alias",
    "join_address",
    "load",
    "normal_host",
    "parse_address",
    "parse_advertised",
    "parse_network",
]
