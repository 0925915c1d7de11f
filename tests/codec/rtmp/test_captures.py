"""What real clients sent to a server, handshakes blanked: the first 8 KiB of each, from the fuzz corpus."""

from pathlib import Path
from random import Random

import pytest

from openkls.codec.rtmp import (
    Connected,
    MediaReceived,
    PlayEnded,
    PlayRequested,
    PublishRequested,
    ServerSession,
    State,
)
from openkls.codec.rtmp.message import AUDIO, DATA, VIDEO
from support_codec import feedings
from support_rtmp import ZEROS

CORPUS = Path(__file__).parents[3] / "fuzz" / "corpus" / "rtmp"
PUBLISHERS = ["ffmpeg-9-publish", "gstreamer-1.22-rtmp2sink", "gstreamer-1.22-rtmpsink-librtmp"]
PLAYERS = ["ffmpeg-9-play", "rtmpdump-2.4-play", "gstreamer-1.22-rtmp2src"]


def capture(name: str) -> bytes:
    return (CORPUS / f"{name}.bin").read_bytes()[1:]  # the first byte chooses the fuzz target's machine


@pytest.mark.parametrize("name", PUBLISHERS)
def test_real_publisher_is_understood_however_split(name: str, rng: Random) -> None:
    stories = []
    for pieces in feedings(capture(name), rng):
        session, events = ServerSession(ZEROS), []
        for piece in pieces:
            events += session.receive(piece)
            if session.state is State.PUBLISH_ASKED:
                events += session.accept_publish()
        assert session.state is State.PUBLISHING
        stories.append(events)
    assert all(story == stories[0] for story in stories)
    connected, requested, *media = stories[0]
    assert isinstance(connected, Connected)
    assert isinstance(requested, PublishRequested)
    assert (requested.app, requested.stream) == ("live", "s")
    assert {event.type_id for event in media if isinstance(event, MediaReceived)} == {AUDIO, VIDEO, DATA}


@pytest.mark.parametrize("name", PLAYERS)
def test_real_player_is_understood_however_split(name: str, rng: Random) -> None:
    for pieces in feedings(capture(name), rng):
        session, events = ServerSession(ZEROS), []
        for piece in pieces:
            events += session.receive(piece)
            if session.state is State.PLAY_ASKED:
                events += session.accept_play()
        connected, requested, *rest = events
        assert isinstance(connected, Connected)
        assert isinstance(requested, PlayRequested)
        assert (requested.app, requested.stream) == ("live", "p")
        assert rest in ([], [PlayEnded()])
