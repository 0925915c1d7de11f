"""Who asks, and may they: the steps from the claimed key to its account, and the key's policy (contract, 4).

Rule: every step either passes or raises the one GatewayError it is there for; a secret is read by `check_signature`
alone and is in no text. Unknown keys are told from wrong signatures (InvalidAccesskey, SignatureNotMatch) because the
document's answers do so; an access key is no secret, and what is compared with a secret is compared in constant time.

The answers of REFUSALS are held back by `hold_back` when they are many (security class 21). It is asked after a step
has refused and nowhere else, so that whoever has the secret is never waited for, whatever others do with the key.
"""

from typing import Final

from openkls.api.services import Services
from openkls.api.wire import Call
from openkls.codec import sigv4
from openkls.domain.errors import GatewayError
from openkls.domain.policy import COMPONENT_LIMIT_CHARACTERS, SERVICE_PREFIX, Resource, Verdict

SERVICE: Final = "kls"
_SHAPES: Final = {
    sigv4.MissingAccesskey: "MissingAccesskey",
    sigv4.MissingTimestamp: "MissingTimestamp",
    sigv4.MissingSignature: "MissingSignature",
}
# What whoever tries keys and secrets is answered: everything between the key's name and its proof.
REFUSALS: Final = frozenset(
    ("InvalidAccesskey", "InvalidTimestamp", "ServiceUnavailableInvalid", "UnavailableRegion", "SignatureNotMatch")
)
# Whoever may do these may do everything.
FULL_RIGHTS_ONLY: Final = frozenset(("CreateAccessKey", "RotateAccessKey", "DisableAccessKey", "SetAccessKeyPolicy"))


def read_claim(services: Services, call: Call) -> None:
    """MissingAccesskey, MissingTimestamp, MissingSignature, in this order."""
    try:
        call.claim = sigv4.read_claim(call.request)
    except tuple(_SHAPES) as error:
        raise GatewayError(_SHAPES[type(error)]) from error


def find_key(services: Services, call: Call) -> None:
    """InvalidAccesskey."""
    access_key = call.claim.authorization.access_key
    credential = services.keys.find(access_key)
    if credential is None:
        raise GatewayError("InvalidAccesskey", access_key)
    call.credential = credential


def check_time(services: Services, call: Call) -> None:
    """InvalidTimestamp."""
    if not sigv4.is_timely(call.claim, services.clock()):
        raise GatewayError("InvalidTimestamp", call.claim.amz_date)


def check_scope(services: Services, call: Call) -> None:
    """ServiceUnavailable (404), UnavailableRegion."""
    authorization = call.claim.authorization
    if authorization.service != SERVICE:
        raise GatewayError("ServiceUnavailableInvalid", authorization.service)
    if authorization.region != services.region and authorization.region not in services.regions:
        raise GatewayError("UnavailableRegion", authorization.region)


def check_signature(services: Services, call: Call) -> None:
    """SignatureNotMatch."""
    if not sigv4.verify(call.request, call.claim, call.credential.secret_key):
        raise GatewayError("SignatureNotMatch")


def check_account(services: Services, call: Call) -> None:
    """UnavailableAccountID."""
    if call.credential.account_id in services.keys.disabled_accounts:
        raise GatewayError("UnavailableAccountID")


def check_policy(services: Services, call: Call) -> None:
    """InvalidAuthenticationCode, in the three texts."""
    policy = call.credential.policy
    if policy is None:
        return
    resource = _resource(services, call)
    verdict = policy.weigh(call.operation.name, resource)
    if verdict is Verdict.ALLOWED:
        return
    if verdict is Verdict.NO_STATEMENTS:
        raise GatewayError("InvalidAuthenticationCode")
    shape = "InvalidAuthenticationCodeDeny" if verdict is Verdict.DENIED else "InvalidAuthenticationCodeLack"
    raise GatewayError(shape, SERVICE_PREFIX + call.operation.name, resource.krn)


def check_full_rights(services: Services, call: Call) -> None:
    """InvalidAuthenticationCode: what makes keys, or gives them rights, is for keys without a policy. One that may not
    do everything could else make itself another that may."""
    if call.operation.name in FULL_RIGHTS_ONLY and call.credential.policy is not None:
        raise GatewayError("InvalidAuthenticationCode")


def _resource(services: Services, call: Call) -> Resource:
    """What the request is about, from parameters that nobody has checked yet.

    A parameter that the action does not have says nothing, else a key could name the one stream it is allowed to an
    action that lists them all. Nor does a value that is no name: a later step refuses it. The publish domain is the one
    that streams are recorded under, else a denied one could be asked for by its alias.
    """

    def named(name: str) -> str | None:
        value = call.raw.get(name) if name in call.operation.input.members else None
        return value if isinstance(value, str) and 0 < len(value) <= COMPONENT_LIMIT_CHARACTERS else None

    pubdomain = named("Pubdomain")
    if pubdomain is not None:
        pubdomain = services.directory.recorded_name(pubdomain)
    account_id = call.credential.account_id
    return Resource(services.region, account_id, named("UniqueName"), pubdomain, named("App"), named("Stream"))


async def hold_back(services: Services, call: Call) -> None:
    """Count a refusal, and let the time pass for which its answer is to be held back."""
    if not await hold_back_caller(services, call.claim.authorization.access_key, call.client_ip):
        call.closes = True


async def hold_back_caller(services: Services, access_key: str, client_ip: str) -> bool:
    """Count a refusal of a key's claim from an address, and let the time pass for which its answer is to be held back.
    False when too many wait already: the answer goes out at once, and its connection is to end with it."""
    backoff = services.backoff
    delay_seconds = backoff.refuse(access_key, client_ip, services.monotonic())
    if not delay_seconds:
        return True
    if not backoff.hold():
        return False
    try:
        await services.pause(delay_seconds)
    finally:
        backoff.let_go()
    return True
