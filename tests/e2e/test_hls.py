"""HLS end to end: a real encoder, a real player, and what the API says of it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from support_service import FFMPEG, RunningService, make_clip, pushing, until

pytestmark = pytest.mark.e2e


def watched(service: RunningService, protocol: str) -> dict[str, Any]:
    """Data of ListRealtimeStreamsInfo by one protocol."""
    return service.call("ListRealtimeStreamsInfo", PullProtocol=protocol)


def test_hls_viewer_is_listed_with_its_bandwidth_and_gone_after_three_target_durations(
    service: RunningService, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.flv", seconds=10)
    url = f"http://127.0.0.1:{service.play_port}/live/hls1.m3u8"
    with pushing(clip, service.push_url("hls1")):
        until(lambda: service.call("ListRealtimeStreamsInfo", Type="push")["Count"])
        player = subprocess.Popen(
            [FFMPEG, "-v", "error", "-re", "-i", url, "-c", "copy", "-f", "null", "-"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: watched(service, "hls")["OnlineUser"] == 1, 20)
            (row,) = watched(service, "hls")["Streams"]
            assert (row["Stream"], row["OnlineUser"]) == ("hls1", 1)
            # The clip is 800 kbps of video and 64 of audio; the packets of a transport stream add a few per cent.
            until(lambda: 600_000 < watched(service, "hls")["Bw"] < 1_800_000, 20)
            for protocol in ("rtmp", "http+flv"):
                assert watched(service, protocol)["OnlineUser"] == 0
        finally:
            player.kill()
            player.wait(10)
        until(lambda: watched(service, "hls")["OnlineUser"] == 0, 3 * 2 + 5)
