"""A request from its bytes to its answer: an ordered list of steps over one call, then the action.

Rule: the order is the table STEPS and nowhere else (contract, 4); whatever a step or an action raises becomes an
answer in `answer_call`, the one error boundary.

Who has logged in has proved who they are already: their calls take SESSION_STEPS, which are STEPS without those of a
signature, and none of the others is left out.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from openkls import model
from openkls.api import audit, auth, wire
from openkls.api.actions import blacklist, history, keypairs, live, metrics, nodes, realtime, spaces, trail, urls
from openkls.api.services import Place, Services
from openkls.api.wire import Answer, Call, Way
from openkls.codec.sigv4 import MAX_QUERY_PARAMETERS, SignedRequest, header_value
from openkls.control import ids
from openkls.control.keyring import Credential
from openkls.domain.errors import BusinessError, GatewayError, StoreTimeout, StoreUnavailable
from openkls.domain.rates import retry_after_seconds

log = logging.getLogger("openkls.api")

# A step that has to wait for somebody hands its rest over; those that do not cost no turn of the loop.
Step = Callable[[Services, Call], Awaitable[None] | None]
Action = Callable[[Services, Place, Mapping[str, Any]], Awaitable[dict[str, Any]]]

METHODS: Final = ("GET", "POST")
# ListRealtimeStreamsInfo says it in its own envelope (contract, 4).
OVER_THE_SPEED_LIMIT: Final = 9016
# A request may say that it is made for a screen: a second window of the same size for each account and action, so that
# who looks on takes nothing from the programs that work. The names are few, else every name would be a new allowance.
BUCKET_HEADER: Final = "x-openkls-bucket"
BUCKETS: Final = frozenset(("top", "console"))
# Of a call that a session makes: the answer is JSON, in a bucket of the console's own.
SESSION_HEADERS: Final = (
    ("Content-Type", "application/json"),
    ("Accept", "application/json"),
    (BUCKET_HEADER, "console"),
)


def check_size(services: Services, call: Call) -> None:
    """RequestTooLarge; the target's length is bounded where it is read (listener)."""
    if call.oversized:
        raise GatewayError("RequestTooLarge", str(wire.BODY_LIMIT_BYTES))
    if call.request.query.count("&") >= MAX_QUERY_PARAMETERS:
        raise GatewayError("RequestTooLarge", f"{MAX_QUERY_PARAMETERS} parameters or {wire.TARGET_LIMIT_BYTES}")


def find_operation(services: Services, call: Call) -> None:
    """MissingParameter, InvalidActionOrVersion; the latter also for a method that no action has."""
    call.query = wire.read_pairs(call.request.query)
    action, version = wire.named_action(call)
    if not action or not version:
        raise GatewayError("MissingParameter", "Version" if action else "Action")
    operation = model.find(action, version)
    if operation is None or call.request.method not in METHODS:
        raise GatewayError("InvalidActionOrVersion", action, version)
    call.operation = operation


def read_parameters(services: Services, call: Call) -> None:
    """InvalidParameterValue: the body is no JSON object and no form."""
    call.raw = wire.read_parameters(call)


def check_rate(services: Services, call: Call) -> Awaitable[None] | None:
    """LimitExceeded, or RetCode 9016. A call counts once it is accepted here, whatever becomes of it later."""
    operation = call.operation
    bucket = header_value(call.request.headers, BUCKET_HEADER)
    caller = (call.credential.account_id, operation.name, bucket if bucket in BUCKETS else "")
    rate = operation.rate
    now = services.monotonic()
    if services.shared_rates is not None:
        return _check_shared_rate(call, services.shared_rates.take(caller, rate.requests, rate.per_seconds, now))
    _judge_rate(call, services.rates.take(caller, rate.requests, rate.per_seconds, now))
    return None


async def _check_shared_rate(call: Call, asked: Awaitable[float]) -> None:
    _judge_rate(call, await asked)


def _judge_rate(call: Call, wait_seconds: float) -> None:
    if not wait_seconds:
        return
    call.retry_after_seconds = retry_after_seconds(wait_seconds)
    if OVER_THE_SPEED_LIMIT in call.operation.ret_codes:
        raise BusinessError(OVER_THE_SPEED_LIMIT)
    raise GatewayError("LimitExceeded")


def check_parameters(services: Services, call: Call) -> None:
    """The business codes of single parameters (contract, 5)."""
    parameters = model.coerce(call.operation.name, call.raw)
    if isinstance(parameters, model.Rejection):
        raise BusinessError(parameters.ret_code, parameters.problem)
    call.parameters = parameters


def check_ownership(services: Services, call: Call) -> None:
    """5000, 6406, 1003, 4000, 4201; and 4000 for a play domain that is not the space's. An action of our own may name
    no space: then it is about all of the account's."""
    account_id = call.credential.account_id
    parameters = call.parameters
    unique_name = parameters.get("UniqueName")
    if unique_name is None:
        services.directory.check_account(account_id)
        call.place = Place(account_id)
        return
    space = services.directory.space(account_id, unique_name, parameters.get("App"))
    asked = parameters.get("Pubdomain")
    pubdomain = "" if asked is None else services.directory.pubdomain(space, asked)
    domain_ids = parameters.get("DomainIds")
    if domain_ids is not None:
        realtime.domain_ids_of(space, domain_ids)
    call.place = Place(account_id, space, pubdomain)


def check_opened(services: Services, call: Call) -> None:
    """InvalidAuthenticationCode: ListStreamDurations is not opened for the space (contract, 6) (I)."""
    if call.operation.name == "ListStreamDurations" and not call.place.space.durations:
        raise GatewayError("InvalidAuthenticationCode")


def check_dry_run(services: Services, call: Call) -> None:
    """ErrorDryRun: everything was right, and nothing is to be done."""
    asked = call.raw.get("DryRun")
    if asked is True or (isinstance(asked, str) and asked.lower() == "true"):
        raise GatewayError("ErrorDryRun")


STEPS: Final[tuple[Step, ...]] = (
    check_size,
    auth.read_claim,
    auth.find_key,
    auth.check_time,
    auth.check_scope,
    auth.check_signature,
    auth.check_account,
    find_operation,
    read_parameters,
    auth.check_policy,
    auth.check_full_rights,
    check_rate,
    check_parameters,
    check_ownership,
    check_opened,
    check_dry_run,
)

_OF_A_SIGNATURE: Final = frozenset(
    (auth.read_claim, auth.find_key, auth.check_time, auth.check_scope, auth.check_signature)
)
SESSION_STEPS: Final = tuple(step for step in STEPS if step not in _OF_A_SIGNATURE)
# What is sent to a session again and again, at a pace of its sender's, is no call that counts.
UNMETERED_STEPS: Final = tuple(step for step in SESSION_STEPS if step is not check_rate)
STEPS_OF: Final[Mapping[Way, tuple[Step, ...]]] = {
    Way.SIGNED: STEPS,
    Way.SESSION: SESSION_STEPS,
    Way.UNMETERED: UNMETERED_STEPS,
}
# Whether a session's key may call an action at all. None of them has to wait for anybody.
RIGHTS_STEPS: Final = SESSION_STEPS[: SESSION_STEPS.index(check_rate)]

ACTIONS: Final[Mapping[str, Action]] = {
    "ListRealtimeStreamsInfo": realtime.list_realtime_streams,
    "ListRealtimePubStreamsInfo": realtime.list_realtime_pub_streams,
    "ListHistoryPubStreamsInfo": history.list_history_pub_streams,
    "ListHistoryPubStreamsErrInfo": history.list_history_pub_streams_err,
    "ListStreamDurations": history.list_stream_durations,
    "ForbidStream": blacklist.forbid_stream,
    "ResumeStream": blacklist.resume_stream,
    "GetBlacklist": blacklist.get_blacklist,
    "CheckBlacklist": blacklist.check_blacklist,
    "DescribeStreamMetrics": metrics.describe_stream_metrics,
    "DescribeLiveStreams": live.describe_live_streams,
    "DescribeSpaces": spaces.describe_spaces,
    "DescribeNodes": nodes.describe_nodes,
    "DescribeAudit": trail.describe_audit,
    "DescribeAccessKeys": keypairs.describe_access_keys,
    "CreateAccessKey": keypairs.create_access_key,
    "RotateAccessKey": keypairs.rotate_access_key,
    "DisableAccessKey": keypairs.disable_access_key,
    "SetAccessKeyPolicy": keypairs.set_access_key_policy,
    "DescribeStreamUrls": urls.describe_stream_urls,
}


async def answer_call(services: Services, call: Call) -> Answer:
    """Take a call through the steps and its action, and write down what is audited; never raises but for a
    cancellation."""
    try:
        answer = await _answer(services, call)
    except asyncio.CancelledError:
        if audit.is_audited(call):
            await audit.record(services, call, None)
        raise
    if audit.is_audited(call):
        await audit.record(services, call, answer)
    if call.retry_after_seconds or call.closes:
        return replace(answer, retry_after_seconds=call.retry_after_seconds, closes=call.closes)
    return answer


def session_call(
    credential: Credential, query: str, body: bytes | None, client_ip: str, is_metered: bool = True
) -> Call:
    """A call of who has logged in with a key: ``query`` names the action, ``body`` is JSON (None: over the limit). Its
    RequestId is that of the request it is made for. One that is not metered is held against no request rate."""
    request = SignedRequest("POST", "/", query, SESSION_HEADERS, body or b"")
    way = Way.SESSION if is_metered else Way.UNMETERED
    call = Call(request, ids.request_id.get(), oversized=body is None, client_ip=client_ip, way=way)
    call.credential = credential
    return call


def session_refusal(services: Services, call: Call) -> Answer | None:
    """What a `session_call` is refused with whatever its parameters are, None where it may be made; nothing is done."""
    try:
        for step in RIGHTS_STEPS:
            step(services, call)
    except GatewayError as error:
        return _refuse(call, error)
    return None


async def _answer(services: Services, call: Call) -> Answer:
    try:
        for step in STEPS_OF[call.way]:
            rest = step(services, call)
            if rest is not None:
                await rest
        call.reached = True
        call.place = audit.with_deed(services, call)
        data = await ACTIONS[call.operation.name](services, call.place, call.parameters)
        return wire.success(data, call.request_id)
    except BusinessError as error:
        log.debug("request %s: %s", call.request_id, error)
        return wire.business_failure(call.operation, error.ret_code, call.request_id)
    except GatewayError as error:
        if error.shape in auth.REFUSALS:
            await auth.hold_back(services, call)
        return _refuse(call, error)
    except StoreTimeout as error:
        log.warning("request %s: the store was late: %s", call.request_id, error)
        return _refuse(call, GatewayError("ServiceTimeout"))
    except StoreUnavailable as error:
        log.warning("request %s: the store is unavailable: %s", call.request_id, error)
        return _refuse(call, GatewayError("ServiceUnavailable"))
    except Exception:
        log.exception("request %s: a bug of ours", call.request_id)
        return _refuse(call, GatewayError("UndefinedError"))


def _refuse(call: Call, error: GatewayError) -> Answer:
    return wire.gateway_failure(error, call.request_id, header_value(call.request.headers, "accept"))
