"""Sockets that behave as broken machines do. Rule: no privilege is needed, and only the socket is touched."""

import ctypes
import socket
import struct
from typing import Any

SO_ATTACH_FILTER = 26  # Linux; Python does not name it


def deafen(connection: Any) -> None:
    """From now on nothing reaches this socket, so that its peer hears not even an acknowledgement: as if the machine
    had been switched off. A packet filter that drops everything does it. Takes a socket, or a transport's."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(drop_all)))
