"""The real service as a process, and the real encoder, for tests end to end.

Rule: everything started here is ended here, by its own process id; ports are the system's choice; loopback only.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import imageio_ffmpeg

from openkls.client import Client
from tools.ports import free_ports

ACCESS_KEY = "AKTESTTESTTESTTEST"
SECRET_KEY = "test-secret-of-no-use-elsewhere"
ACCOUNT = "2000001"
START_SECONDS = 30.0
T = TypeVar("T")
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()

CONFIG = """
[server]
data_dir = "{data_dir}"
[api]
listen = "127.0.0.1:{api}"
[rtmp]
listen = "127.0.0.1:{rtmp}"
[play]
listen = "127.0.0.1:{play}"
[[account]]
id = "{account}"
[[account.key]]
access_key = "{access_key}"
secret_key = "{secret_key}"
[[account.space]]
unique_name = "demo"
apps = ["live"]
publish_domains = ["push.demo.local", "localhost", "127.0.0.1"]
[[account.space.publish_domain]]
name = "md5.demo.local"
auth = "md5"
keys = ["123456"]
[[account.space.play_domain]]
id = "1001"
name = "play.demo.local"
"""


def until(fact: Callable[[], T], seconds: float = 10.0, step_seconds: float = 0.05) -> T:
    """The first true value of ``fact``; AssertionError with the last one when none came in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = fact()
        if value:
            return value
        assert time.monotonic() < deadline, f"not so within {seconds} s: {value!r}"
        time.sleep(step_seconds)


class RunningService:
    """``openkls serve`` on a data folder that outlives its process."""

    def __init__(self, folder: Path, more_config: str = "") -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.api_port, self.rtmp_port, self.play_port = free_ports(3)
        self.config = folder / "openkls.toml"
        self.config.write_text(
            CONFIG.format(
                data_dir=self.data_dir,
                api=self.api_port,
                rtmp=self.rtmp_port,
                play=self.play_port,
                account=ACCOUNT,
                access_key=ACCESS_KEY,
                secret_key=SECRET_KEY,
            )
            + more_config
        )
        self.log = folder / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.limits_enforced = False

    @property
    def endpoint(self) -> str:
        """The API's."""
        return f"http://127.0.0.1:{self.api_port}"

    def push_url(self, stream: str, host: str = "127.0.0.1") -> str:
        """Where to push a stream of the app ``live``."""
        return f"rtmp://{host}:{self.rtmp_port}/live/{stream}"

    def flv_url(self, stream: str) -> str:
        """Where to play a stream over HTTP-FLV."""
        return f"http://127.0.0.1:{self.play_port}/live/{stream}.flv"

    def hls_url(self, stream: str) -> str:
        """Where to play a stream over HLS."""
        return f"http://127.0.0.1:{self.play_port}/live/{stream}.m3u8"

    def start(self) -> None:
        """Start, and wait until every port answers."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENKLS_")}
        # Tests that wait for a fact ask more often than 50 times a minute.
        environment["OPENKLS_LIMITS__ENFORCE"] = str(self.limits_enforced).lower()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "openkls", "serve", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=self.folder,
            )
        for port in (self.api_port, self.rtmp_port, self.play_port):
            until(lambda port=port: self._answers(port), START_SECONDS)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def end(self) -> None:
        """Whatever its state: gone."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def call(self, action: str, **parameters: object) -> dict[str, Any]:
        """One signed call of our own client for the space ``demo``, app ``live``; ``Data``."""
        with Client(self.endpoint, ACCESS_KEY, SECRET_KEY, retries=0) as api:
            return api.call(action, {"UniqueName": "demo", "App": "live", **parameters})

    def _answers(self, port: int) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False


def make_clip(path: Path, seconds: int = 30, rate: int = 25, video_kbps: int = 800) -> Path:
    """An FLV of H.264 and AAC, 640x360, 44.1 kHz, with a constant bitrate."""
    subprocess.run(
        [
            *(FFMPEG, "-hide_banner", "-loglevel", "error", "-y"),
            *("-f", "lavfi", "-i", f"testsrc2=size=640x360:rate={rate}"),
            *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"),
            *("-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
            *("-b:v", f"{video_kbps}k", "-minrate", f"{video_kbps}k", "-maxrate", f"{video_kbps}k"),
            *("-bufsize", f"{video_kbps // 2}k", "-x264-params", "nal-hrd=cbr", "-g", str(rate * 2)),
            *("-c:a", "aac", "-b:a", "64k", "-f", "flv", str(path)),
        ],
        check=True,
        timeout=120,
    )
    return path


@contextlib.contextmanager
def pushing(clip: Path, url: str, log: Path | None = None, real_time: str = "-re") -> Iterator[subprocess.Popen[bytes]]:
    """A real ffmpeg that pushes the clip, for ever, in real time; ended at the end."""
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(log.open("wb")) if log else subprocess.DEVNULL
        process = subprocess.Popen(
            [
                *(FFMPEG, "-hide_banner", "-loglevel", "verbose", real_time, "-stream_loop", "-1", "-i", str(clip)),
                *("-c", "copy", "-f", "flv", url),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=out,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(10)
