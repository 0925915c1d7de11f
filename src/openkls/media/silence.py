"""Viewers that die without a word: a cable pulled, a phone out of reach, a machine switched off.

Rule: the kernel watches; nothing here costs a viewer anything while it lives.

Theory of operation. A player sends nothing for hours, so that its silence says nothing; but its kernel acknowledges
what it is sent. TCP_USER_TIMEOUT ends a connection whose peer has acknowledged nothing for so long while something was
under way, or whose window has been shut for so long; keepalive asks peers of a stream that pauses. Either way the
transport is told ETIMEDOUT and ends as if the peer had left. Without it a dead viewer counts until the kernel's buffer
for it and the hub's limit are full and LAG_LIMIT_SECONDS have passed: minutes, for a stream of sound.
"""

import asyncio
import socket
from typing import Final

from openkls.media.doors import Doors

# Viewer counts are right within 10 s of a change (contract, 7); the kernel's timer adds up to half a second, a flush
# the merge window. No less: a phone that changes its cell is without a network for some seconds.
SILENT_SECONDS: Final = 7
KEEPALIVE_IDLE_SECONDS: Final = 4
KEEPALIVE_INTERVAL_SECONDS: Final = 1


def end_if_silent(transport: asyncio.BaseTransport) -> None:
    """Have the kernel end a viewer's connection once its peer has taken nothing for SILENT_SECONDS. Does nothing where
    the system has no such option (it is Linux's)."""
    connection = transport.get_extra_info("socket")
    if connection is None or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_SECONDS * 1000)
    except OSError:  # the peer was gone before its request was answered
        return


def count_if_silent(doors: Doors, exc: BaseException | None) -> None:
    """Count a connection that was lost for its silence, by what it was lost for."""
    if isinstance(exc, TimeoutError):
        doors.count_fault("SILENT_SECONDS")
