"""The durable ports on a database. Rule: whoever is outside sees ports, ``open_store`` and the data folder."""

from openkls.store.backup import back_up, restore
from openkls.store.database import Database, open_database
from openkls.store.datadir import DataDirLock, lock_data_dir, node_id
from openkls.store.engine import Store, open_store
from openkls.store.errors import SetupError
from openkls.store.secrets import Seal, load_or_create_secret, secret_path
from openkls.store.upkeep import Stats, move, read_stats, upgrade

__all__ = [
    "DataDirLock",
    "Database",
    "Seal",
    "SetupError",
    "Stats",
    "Store",
    "back_up",
    "load_or_create_secret",
    "lock_data_dir",
    "move",
    "node_id",
    "open_database",
    "open_store",
    "read_stats",
    "restore",
    "secret_path",
    "upgrade",
]
