"""DescribeAccessKeys and the four actions that change key pairs (version 2026-01-01).

Rule: a secret is in the one answer that makes it. Who may call the four is decided before (auth.check_full_rights).
"""

from collections.abc import Mapping
from typing import Any

from openkls.api.services import Place, Services
from openkls.domain.ports import AccessKey


async def describe_access_keys(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The account's key pairs: the configuration's, then the store's, oldest first."""
    now = services.clock()
    made = sorted(services.keys.made(place.account_id).values(), key=lambda key: (key.created_at, key.access_key))
    return {
        "Keys": [
            *(
                _row(name, "enabled", "configuration", 0, 0, text)
                for name, text in services.keys.fixed(place.account_id)
            ),
            *(
                _row(key.access_key, _state(key, now), "store", key.created_at, key.expires_at or 0, key.policy)
                for key in made
                # Where the configuration has a key of that name, it is the one that signs.
                if not services.keys.is_fixed(place.account_id, key.access_key)
            ),
        ]
    }


async def create_access_key(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A new key pair. Raises BusinessError 7004, 7005."""
    return _pair(await services.key_pairs.create(place.account_id, parameters.get("Policy"), place.deed))


async def rotate_access_key(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A new key pair in the place of an old one. Raises BusinessError 7001, 7002, 7003, 7005."""
    access_key, grace_seconds = parameters["AccessKey"], parameters["GraceSeconds"]
    return _pair(await services.key_pairs.rotate(place.account_id, access_key, grace_seconds, place.deed))


async def disable_access_key(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Raises BusinessError 7001, 7002."""
    await services.key_pairs.disable(place.account_id, parameters["AccessKey"], place.deed)
    return {}


async def set_access_key_policy(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Raises BusinessError 7001, 7002, 7004."""
    policy = parameters["Policy"] or None
    await services.key_pairs.set_policy(place.account_id, parameters["AccessKey"], policy, place.deed)
    return {}


def _pair(made: AccessKey) -> dict[str, Any]:
    return {"AccessKey": made.access_key, "SecretKey": made.secret_key}


def _row(
    access_key: str, state: str, source: str, created_at: int, expires_at: int, policy: str | None
) -> dict[str, Any]:
    return {
        "AccessKey": access_key,
        "State": state,
        "Source": source,
        "CreateTime": created_at,
        "ExpireTime": expires_at,
        "Policy": policy or "",
    }


def _state(key: AccessKey, now: float) -> str:
    if not key.enabled:
        return "disabled"
    return "enabled" if key.lives(now) else "ended"
