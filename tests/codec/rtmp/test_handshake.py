"""The handshake: what each side says, in any split, and with what comes behind it."""

from random import Random

import pytest

from openkls.codec import ProtocolError
from openkls.codec.rtmp.handshake import BLOCK_BYTES, HANDSHAKE_RANDOM_BYTES, ClientHandshake, ServerHandshake
from support_codec import feedings, with_trailing


def said(side: ServerHandshake | ClientHandshake, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """Feed until done; return the answers and what came behind the handshake."""
    answers, behind = b"", b""
    for piece in pieces:
        if side.done:
            behind += piece
        else:
            answers += side.receive(piece)
    return answers, (side.rest + behind)


def test_server_answers_version_own_block_and_echo_however_split(rng: Random) -> None:
    own = rng.randbytes(HANDSHAKE_RANDOM_BYTES)
    c1, c2 = rng.randbytes(BLOCK_BYTES), rng.randbytes(BLOCK_BYTES)
    for data, trailing in with_trailing(b"\x03" + c1 + c2, rng):
        for pieces in feedings(data, rng):
            server = ServerHandshake(own)
            assert said(server, pieces) == (b"\x03" + bytes(8) + own + c1, trailing)
            assert server.done


def test_server_answers_once_the_first_block_is_there(rng: Random) -> None:
    server = ServerHandshake(rng.randbytes(HANDSHAKE_RANDOM_BYTES))
    assert server.receive(b"\x03" + bytes(BLOCK_BYTES - 1)) == b""
    assert len(server.receive(b"\x00")) == 1 + 2 * BLOCK_BYTES
    assert server.receive(bytes(BLOCK_BYTES - 1)) == b""
    assert not server.done


def test_server_says_version_zero_so_that_digest_clients_fall_back(rng: Random) -> None:
    server = ServerHandshake(rng.randbytes(HANDSHAKE_RANDOM_BYTES))
    assert server.receive(b"\x03" + rng.randbytes(BLOCK_BYTES))[5:9] == bytes(4)


def test_client_opens_and_echoes_however_split(rng: Random) -> None:
    own = rng.randbytes(HANDSHAKE_RANDOM_BYTES)
    s1, s2 = rng.randbytes(BLOCK_BYTES), rng.randbytes(BLOCK_BYTES)
    for data, trailing in with_trailing(b"\x03" + s1 + s2, rng):
        for pieces in feedings(data, rng):
            client = ClientHandshake(own)
            assert client.opening == b"\x03" + bytes(8) + own
            assert said(client, pieces) == (s1, trailing)
            assert client.done


def test_nothing_fed_changes_nothing() -> None:
    for side in (ServerHandshake(bytes(HANDSHAKE_RANDOM_BYTES)), ClientHandshake(bytes(HANDSHAKE_RANDOM_BYTES))):
        assert side.receive(b"") == b""
        assert not side.done


@pytest.mark.parametrize("version", [0, 2, 4, 6, 9, ord("G"), 255])
def test_any_other_version_is_refused_at_its_byte(version: int) -> None:
    for side in (ServerHandshake(bytes(HANDSHAKE_RANDOM_BYTES)), ClientHandshake(bytes(HANDSHAKE_RANDOM_BYTES))):
        with pytest.raises(ProtocolError, match=f"version {version}"):
            side.receive(bytes([version]))


@pytest.mark.parametrize("length", [0, HANDSHAKE_RANDOM_BYTES - 1, HANDSHAKE_RANDOM_BYTES + 1])
def test_wrong_number_of_random_bytes_is_our_bug(length: int) -> None:
    with pytest.raises(ValueError, match=str(HANDSHAKE_RANDOM_BYTES)):
        ServerHandshake(bytes(length))
    with pytest.raises(ValueError, match=str(HANDSHAKE_RANDOM_BYTES)):
        ClientHandshake(bytes(length))
