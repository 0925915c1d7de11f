"""`make cluster`: PostgreSQL, Redis, two media nodes and two API nodes of one's own, shown at work, then left running.

Rule: everything shown was answered by the running nodes; a step that does not hold, or a process that ends unasked,
ends the whole with 1. Everything is on free ports of loopback and in a temporary folder, and gone at the end.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.table import Table

from openkls.client import KlsError
from tools.site import POLL_SECONDS, Node, Site, Stopped, missing_programs, openkls
from tools.stage import FFMPEG, STREAM, DemoFailed, console, hold, show, show_details, show_row, tell

PUBDOMAIN = "push.demo.local"
PLAYED_SECONDS = 4
TRY_AGAIN_SECONDS = 5.0
ROW = "Stream Node ClientIP Vcodec Width Height Acodec SampleRate"
SILENT = ("-hide_banner", "-loglevel", "error")


class Show:
    """The steps, on one site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._step = 0

    def step(self, text: str) -> None:
        """A new heading."""
        self._step += 1
        console.print(f"\n[bold cyan]{self._step}. {text}[/bold cyan]")

    def run(self) -> None:
        """The whole story."""
        self.start()
        self.publish()
        self.ask()
        self.play()
        self.forbid()
        self.refuse()
        self.resume()

    def start(self) -> None:
        """Everything is up."""
        site = self.site
        self.step("PostgreSQL and Redis start, private, in a temporary folder")
        site.start_stores()
        assert site.postgres is not None
        tell(f"the folder, with the nodes' configuration and logs: {site.folder}")
        tell(f"PostgreSQL on the unix socket {site.postgres.socket}, Redis on port {site.redis.port}")
        self.step("Four nodes start on them: two of media, two of the API")
        site.start_nodes()
        table = Table("node", "serves", "log", box=None, pad_edge=False)
        for node in site.media:
            ports = f"rtmp://127.0.0.1:{node.ports[0]} and http://127.0.0.1:{node.ports[1]}"
            table.add_row(node.name, ports, str(site.log(node.name)))
        for node in site.api:
            table.add_row(node.name, node.endpoint, str(site.log(node.name)))
        show(table)

    def publish(self) -> None:
        """A clip, and an encoder that sends it."""
        media = self.site.media[0]
        self.step(f"ffmpeg pushes a real H.264/AAC stream to {media.name}")
        clip = self.site.folder / "clip.flv"
        made = subprocess.run(  # noqa: S603
            [
                *(FFMPEG, *SILENT, "-y", "-f", "lavfi", "-i", "testsrc=size=640x360:rate=25"),
                *("-f", "lavfi", "-i", "sine=frequency=440", "-t", "10", "-c:v", "libx264", "-preset", "ultrafast"),
                *("-pix_fmt", "yuv420p", "-g", "50", "-b:v", "800k", "-c:a", "aac", "-b:a", "64k", "-f", "flv"),
                str(clip),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
            check=False,
        )
        hold(made.returncode == 0, f"ffmpeg made no clip: {made.stderr}")
        self._push(media)

    def ask(self) -> None:
        """One list, whichever API node is asked."""
        self.step("Both API nodes list it, though neither has it")
        for node in self.site.api:
            row = self._listed(node)
            hold(row["Node"] == self.site.media[0].address, f"it should live on media-1: {row}")
            tell(f"{node.name}, ListRealtimeStreamsInfo:")
            show_row(row, ROW)
        tell(f"Node {self.site.media[0].address} is what media-1 calls itself; the API nodes know of it from Redis")

    def play(self) -> None:
        """A viewer on the node that does not have the stream."""
        site, media = self.site, self.site.media[1]
        self.step(f"A viewer of {media.name} gets it too: {media.name} pulls it from media-1, once for all its viewers")
        url = media.flv_url(STREAM)
        site.run("viewer", *openkls(), "play", url, "--output", str(site.folder / "viewed.flv"))
        tell(f"openkls play {url}")
        for node in site.api:

            def counted(node: Node = node) -> dict[str, Any] | None:
                rows = site.call(node, "ListRealtimeStreamsInfo", Stream=STREAM, PullProtocol="http+flv")["Streams"]
                return rows[0] if rows and rows[0]["OnlineUser"] and rows[0]["Bw"] else None

            row = site.until(counted, f"the viewer to be counted by {node.name}")
            hold(row["OnlineUser"] == 1, f"one viewer was expected, the relay counts as nobody: {row}")
            tell(f"{node.name}: OnlineUser {row['OnlineUser']}, {row['Bw'] / 1000:.0f} kbit/s sent to it")

        def second() -> str:
            lines = [line for line in site.said("viewer").splitlines() if "fps" in line]
            return lines[-1].strip() if len(lines) >= PLAYED_SECONDS else ""

        tell(f"the viewer's {PLAYED_SECONDS}th second: {site.until(second, 'the viewer to have seen some seconds')}")

    def forbid(self) -> None:
        """A ban that reaches every node."""
        site, api = self.site, self.site.api
        self.step(f"{api[1].name} forbids it: cut on media-1, and its viewer on media-2 with it")
        encoder, viewer = site.let_go("encoder", "viewer")
        began = time.perf_counter()
        site.call(api[1], "ForbidStream", Pubdomain=PUBDOMAIN, Stream=STREAM)
        tell(f"ForbidStream was answered after {(time.perf_counter() - began) * 1000:.0f} ms")
        site.until(lambda: encoder.poll() is not None, "the encoder to be cut")
        site.until(lambda: viewer.poll() is not None, "the viewer to be cut")
        hold(encoder.returncode != 0, "ffmpeg ended as if nothing had happened")
        tell(f"ffmpeg ended with {encoder.returncode}, the viewer with {viewer.returncode}")
        tell(f"the viewer's last word: {site.said('viewer').strip().splitlines()[-1]}")
        check = site.call(api[0], "CheckBlacklist", Pubdomain=PUBDOMAIN, Stream=STREAM)
        hold(check["CheckResult"] == 1, "the other API node does not know of the ban")
        tell(f"{api[0].name}, CheckBlacklist: CheckResult 1")

    def refuse(self) -> None:
        """No node lets it in."""
        site, media = self.site, self.site.media[1]
        self.step(f"The encoder tries its luck on {media.name}, and is refused there too")
        site.run("refused", *self._ffmpeg(media))
        (encoder,) = site.let_go("refused")
        site.until(lambda: encoder.poll() is not None, "the encoder to be refused")
        hold(encoder.returncode != 0, "a forbidden stream was published")
        words = [line for line in site.said("refused").splitlines() if "423" in line]
        hold(bool(words), f"ffmpeg was not told why: {site.said('refused')}")
        tell(f"ffmpeg says: {words[0]}")

        def recorded() -> list[dict[str, Any]] | None:
            data = site.call(site.api[0], "ListHistoryPubStreamsErrInfo", Pubdomain=PUBDOMAIN, Stream=STREAM)
            return data["Result"][0]["Detail"] if data["Total"] == 2 else None

        details = site.until(recorded, "the cut and the refusal in the error history")
        hold([row["StatusCode"] for row in details] == [423, 423], f"423 twice was expected: {details}")
        tell(f"{site.api[0].name}, ListHistoryPubStreamsErrInfo, newest first:")
        show_details(details)

    def resume(self) -> None:
        """And back."""
        site, api = self.site, self.site.api
        self.step(f"{api[0].name} resumes it, and the encoder is back on media-1")
        site.call(api[0], "ResumeStream", Pubdomain=PUBDOMAIN, Stream=STREAM)
        site.until(
            lambda: site.call(api[1], "CheckBlacklist", Pubdomain=PUBDOMAIN, Stream=STREAM)["CheckResult"] == 0,
            "the other API node to know of it",
        )
        self._push(site.media[0])
        for node in api:
            self._listed(node)
            tell(f"{node.name} lists it again")

    def go_on(self) -> None:
        """Until somebody ends it. The encoder is one that does not give up, so that it may be forbidden and resumed."""
        try_again_at = None
        (encoder,) = self.site.let_go("encoder")
        while True:
            self.site.check()
            time.sleep(POLL_SECONDS)
            if encoder.poll() is None:
                continue
            if try_again_at is None:
                try_again_at = time.monotonic() + TRY_AGAIN_SECONDS
            elif time.monotonic() >= try_again_at:
                self.site.run("encoder", *self._ffmpeg(self.site.media[0]))
                (encoder,) = self.site.let_go("encoder")
                try_again_at = None

    def how_to_go_on(self) -> None:
        """What a reader may try now."""
        site, two = self.site, self.site.media[1]
        program = os.path.relpath(Path(sys.executable).parent / "openkls")
        call, ffmpeg = f"{program} call", "ffmpeg" if shutil.which("ffmpeg") else FFMPEG
        names = f"--config {site.config} UniqueName=demo App=live"
        assert site.postgres is not None
        console.print("\n[bold green]It goes on, with the encoder on media-1. To try, from this folder:[/bold green]")
        for what, command in (
            ("Watch it, through the node that does not have it:", f"ffplay {two.flv_url(STREAM)}"),
            ("", f"{program} play {two.rtmp_url(STREAM)}"),
            (
                "Push one more, to the other node:",
                f"{ffmpeg} -re -stream_loop -1 -i {site.folder}/clip.flv -c copy -f flv {two.rtmp_url('more')}",
            ),
            ("List them, by api-1 and by api-2:", f"{call} ListRealtimeStreamsInfo Type=push {names}"),
            ("", f"{call} ListRealtimeStreamsInfo Type=push {names} --endpoint {site.api[1].endpoint}"),
            (
                f"Forbid it, and resume it; the encoder tries again every {TRY_AGAIN_SECONDS:g} s:",
                f"{call} ForbidStream Pubdomain={PUBDOMAIN} Stream={STREAM} {names}",
            ),
            ("", f"{call} ResumeStream Pubdomain={PUBDOMAIN} Stream={STREAM} {names}"),
            ("What Redis holds, and what is asked of it:", f"redis-cli -p {site.redis.port} --scan"),
            ("", f"redis-cli -p {site.redis.port} monitor"),
            ("What PostgreSQL holds:", f'psql "{site.postgres.url("openkls")}"'),
        ):
            if what:
                tell(what)
            tell(f"  {command}")
        tell(f"The key pair is in {site.config}: {site.key[0]}.")

    def _push(self, media: Node) -> None:
        command = self._ffmpeg(media)
        self.site.run("encoder", *command)
        tell(f"ffmpeg {' '.join(command[1 + len(SILENT) :])}")

    def _ffmpeg(self, media: Node) -> list[str]:
        paced = ("-re", "-stream_loop", "-1", "-i", "clip.flv")
        return [FFMPEG, *SILENT, *paced, "-c", "copy", "-f", "flv", media.rtmp_url(STREAM)]

    def _listed(self, node: Node) -> dict[str, Any]:
        """The stream as a node lists it, once its frames come as they should."""

        def measured() -> dict[str, Any] | None:
            rows = self.site.call(node, "ListRealtimeStreamsInfo", Stream=STREAM, Type="push")["Streams"]
            return rows[0] if rows and rows[0]["Curfps"] >= 20 else None

        return self.site.until(measured, f"the stream to be listed by {node.name}")


def main() -> int:
    """Show it, and go on until Ctrl-C; the exit code."""
    parser = argparse.ArgumentParser(prog="make cluster", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the show (make cluster ONCE=1)")
    once = parser.parse_args().once
    missing = missing_programs()
    if missing:
        console.print("make cluster starts local binaries, and some are not there:", style="bold red")
        for text in missing:
            tell(text)
        return 1
    console.print("[bold]OpenKLS: two media nodes and two API nodes as one service[/bold]")
    site, shown = Site(), False
    try:
        acts = Show(site)
        acts.run()
        shown = True
        if not once:
            acts.how_to_go_on()
            console.print("\nCtrl-C ends it, and leaves nothing behind.")
            acts.go_on()
    except Stopped:
        pass
    except (DemoFailed, KlsError, RuntimeError, OSError, subprocess.CalledProcessError) as error:
        console.print(f"\nThe cluster does not hold: {error}", markup=False, style="bold red")
        return 1
    finally:
        console.print("\nEnding the nodes, Redis and PostgreSQL.")
        site.close()
    if not shown:
        console.print("Stopped.")
        return 130
    console.print("All have ended, and the folder is gone.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
