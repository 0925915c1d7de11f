"""A customer's server that is told of events: it accepts, fails, hangs, breaks off, and goes away, as the test says.

Rule: it verifies with the snippet of docs/how-to/callbacks.md and nothing of ours, notes what it was told, and never
fails a test itself.
"""

import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs/how-to/callbacks.md"
KEY = "key of the callbacks"


class Mood(Enum):
    """What the receiver does with an event, having read it."""

    ACCEPTS = "accepts"
    FAILS = "fails"
    HANGS = "hangs"
    BREAKS_OFF = "breaks off"
    """Takes it, and closes half way through its answer."""


@dataclass(frozen=True)
class Arrival:
    """One attempt as it arrived."""

    event: dict[str, Any]
    accepted: bool

    @property
    def kind(self) -> str:
        return str(self.event["NotifyType"])


class Receiver:
    """A server on a port that stays its own while it is away."""

    def __init__(self) -> None:
        snippet: dict[str, Any] = {"__name__": "snippet"}
        exec(re.findall(r"```python\n(.+?)```", PAGE.read_text(), re.DOTALL)[0], snippet)
        self._is_ours: Callable[[str, str, str, bytes], bool] = snippet["is_ours"]
        self.mood = Mood.ACCEPTS
        self.arrivals: list[Arrival] = []
        self.forged = 0
        self._server: ThreadingHTTPServer | None = None
        self._free = threading.Event()
        with socket.socket() as place:
            place.bind(("127.0.0.1", 0))
            self.port = place.getsockname()[1]
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/told?from=kls"

    @property
    def config(self) -> str:
        """A space that it is told of."""
        return f"""
[[account.space]]
unique_name = "told"
apps = ["live"]
publish_domains = ["push.told.local"]
callback_url = "{self.url}"
callback_keys = ["an older key", "{KEY}"]
callback_private = true
"""

    def start(self) -> None:
        """Be there."""
        receiver = self

        class Hooks(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                pass  # whoever told has gone

        self._free.clear()
        self._server = Server(("127.0.0.1", self.port), Hooks)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Go away; what hangs is let go."""
        if self._server is not None:
            self._free.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        mood = self.mood
        body = request.rfile.read(int(request.headers["Content-Length"]))
        timestamp, signatures = request.headers["X-OpenKLS-Timestamp"], request.headers["X-OpenKLS-Signature"]
        if not self._is_ours(KEY, timestamp, signatures, body):
            self.forged += 1
            request.send_error(403)
            return
        self.arrivals.append(Arrival(json.loads(body), mood is Mood.ACCEPTS))
        if mood is Mood.HANGS:
            self._free.wait(30)
        elif mood is Mood.BREAKS_OFF:
            request.wfile.write(b"HTTP/1.1 20")
            request.wfile.flush()
            request.connection.shutdown(socket.SHUT_RDWR)
        else:
            request.send_response(204 if mood is Mood.ACCEPTS else 500)
            request.end_headers()

    def of(self, stream: str) -> list[dict[str, Any]]:
        """The events of a stream, each once, in the order in which they came first; a repeat of one after a later one
        is an AssertionError."""
        found: list[dict[str, Any]] = []
        for arrival in list(self.arrivals):
            event = arrival.event
            if event["Stream"] != stream or (found and found[-1]["EventId"] == event["EventId"]):
                continue
            assert event["EventId"] not in [each["EventId"] for each in found], f"out of order: {event}"
            found.append(event)
        return found

    def kinds(self, stream: str) -> list[str]:
        return [str(event["NotifyType"]) for event in self.of(stream)]

    def streams(self) -> list[str]:
        return list(dict.fromkeys(str(arrival.event["Stream"]) for arrival in list(self.arrivals)))
