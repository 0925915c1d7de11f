"""Who asks: the steps from the claimed key to the verified signature, in the order of the contract's section 4.

Rule: every step either passes or raises the one GatewayError it is there for; a secret is read by `check_signature`
alone and is in no text. Unknown keys are told from wrong signatures (InvalidAccesskey, SignatureNotMatch) because the
document's answers do so; an access key is no secret, and what is compared with a secret is compared in constant time.
"""

from typing import Final

from openkls.api.services import Services
from openkls.api.wire import Call
from openkls.codec import sigv4
from openkls.domain.errors import GatewayError

SERVICE: Final = "kls"
_SHAPES: Final = {
    sigv4.MissingAccesskey: "MissingAccesskey",
    sigv4.MissingTimestamp: "MissingTimestamp",
    sigv4.MissingSignature: "MissingSignature",
}


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
