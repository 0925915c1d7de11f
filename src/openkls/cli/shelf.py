"""The store of the configuration, opened beside a running service. Rule: opened for one use, then closed."""

import asyncio
import os
import pwd
from collections.abc import Awaitable, Callable
from typing import TypeVar

from openkls import store
from openkls.cli.screen import fail
from openkls.config import Config
from openkls.domain.audit import Author
from openkls.domain.errors import StoreUnavailable

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


def author() -> Author:
    """Who types: what the audit says of a change by this command line."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        name = str(os.getuid())
    return Author(CLI_KEY, name)
