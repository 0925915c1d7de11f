"""The store of the configuration, opened beside a running service. Rule: opened for one use, then closed."""

import asyncio
import contextlib
import os
import pwd
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from openkls import store
from openkls.cli.screen import fail
from openkls.config import Config
from openkls.control.signals import KeysChanged
from openkls.domain.audit import Author
from openkls.domain.errors import ClusterUnavailable, StoreUnavailable

CLI_KEY = "cli"

T = TypeVar("T")


def with_store(local: Config, use: Callable[[store.Store], Awaitable[T]]) -> T:
    """Open the store, use it, close it; ends the command with what is wrong. The data folder is made if need be."""

    async def work() -> T:
        local.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = store.load_or_create_secret(store.secret_path(local.store.secret_file, local.data_dir))
        opened = await store.open_store(local.store.url, local.data_dir, secret)
        try:
            return await use(opened)
        finally:
            await opened.close()

    try:
        return asyncio.run(work())
    except OSError as error:
        fail(f"{local.data_dir} cannot be made: {error.strerror}")
    except (store.SetupError, StoreUnavailable) as error:
        fail(str(error))


def change_store(local: Config, use: Callable[[store.Store], Awaitable[T]]) -> T:
    """As with_store, for a change of keys or accounts: the nodes of a cluster are told to look at once."""
    result = with_store(local, use)
    if local.cluster.url:
        asyncio.run(_tell_nodes(local.cluster.url))
    return result


async def _tell_nodes(url: str) -> None:
    with contextlib.suppress(ImportError, ValueError, ClusterUnavailable):  # they look by themselves within seconds
        from openkls.cluster import open_cluster

        cluster = await open_cluster(url)
        try:
            await cluster.bus.tell(msgspec.msgpack.encode(KeysChanged()))
        finally:
            await cluster.close()


def author() -> Author:
    """Who types: what the audit says of a change by this command line."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        name = str(os.getuid())
    return Author(CLI_KEY, name)
