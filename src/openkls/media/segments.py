"""HLS segments from the messages of one publish.

Rule: synchronous and free of I/O; broken media never raises, it is left out and counted.
"""

from typing import Final, NamedTuple

from openkls.codec.rtmp.events import MediaReceived
from openkls.media.ingest import Role

MIN_SEGMENT_SECONDS: Final = 2.0
MAX_SEGMENT_SECONDS: Final = 20.0  # x264's default of 250 frames between key frames is 16.7 s at 15 fps
MAX_SEGMENT_BYTES: Final = 16 * 1024 * 1024  # 20 s at 6.7 Mbps; with a window of six, 100 MiB for one stream


class Segment(NamedTuple):
    """A finished segment. ``discontinuity``: an EXT-X-DISCONTINUITY goes before it."""

    sequence: int
    duration_seconds: float
    payload: bytes
    discontinuity: bool


class Segmenter:
    """Cuts the messages of one publish into MPEG-TS segments."""

    def __init__(self, first_sequence: int = 0) -> None:
        """``first_sequence`` other than 0 continues what another Segmenter began: its first segment is a
        discontinuity."""
        self._sequence = first_sequence
        self.forced_cuts = 0
        """Segments cut away from a key frame, because they reached a maximum."""
        self.broken_frames = 0
        """Frames left out, wholly or in part, because their bytes make no sense."""

    @property
    def playable(self) -> bool:
        """Whether anything was seen that a segment can carry: H.264, HEVC, AAC or MP3."""
        raise NotImplementedError

    @property
    def left_out(self) -> frozenset[str]:
        """The codecs seen that no segment carries (``av1``, ``opus``...): why a stream is not playable."""
        raise NotImplementedError

    def take(self, role: Role, message: MediaReceived) -> Segment | None:
        """Take the next message; returns the segment it ends, if it begins a new one. Never raises."""
        raise NotImplementedError

    def break_off(self) -> Segment | None:
        """The publisher ended or was replaced: returns what is open, if it has a frame, and forgets the publish. The
        next segment is a discontinuity."""
        raise NotImplementedError
