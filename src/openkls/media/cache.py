"""What those who come late to a stream start from.

Rule: bounded in messages and bytes, whatever the publisher sends; a stream beyond it is joined at its next key frame.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from openkls.codec import flv
from openkls.codec.rtmp.events import MediaReceived
from openkls.media.ingest import Role
from openkls.media.wires import Wire

# Headers included: 10 s at 60 fps with its audio, and 8 s at 8 Mbps.
GOP_LIMIT_MESSAGES: Final = 1200
GOP_LIMIT_BYTES: Final = 8 * 1024 * 1024

# Looked up for each message: a member of an enumeration costs ten times as much as a name.
_KEY_FRAME: Final = Role.KEY_FRAME
_FRAME: Final = Role.FRAME
_AUDIO: Final = Role.AUDIO
_HEADERS: Final = (Role.METADATA, Role.VIDEO_HEADER, Role.AUDIO_HEADER)


def opening(start: Iterable[tuple[Role, MediaReceived]], fresh: bool) -> list[MediaReceived]:
    """The messages a viewer starts, or starts anew, from. One that is ``fresh`` gets the metadata at time 0: anywhere
    else FFmpeg 5.1 (ffprobe, mpv) takes it for a track of text."""
    messages = [message for _, message in start]
    if fresh and messages and messages[0].type_id == flv.SCRIPT:
        messages[0] = messages[0]._replace(timestamp=0)
    return messages


class Cache:
    """The headers in force, and the stream since its last key frame."""

    __slots__ = ("_bursts", "_gop", "_gop_bytes", "_headers", "_last_timestamp", "has_audio", "has_video")

    def __init__(self) -> None:
        self._headers: dict[Role, MediaReceived] = {}
        self._gop: list[tuple[Role, MediaReceived]] = []
        """The headers in force at the last key frame, that frame, and everything since."""
        self._gop_bytes = 0
        self._bursts: dict[tuple[Wire, bool], bytes] = {}
        self._last_timestamp = 0
        self.has_audio = False
        self.has_video = False

    def can_start(self, wire: Wire) -> bool:
        """Whether a viewer can start now; a stream without video, or its sound alone, can be joined anywhere."""
        return bool(self._gop) or not (self.has_video and wire.needs_key_frame)

    def add(self, role: Role, message: MediaReceived) -> None:
        """Take a message in, in the order of the stream."""
        if self._bursts:
            self._bursts.clear()
        self._last_timestamp = message.timestamp
        if role is _KEY_FRAME:
            self._clear()
            for header in self.headers(message.timestamp):
                self._append(*header)
            self._append(role, message)
        elif self._gop:
            self._append(role, message)
        if role is _AUDIO:
            self.has_audio = True
        elif role is _FRAME or role is _KEY_FRAME:
            self.has_video = True
        elif role in _HEADERS:
            self._headers[role] = message
            self.has_audio |= role is Role.AUDIO_HEADER
            self.has_video |= role is Role.VIDEO_HEADER
        if self._gop_bytes > GOP_LIMIT_BYTES or len(self._gop) > GOP_LIMIT_MESSAGES:
            self._clear()

    def headers(self, timestamp: int) -> Iterator[tuple[Role, MediaReceived]]:
        """Metadata and sequence headers, in the order players want them, at the time of what follows them."""
        for role in _HEADERS:
            header = self._headers.get(role)
            if header is not None:
                yield role, header._replace(timestamp=timestamp)

    def start(self) -> Iterable[tuple[Role, MediaReceived]]:
        """The headers in force at the last key frame, that frame, and everything since; where there is none, the
        headers in force now."""
        return self._gop or self.headers(self._last_timestamp)

    def burst(self, wire: Wire, fresh: bool) -> bytes:
        """The bytes of what a viewer starts from, ``fresh`` for one that has had nothing yet; the same object for all
        who come before the next message."""
        burst = self._bursts.get((wire, fresh))
        if burst is None:
            start = self.start() if self.can_start(wire) else ()
            burst = self._bursts[wire, fresh] = wire.join(opening(start, fresh))
        return burst

    def _append(self, role: Role, message: MediaReceived) -> None:
        self._gop.append((role, message))
        self._gop_bytes += len(message.payload)

    def _clear(self) -> None:
        self._gop.clear()
        self._gop_bytes = 0
