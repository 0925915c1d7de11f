"""ForbidStream, ResumeStream, GetBlacklist, CheckBlacklist (contract, 6).

Rule: changes go through control.Forbids; the two questions are answered from memory, whatever the store does.
"""

from collections.abc import Mapping
from typing import Any

from openkls.api.services import Place, Services
from openkls.control.forbid import TILL_DEFAULT
from openkls.domain.keys import StreamKey


async def forbid_stream(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Raises BusinessError 4001, 3802, 8200, 8501, 8502."""
    till = parameters.get("ForbidTillUnixTime", TILL_DEFAULT)
    await services.forbids.forbid(_key(place, parameters), till, place.deed)
    return {}


async def resume_stream(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Raises BusinessError 8201, 8200."""
    await services.forbids.resume(_key(place, parameters), place.deed)
    return {}


async def get_blacklist(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The bans that hold, newest first."""
    bans = services.blacklist.listing(place.space.unique_name, place.pubdomain, parameters["App"], now=services.clock())
    return {
        "UniqueName": parameters["UniqueName"],
        "App": parameters["App"],
        "Pubdomain": parameters["Pubdomain"],
        "Total": len(bans),
        "Recs": [
            {"Stream": ban.key.stream, "ForbidTillUnixTime": ban.shown_till, "ForbidUnixTime": ban.forbid_time}
            for ban in bans
        ],
    }


async def check_blacklist(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """1 when the stream is forbidden now, else 0."""
    return {"CheckResult": int(services.blacklist.forbids(_key(place, parameters), services.clock()))}


def _key(place: Place, parameters: Mapping[str, Any]) -> StreamKey:
    return StreamKey(place.space.unique_name, place.pubdomain, parameters["App"], parameters["Stream"])
