"""Whole HTTP answers, made once and sent many times. Rule: nothing here knows a connection.

A playlist goes to every viewer each target duration, and a segment to each of them once: their bytes are made when
they change and shared. Only the date and the fate of the connection are added for each answer.
"""

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

NO_STORE: Final = "no-store"
PLAIN: Final = "text/plain; charset=utf-8"


class Answer:
    """A status line, headers and a body. ``body`` is never copied."""

    __slots__ = ("body", "head", "keeps_connection", "status")

    def __init__(
        self,
        status: HTTPStatus,
        content_type: str,
        body: bytes,
        cache_control: str = NO_STORE,
        keeps_connection: bool = True,
        headers: tuple[str, ...] = (),
    ) -> None:
        """``headers`` are whole lines without their ends. An answer that is ended by its connection's end (a stream)
        is not made here."""
        self.status = status
        self.body = body
        self.keeps_connection = keeps_connection
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", "Server: OpenKLS"]
        if content_type:
            lines.append(f"Content-Type: {content_type}")
        if status is not HTTPStatus.NO_CONTENT:
            lines.append(f"Content-Length: {len(body)}")
        lines += (
            f"Cache-Control: {cache_control}",
            "Access-Control-Allow-Origin: *",
            "X-Content-Type-Options: nosniff",
            *headers,
        )
        self.head: Final = ("\r\n".join(lines) + "\r\n").encode("ascii")


def refusal(status: HTTPStatus, text: str, *headers: str) -> Answer:
    """An answer that says why not, in plain text; the connection closes after it."""
    return Answer(status, PLAIN, (text + "\n").encode(), keeps_connection=False, headers=headers)


class Dates:
    """The Date line (RFC 9110, 6.6.1) of the current second."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._line = b""

    def line(self, now: float) -> bytes:
        """The header line with its end, for ``now`` in Unix seconds."""
        if int(now) != self._second:
            self._second = int(now)
            self._line = f"Date: {formatdate(now, usegmt=True)}\r\n".encode("ascii")
        return self._line
