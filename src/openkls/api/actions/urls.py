"""DescribeStreamUrls: where a stream is pushed to and played from, signed where its doors ask for it (2026-01-01).

Rule: what is made here is what the doors accept (codec/pushauth makes and checks both); a key itself is never told.

Names are letters and digits of any script and ``_-.~@:``. In an RTMP URL they stand as they are, since encoders send
the path as it is written; in an HTTP URL they are percent-encoded.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from openkls import config
from openkls.api.services import Place, Services
from openkls.codec.pushauth import sign_hmac, sign_md5
from openkls.config import Address, join_address, normal_host
from openkls.domain.errors import BusinessError

DAY_SECONDS: Final = 86_400
RTMP_PORT: Final = 1935
HTTP_PORT: Final = 80
# The page that shows a URL by address puts the host in by which it reaches the service itself.
HOST_PLACEHOLDER: Final = "{host}"


async def describe_stream_urls(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The URLs of a stream. Raises BusinessError 4001 for an expiry that is past."""
    now = int(services.clock())
    expiry = parameters.get("ExpireUnixTime", now + DAY_SECONDS)
    if expiry <= now:
        raise BusinessError(4001, "ExpireUnixTime is past")
    app, stream = parameters["App"], parameters["Stream"]
    door = services.directory.door(parameters["Pubdomain"])
    if door is None:  # the configuration was changed since the step that found it
        raise BusinessError(4000, parameters["Pubdomain"])
    server = f"rtmp://{_authority(normal_host(parameters['Pubdomain']), services.rtmp_port, RTMP_PORT)}/{app}"
    stream_key = stream + _query(_sign_push(door.domain, stream, expiry))
    return {
        "ExpireUnixTime": expiry,
        "Push": {
            "Url": f"{server}/{stream_key}",
            "Server": server,
            "StreamKey": stream_key,
            "Auth": door.domain.auth,
        },
        "Plays": list(_plays(services, place.space, app, stream, expiry)),
    }


def _plays(services: Services, space: config.Space, app: str, stream: str, expiry: int) -> Iterator[dict[str, Any]]:
    for domain in space.play_domain:
        signed = sign_md5(domain.keys[0], stream, expiry) if domain.auth == "md5" else ""
        host = normal_host(domain.name)
        yield from _ways(services, host, app, stream, _query(signed), domain.auth, host)
    # As Directory.seats: a space with a door that asks for a signature is not to be walked around by address.
    if services.directory.by_address and all(domain.auth == "none" for domain in space.play_domain):
        yield from _ways(services, HOST_PLACEHOLDER, app, stream, "", "none", "")


def _ways(
    services: Services, host: str, app: str, stream: str, query: str, auth: str, domain: str
) -> Iterator[dict[str, Any]]:
    """One URL for each protocol."""
    rtmp, http = _authority(host, services.rtmp_port, RTMP_PORT), _authority(host, services.play_port, HTTP_PORT)
    path = f"{quote(app, safe='')}/{quote(stream, safe='')}"
    for protocol, url in (
        ("rtmp", f"rtmp://{rtmp}/{app}/{stream}{query}"),
        ("http+flv", f"http://{http}/{path}.flv{query}"),
        ("hls", f"http://{http}/{path}.m3u8{query}"),
    ):
        yield {"Protocol": protocol, "Url": url, "Domain": domain, "Auth": auth}


def _sign_push(domain: config.PublishDomain, stream: str, expiry: int) -> str:
    """The query that the domain asks for; "" where it asks for none, or its own server does the asking."""
    if domain.auth == "md5":
        return sign_md5(domain.keys[0], stream, expiry)
    if domain.auth == "hmac":
        access_key, _, secret = domain.keys[0].partition(":")
        return sign_hmac(access_key, secret, expiry, {})
    return ""


def _query(signed: str) -> str:
    return f"?{signed}" if signed else ""


def _authority(host: str, port: int, default: int) -> str:
    if port == default:
        return f"[{host}]" if ":" in host else host
    return join_address(Address(host, port))
