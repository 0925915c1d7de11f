"""One continuous clock for a stream, whatever its encoders' clocks do. Rule: arithmetic on 32-bit milliseconds that may
wrap; a stream that runs as it should passes unchanged, to the millisecond.

Theory of operation. Each track (audio, video) has an offset that is added to its timestamps. A frame that goes on from
the one before it in its own track keeps the offset. One that steps back, or further ahead than JUMP_LIMIT_MS while the
other track has not come along, is a jump: an encoder was restarted, or its clock was set. It is put right behind what
came last, by the offset the other track got at its own jump where that fits - so that sound and picture stay together -
and else by a new one. A track that begins far from the other is brought to it in the same way.

Composition times are not looked at: timestamps are decoding times, and B-frames do not reorder them. Headers and data
carry all sorts of times (many encoders send them with 0) and decide nothing: they follow their track when that is
credible, and else stand where the stream is.
"""

WRAP = 1 << 32
# Ahead: a longer silence is told from a jump by nobody. The same step breaks off the quality's media time.
JUMP_LIMIT_MS = 10_000
# Back, within one track: encoders that stamp presentation times reorder by a few frames.
REORDER_LIMIT_MS = 500
# From the last frame before a jump to the first behind it: a frame at 25 a second.
JOINT_MS = 40


class Timeline:
    """The clock of one stream. Tracks are named by the caller."""

    __slots__ = ("_last_ms", "_lasts", "_offset_ms", "_offsets", "repaired")

    def __init__(self) -> None:
        self._last_ms: int | None = None
        """The latest time given out to a frame."""
        self._lasts: dict[int, int] = {}
        """The last time given out to a frame of each track of this run."""
        self._offsets: dict[int, int] = {}
        self._offset_ms = 0
        """The offset found last, by whichever track."""
        self.repaired = 0
        """Jumps that were taken out, one for each track."""

    def place(self, track: int, timestamp_ms: int) -> int:
        """The time of a coded frame of a track."""
        last_ms = self._last_ms
        own_ms = self._lasts.get(track)
        if own_ms is None or last_ms is None:
            placed_ms = self._begin(track, timestamp_ms)
        else:
            placed_ms = (timestamp_ms + self._offsets[track]) % WRAP
            step_ms = placed_ms - own_ms
            if 0 <= step_ms <= JUMP_LIMIT_MS and 0 <= placed_ms - last_ms <= JUMP_LIMIT_MS:  # as almost always
                self._lasts[track] = self._last_ms = placed_ms
                return placed_ms
            step_ms = _step(own_ms, placed_ms)
            if step_ms < -REORDER_LIMIT_MS or (
                step_ms > JUMP_LIMIT_MS and abs(_step(last_ms, placed_ms)) > JUMP_LIMIT_MS
            ):
                placed_ms = self._repair(track, timestamp_ms, last_ms)
        self._lasts[track] = placed_ms
        if last_ms is None or _step(last_ms, placed_ms) > 0:
            self._last_ms = placed_ms
        return placed_ms

    def follow(self, track: int, timestamp_ms: int) -> int:
        """The time of a message of a track (or of none) that is no coded frame."""
        if self._last_ms is None:
            return timestamp_ms % WRAP
        if not self._lasts:  # the run has not begun
            return self._last_ms
        placed_ms = (timestamp_ms + self._offsets.get(track, self._offset_ms)) % WRAP
        return placed_ms if abs(_step(self._last_ms, placed_ms)) <= JUMP_LIMIT_MS else self._last_ms

    def resume(self) -> None:
        """What comes next is another encoder's run; it goes on right behind this one."""
        self._lasts.clear()
        self._offsets.clear()

    def _begin(self, track: int, timestamp_ms: int) -> int:
        """The first frame of a track in this run."""
        if self._last_ms is None:  # of the stream: its clock is as good as any
            self._offsets[track] = 0
            return timestamp_ms % WRAP
        if self._lasts:
            placed_ms = (timestamp_ms + self._offset_ms) % WRAP
            if abs(_step(self._last_ms, placed_ms)) <= JUMP_LIMIT_MS:
                self._offsets[track] = self._offset_ms
                return placed_ms
            self.repaired += 1
        return self._shift(track, timestamp_ms, self._last_ms)

    def _repair(self, track: int, timestamp_ms: int, last_ms: int) -> int:
        self.repaired += 1
        placed_ms = (timestamp_ms + self._offset_ms) % WRAP
        if (
            abs(_step(last_ms, placed_ms)) <= JUMP_LIMIT_MS
            and _step(self._lasts[track], placed_ms) >= -REORDER_LIMIT_MS
        ):
            self._offsets[track] = self._offset_ms
            return placed_ms
        return self._shift(track, timestamp_ms, last_ms)

    def _shift(self, track: int, timestamp_ms: int, last_ms: int) -> int:
        placed_ms = (last_ms + JOINT_MS) % WRAP
        self._offset_ms = self._offsets[track] = (placed_ms - timestamp_ms) % WRAP
        return placed_ms


def _step(from_ms: int, to_ms: int) -> int:
    """The way from one time to another, the shorter way round the clock."""
    return (to_ms - from_ms + WRAP // 2) % WRAP - WRAP // 2
