"""What every part of the start needs. Rule: what an operator can put right is a ConfigError that says how."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from openkls.config import Address, ConfigError, parse_address


async def listening(open_port: Callable[[Address], Awaitable[Address]], text: str, key: str) -> Address:
    try:
        return await open_port(parse_address(text, key))
    except OSError as error:
        raise ConfigError(f"{key}: cannot listen on {text}: {error.strerror or error}; choose another") from error


async def end_task(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
