"""HLS players of the bench: each a thread that follows one stream's playlist and fetches each segment once.

Rule: a player asks as real ones do: the address it was given, the variant that names, its playlist once in each target
duration while nothing is new sooner, segments in order over the same kept connection.
"""

import http.client
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Final
from urllib.parse import urljoin, urlsplit

REQUEST_SECONDS: Final = 15.0
RETRY_SECONDS: Final = 0.5
# Segments of the playlist that a player begins with: three from its end (RFC 8216, 6.3.3).
BEGIN_SEGMENTS: Final = 3


@dataclass(frozen=True, slots=True)
class Follow:
    """What to play: one player for each URL of a playlist."""

    port: int
    paths: tuple[str, ...]


@dataclass(slots=True)
class Followed:
    """What the players have had so far."""

    playing: int = 0
    """Players that have a segment."""
    playlists: int = 0
    segments: int = 0
    received_bytes: int = 0
    media_seconds: float = 0.0
    missed: int = 0
    """Answers other than 200 after the first segment."""
    first_segment_seconds: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0


class _Player:
    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._path = path
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS)
        self._seen: set[str] = set()
        self.target_seconds = 2.0
        self.followed = Followed()

    def run(self) -> None:
        begun = time.monotonic()
        while True:
            fresh = self._turn(begun)
            # RFC 8216, 6.3.4: a target duration after a playlist that was new, half of it after one that was not.
            time.sleep(self.target_seconds if fresh else self.target_seconds / 2)

    def _turn(self, begun: float) -> bool:
        text = self._fetch(self._path).decode()
        if not text:
            time.sleep(RETRY_SECONDS)
            return False
        lines = [line.strip() for line in text.splitlines()]
        if any(line.startswith("#EXT-X-STREAM-INF") for line in lines):
            self._path = self._beside(next(line for line in lines if line and not line.startswith("#")))
            return self._turn(begun)
        self.followed.playlists += 1
        listed = list(self._listed(lines))
        fresh = [each for each in listed if each[0] not in self._seen]
        if not self._seen:
            self._seen.update(path for path, _ in fresh[:-BEGIN_SEGMENTS])
            fresh = fresh[-BEGIN_SEGMENTS:]
        for path, seconds in fresh:
            data = self._fetch(path)
            self._seen.add(path)
            if data:
                self._count(len(data), seconds, time.monotonic() - begun)
        return bool(fresh)

    def _count(self, size_bytes: int, seconds: float, since_seconds: float) -> None:
        followed = self.followed
        if not followed.playing:
            followed.playing = 1
            followed.first_segment_seconds.append(since_seconds)
        followed.segments += 1
        followed.received_bytes += size_bytes
        followed.media_seconds += seconds

    def _listed(self, lines: list[str]) -> list[tuple[str, float]]:
        segments, seconds = [], 0.0
        for line in lines:
            if line.startswith("#EXT-X-TARGETDURATION:"):
                self.target_seconds = float(line.partition(":")[2])
            elif line.startswith("#EXTINF:"):
                seconds = float(line.partition(":")[2].split(",")[0])
            elif line and not line.startswith("#"):
                segments.append((self._beside(line), seconds))
        return segments

    def _beside(self, reference: str) -> str:
        parts = urlsplit(urljoin(f"http://127.0.0.1:{self._port}{self._path}", reference))
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def _fetch(self, path: str) -> bytes:
        """The body; empty when it was not to be had."""
        try:
            self._connection.request("GET", path)
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            body = b""
        else:
            if answer.status == 200:
                return body
        if self.followed.playing:
            self.followed.missed += 1
        return b""


def run(pipe: Connection, follow: Follow) -> None:
    """The body of the worker. Every command is answered with what the players have had so far."""
    players = [_Player(follow.port, path) for path in follow.paths]
    for player in players:
        threading.Thread(target=player.run, daemon=True).start()
    while True:
        pipe.recv()
        whole = Followed(cpu_seconds=time.process_time())
        for each in (player.followed for player in players):
            whole.playing += each.playing
            whole.playlists += each.playlists
            whole.segments += each.segments
            whole.received_bytes += each.received_bytes
            whole.media_seconds += each.media_seconds
            whole.missed += each.missed
            whole.first_segment_seconds += each.first_segment_seconds
        pipe.send(whole)
