"""DescribeSpaces: what the account has, for whoever has to choose from it (version 2026-01-01).

Rule: names and kinds of authentication, never a key.
"""

from collections.abc import Mapping
from typing import Any

from openkls import config
from openkls.api.services import Place, Services
from openkls.config import normal_host


async def describe_spaces(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The account's spaces with their apps and domains, and the ports of this service."""
    return {
        "AccountId": place.account_id,
        "Region": services.region,
        "Node": services.node,
        "RtmpPort": services.rtmp_port,
        "PlayPort": services.play_port,
        "ByAddress": int(services.directory.by_address),
        "Spaces": [_space(services, space) for space in services.directory.spaces(place.account_id)],
    }


def _space(services: Services, space: config.Space) -> dict[str, Any]:
    return {
        "UniqueName": space.unique_name,
        "Apps": list(space.apps),
        "PublishDomains": [
            {
                "Name": normal_host(door.name),
                "Auth": door.auth,
                "RecordedAs": services.directory.recorded_name(door.name),
            }
            for door in space.doors
        ],
        "PlayDomains": [
            {"Id": domain.id, "Name": normal_host(domain.name), "Auth": domain.auth} for domain in space.play_domain
        ],
        "Durations": int(space.durations),
        "Callback": int(bool(space.callback_url)),
    }
