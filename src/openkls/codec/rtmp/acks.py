"""When to acknowledge bytes to the peer (RTMP 1.0, 5.4.3 and 5.4.4).

Rule: one acknowledgement a call at most, however many windows have passed.
"""

from openkls.codec.rtmp import message as m
from openkls.codec.rtmp.chunk import CHUNK_SIZE_DEFAULT, CONTROL_CSID, build_message

ACK_WINDOW_BYTES = 2_500_000
"""The window told to peers, and ours until the peer tells its own. A broadcaster of 10 Mbps fills it in two
seconds; librtmp and Flash use this value."""


class AckCounter:
    """Counts what a peer has sent, handshake included, and acknowledges each half window.

    Half, because a peer that obeys its window to the byte stops there and waits for us.
    """

    __slots__ = ("_acknowledged_bytes", "_every_bytes", "received_bytes")

    def __init__(self) -> None:
        self.received_bytes = 0
        self._acknowledged_bytes = 0
        self._every_bytes = ACK_WINDOW_BYTES // 2

    def set_window(self, window_bytes: int) -> None:
        """The peer told its window. 0 would mean an acknowledgement for nothing and is ignored."""
        if window_bytes:
            self._every_bytes = (window_bytes + 1) // 2

    def pull_acknowledgement(self) -> bytes:
        """Return the message that is due, or b""."""
        if self.received_bytes - self._acknowledged_bytes < self._every_bytes:
            return b""
        self._acknowledged_bytes = self.received_bytes
        payload = m.build_number(self.received_bytes & 0xFFFFFFFF)
        return build_message(m.ACKNOWLEDGEMENT, 0, 0, payload, CONTROL_CSID, CHUNK_SIZE_DEFAULT)
