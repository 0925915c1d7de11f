"""The RTMP handshake (RTMP 1.0, 5.2), the plain one, for both sides.

Rule: randomness comes in as an argument; the times said are zero.

Theory of operation. Each side sends one version byte, then 1,536 bytes (time, zero, random), then the
peer's 1,536 bytes back. Clients of the Flash era hide an HMAC digest in theirs and would check one in the
server's; they do so only where the server's version field, the four bytes after its time, is not zero
(librtmp reads it, ffmpeg its second byte). We send zero there, and librtmp, ffmpeg, OBS and GStreamer fall
back to the plain echo. What a peer echoes is not compared: the digest dialects send something else.
"""

from openkls.codec.errors import ProtocolError

VERSION = 3
BLOCK_BYTES = 1536
HANDSHAKE_RANDOM_BYTES = BLOCK_BYTES - 8

_TIME_AND_VERSION = bytes(8)


def _own_block(random_bytes: bytes) -> bytes:
    if len(random_bytes) != HANDSHAKE_RANDOM_BYTES:
        raise ValueError(f"{HANDSHAKE_RANDOM_BYTES} random bytes are needed, got {len(random_bytes)}")
    return _TIME_AND_VERSION + random_bytes


def _check_version(version: int) -> None:
    if version != VERSION:
        raise ProtocolError(f"RTMP: version {version} asked for; only 3, plain RTMP, is spoken here")


class ServerHandshake:
    """The server's side. When `done`, `rest` holds what came behind the handshake."""

    __slots__ = ("_answered", "_block", "_unread", "done", "rest")

    def __init__(self, random_bytes: bytes) -> None:
        """`random_bytes`: HANDSHAKE_RANDOM_BYTES of them."""
        self._block = _own_block(random_bytes)
        self._unread = bytearray()
        self._answered = False
        self.done = False
        self.rest = b""

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the peer, return what to send. Raises ProtocolError. Not to be called when done."""
        answer = b""
        self._unread += data
        if not self._answered:
            if self._unread:
                _check_version(self._unread[0])  # at once: an HTTP client is not left waiting
            if len(self._unread) < 1 + BLOCK_BYTES:
                return b""
            c1 = bytes(self._unread[1 : 1 + BLOCK_BYTES])
            del self._unread[: 1 + BLOCK_BYTES]
            answer = bytes((VERSION,)) + self._block + c1
            self._answered = True
        if len(self._unread) >= BLOCK_BYTES:
            self.rest = bytes(self._unread[BLOCK_BYTES:])
            self._unread.clear()
            self.done = True
        return answer


class ClientHandshake:
    """The client's side: send `opening` first. When `done`, `rest` holds what came behind the handshake."""

    __slots__ = ("_unread", "done", "opening", "rest")

    def __init__(self, random_bytes: bytes) -> None:
        """`random_bytes`: HANDSHAKE_RANDOM_BYTES of them."""
        self.opening = bytes((VERSION,)) + _own_block(random_bytes)
        self._unread = bytearray()
        self.done = False
        self.rest = b""

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the peer, return what to send. Raises ProtocolError. Not to be called when done."""
        self._unread += data
        if self._unread:
            _check_version(self._unread[0])
        if len(self._unread) < 1 + 2 * BLOCK_BYTES:
            return b""
        s1 = bytes(self._unread[1 : 1 + BLOCK_BYTES])
        self.rest = bytes(self._unread[1 + 2 * BLOCK_BYTES :])
        self._unread.clear()
        self.done = True
        return s1
