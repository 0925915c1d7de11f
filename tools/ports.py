"""Ports of loopback for processes that are about to start."""

import contextlib
import random
import socket

# Below the range that systems take the ports of outgoing connections from (32768 on Linux): a port that is free there
# may be somebody's end of a connection a moment later.
FIRST, LAST = 20_000, 32_000


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; at random, as others may be looking for some at the same time."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            port = random.randrange(FIRST, LAST)  # noqa: S311 - not a secret
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
        return found
