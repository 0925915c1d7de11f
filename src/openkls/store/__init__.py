"""The durable ports on a database. Rule: whoever is outside sees ports, ``open_store`` and the data folder."""

from openkls.store.datadir import DataDirLock, lock_data_dir, node_id
from openkls.store.engine import Store, open_store
from openkls.store.errors import SetupError
from openkls.store.secrets import load_or_create_secret, secret_path

__all__ = [
    "DataDirLock",
    "SetupError",
    "Store",
    "load_or_create_secret",
    "lock_data_dir",
    "node_id",
    "open_store",
    "secret_path",
]
