"""What a started service tells its operator: endpoints, key, a push that works, where to watch.

Rule: the secret is shown in full on a terminal only; elsewhere (a journal, a log of a CI run) it would stay for ever.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from openkls.cli.place import authority, reachable
from openkls.config import Address, Config, Space, is_alias, normal_host, parse_address

APP_DEFAULT = "live"
STREAM = "test"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the service listens, as bound; None where another process does."""

    api: Address | None
    rtmp: Address | None
    play: Address | None
    api_tls: Address | None = None


def welcome(
    tree: Config, path: Path | None, endpoints: Endpoints, on_terminal: bool, program: str = "openkls"
) -> list[str]:
    """The lines to print when the service is up; ``program`` is how this one is called from here."""
    if endpoints.api is None or endpoints.rtmp is None or endpoints.play is None:
        return _part(endpoints)
    api = authority(reachable(endpoints.api.host), endpoints.api.port)
    rtmp = authority(reachable(endpoints.rtmp.host), endpoints.rtmp.port)
    play = authority(reachable(endpoints.play.host), endpoints.play.port)
    secured = endpoints.api_tls
    lines = [
        "OpenKLS is running. Ctrl-C ends it.",
        "",
        f"  API         http://{api}   region {tree.server.region}, service kls",
        *([f"              https://{authority(reachable(secured.host), secured.port)}"] if secured else []),
        *([f"  console     http://{api}/console/"] if tree.console.enabled else []),
        f"  RTMP        rtmp://{rtmp}",
        f"  HTTP-FLV    http://{play}   and HLS",
        *_keys(tree, path, on_terminal),
    ]
    space = _try_out_space(tree)
    if space is None:
        return [*lines, "", "No space has a publish domain without authentication; how to sign a push:", f"  {_HOW_TO}"]
    app = space.apps[0] if space.apps else APP_DEFAULT
    domain = _door(space)
    # A name that resolves nowhere still opens its door when it is said as vhost.
    door, vhost = (rtmp, "") if is_alias(domain) else (rtmp, f"?vhost={domain}")
    push = f"rtmp://{door}/{app}/{STREAM}{vhost}"
    lines += ["", "Push a test picture:", f"  {_ffmpeg(push)}"]
    if all(domain.auth == "none" for domain in space.play_domain) and tree.play.by_address:
        lines += [
            "Watch it:",
            f"  rtmp://{rtmp}/{app}/{STREAM}",
            f"  http://{play}/{app}/{STREAM}.flv",
            f"  http://{play}/{app}/{STREAM}.m3u8",
        ]
    lines += [
        "Ask for it:",
        f"  {program} call ListRealtimeStreamsInfo UniqueName={space.unique_name} App={app} Type=push",
    ]
    return lines


def _part(endpoints: Endpoints) -> list[str]:
    """Of a process that serves one role."""
    rows = (
        ("API         http", endpoints.api),
        ("            https", endpoints.api_tls),
        ("RTMP        rtmp", endpoints.rtmp),
        ("HTTP-FLV    http", endpoints.play),
    )
    return [
        "OpenKLS is running. Ctrl-C ends it.",
        "",
        *(f"  {row}://{authority(reachable(at.host), at.port)}" for row, at in rows if at is not None),
    ]


def open_doors_warning(tree: Config) -> str | None:
    """What to say when anybody in the network may push; None when nobody outside this machine can."""
    host = parse_address(tree.rtmp.listen, "rtmp.listen").host
    if _is_loopback(host):
        return None
    names = [
        door.name
        for account in tree.account
        for space in account.space
        for door in space.doors
        if door.auth == "none" and not door.allow
    ]
    if not names:
        return None
    return (
        f"RTMP listens on {tree.rtmp.listen}, and whoever reaches it may push through: {', '.join(names)}."
        f" Give these publish domains an auth or an allow list ({_HOW_TO})."
    )


_HOW_TO = "docs/how-to/protect-a-publish-domain.md"


def _keys(tree: Config, path: Path | None, on_terminal: bool) -> list[str]:
    key = next((key for account in tree.account for key in account.key), None)
    if key is None:
        return ["  no key pair in the configuration; make one with: openkls key create"]
    secret = key.secret_key if on_terminal else f"in {path}"
    return [f"  access key  {key.access_key}", f"  secret key  {secret}"]


def _try_out_space(tree: Config) -> Space | None:
    spaces = [space for account in tree.account for space in account.space]
    return next((space for space in spaces if any(door.auth == "none" for door in space.doors)), None)


def _door(space: Space) -> str:
    names = [normal_host(door.name) for door in space.doors if door.auth == "none"]
    return next((name for name in names if is_alias(name)), names[0])


def _ffmpeg(url: str) -> str:
    return (
        "ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=25 -f lavfi -i sine=frequency=440"
        f" -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 50 -c:a aac -f flv {url!r}"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, or empty: every address
        return False
