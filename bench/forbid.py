"""How long a ban takes: from the last byte of a ForbidStream request to the closed sockets of publisher and viewers.

The service is a process of its own with its store on disk; each round publishes a new stream, joins an RTMP and an
HTTP-FLV viewer, forbids and waits for the end of all three connections. Client and service share the machine's cores,
so the figures hold the client's own scheduling too. Loopback: a network adds its one-way delay.
"""

import os
import select
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.machine import no_options, spread
from openkls.codec import flv, sigv4
from openkls.codec.amzdate import build_amz_date
from openkls.codec.rtmp.client import ClientSession, Mode, parse_rtmp_url
from openkls.codec.rtmp.events import PlayStarted, PublishStarted
from openkls.codec.rtmp.handshake import HANDSHAKE_RANDOM_BYTES
from tests.support_service import ACCESS_KEY, SECRET_KEY, RunningService

ROUNDS: Final = 50
PUBDOMAIN: Final = "push.demo.local"
# A key frame's worth of bytes in an AVC tag; nobody decodes it.
KEY_FRAME: Final = b"\x17\x01\x00\x00\x00" + bytes(4000)
AVC_HEADER: Final = b"\x17\x00\x00\x00\x00" + bytes.fromhex("0142c01effe100042742c01e01000128")
WAIT_SECONDS: Final = 5.0


def main(options: Sequence[str] = ()) -> None:
    """Measure and print."""
    no_options("forbid", __doc__, options)
    with tempfile.TemporaryDirectory() as folder:
        service = RunningService(Path(folder))
        service.start()
        try:
            rounds = [_round(service, f"round-{number}") for number in range(ROUNDS)]
        finally:
            service.end()
    for index, what in enumerate(("publisher closed", "RTMP viewer closed", "HTTP-FLV viewer closed", "answer read")):
        print(f"{what:24} {spread([each[index] for each in rounds])}   ({ROUNDS} rounds)")


def _round(service: RunningService, stream: str) -> list[float]:
    """Milliseconds to the end of publisher, RTMP viewer, HTTP-FLV viewer, and to the answer."""
    publisher, session = _rtmp(service, stream, Mode.PUBLISH)
    session.send_media(flv.VIDEO, 0, AVC_HEADER)
    session.send_media(flv.VIDEO, 0, KEY_FRAME)
    publisher.sendall(session.data_to_send())
    player, _ = _rtmp(service, stream, Mode.PLAY)
    viewer = socket.create_connection(("127.0.0.1", service.play_port))
    viewer.sendall(f"GET /live/{stream}.flv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert viewer.recv(65536).startswith(b"HTTP/1.1 200"), "the viewer was refused"
    api = socket.create_connection(("127.0.0.1", service.api_port))
    api.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = _request(service, stream)
    sockets = [publisher, player, viewer, api]
    ended: dict[socket.socket, float] = {}
    api.sendall(request)
    begin = time.perf_counter()
    while len(ended) < len(sockets):
        readable, _, _ = select.select([each for each in sockets if each not in ended], [], [], WAIT_SECONDS)
        assert readable, "a connection was not closed"
        now = time.perf_counter()
        for each in readable:
            if _is_over(each, api):
                ended[each] = (now - begin) * 1000
    for each in sockets:
        each.close()
    return [ended[each] for each in sockets]


def _is_over(readable: socket.socket, api: socket.socket) -> bool:
    try:
        data = readable.recv(1 << 16)
    except ConnectionResetError:
        return True
    if readable is api:
        assert b'"RetCode":0' in data, data
        return True
    return not data


def _rtmp(service: RunningService, stream: str, mode: Mode) -> tuple[socket.socket, ClientSession]:
    url = parse_rtmp_url(service.push_url(stream))
    session = ClientSession(mode, url, os.urandom(HANDSHAKE_RANDOM_BYTES))
    connection = socket.create_connection((url.host, url.port), WAIT_SECONDS)
    while True:
        connection.sendall(session.data_to_send())
        for event in session.receive(connection.recv(65536)):
            if isinstance(event, PublishStarted | PlayStarted):
                return connection, session


def _request(service: RunningService, stream: str) -> bytes:
    body = f'{{"UniqueName":"demo","App":"live","Pubdomain":"{PUBDOMAIN}","Stream":"{stream}"}}'.encode()
    host = f"127.0.0.1:{service.api_port}"
    headers = [("Host", host), ("Content-Type", "application/json"), ("Accept", "application/json")]
    query = "Action=ForbidStream&Version=2017-01-01"
    unsigned = sigv4.SignedRequest("POST", "/", query, headers, body)
    signed = sigv4.sign(unsigned, ACCESS_KEY, SECRET_KEY, "cn-beijing-6", "kls", build_amz_date(int(time.time())))
    lines = [f"POST /?{query} HTTP/1.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in [*headers, *signed.items()]]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


if __name__ == "__main__":
    main()
