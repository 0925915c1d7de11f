"""HTTP-FLV: the viewer's end of a connection that asked for ``/<app>/<stream>.flv`` and was let in.

Rule: from its admission on the connection belongs to a viewer protocol of our own, which only knows how to end: 1.4 KB
a viewer, where a handler that stays parked for each costs 9.9 KB.
"""

import asyncio
from typing import Final

from openkls.codec import flv
from openkls.media.doors import AddressCap, Connections
from openkls.media.hub import Hub, Viewer
from openkls.media.wires import Wire

FAREWELL_SECONDS: Final = 1.0

FLV_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: OpenKLS\r\n"
    b"Content-Type: video/x-flv\r\n"
    b"Cache-Control: no-store\r\n"
    b"Access-Control-Allow-Origin: *\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Connection: close\r\n"
    b"\r\n"
)
"""Neither a length nor chunks: the stream ends with its connection, which HTTP/1.0 clients and proxies read too."""


class FlvViewer(asyncio.Protocol):
    """An admitted connection: writes its head and the start of the stream, and waits for its end."""

    __slots__ = ("_address", "_cap", "_hub", "_open", "_transport", "_viewer")

    def __init__(
        self,
        open_viewers: "Connections[FlvViewer]",
        cap: AddressCap,
        transport: asyncio.Transport,
        hub: Hub,
        wire: Wire,
        address: str,
    ) -> None:
        """``address`` is counted in ``cap`` for this connection already."""
        self._open = open_viewers
        self._cap = cap
        self._transport = transport
        self._address = address
        self._hub: Hub | None = hub
        self._viewer = Viewer(wire, transport, self._over)

    def begin(self, domain_id: str) -> None:
        """Answer, and join the audience."""
        self._open.add(self)
        if self._hub is not None:
            # Players in browsers (flv.js, mpegts.js) wait for every track that is announced before they show one.
            audio, video = self._hub.tracks_of(self._viewer.wire)
            self._transport.write(FLV_HEAD + flv.build_header(audio, video))
            self._hub.subscribe(self._viewer, domain_id)

    def data_received(self, data: bytes) -> None:
        """What a viewer sends after its request is nobody's."""

    def eof_received(self) -> None:
        """The viewer has left; what it has not read does not keep it."""
        self._leave()
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._open.discard(self)
        self._cap.leave(self._address)

    def stop(self) -> None:
        """The service stops."""
        self._leave()
        self._over(cut=False)

    def _leave(self) -> None:
        hub, self._hub = self._hub, None
        if hub is not None:
            hub.unsubscribe(self._viewer)

    def _over(self, cut: bool) -> None:
        """The stream is over, or this viewer was too slow for it."""
        self._hub = None
        if cut and self._transport.get_write_buffer_size():
            self._transport.abort()
            return
        self._transport.close()
        if self._transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self._transport.abort)
