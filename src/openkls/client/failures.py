"""Which exception a failure is, and what is known of its code."""

from openkls.client import codes, errors, tables


def no_answer(status: int, message: str, retryable: bool) -> errors.NoAnswer:
    """The exception of an answer that is none."""
    return errors.NoAnswer(status, None, errors.NO_ANSWER, message, "", retryable)


def business(status: int, ret_code: int, message: str, request_id: str) -> errors.BusinessError:
    """The exception of a RetCode."""
    advice = tables.RET_CODE_ADVICE.get(ret_code, "")
    kind = codes.BUSINESS.get(ret_code, errors.BusinessError)
    return kind(status, ret_code, "", message, request_id, False, advice)


def gateway(status: int, code: str, message: str, request_id: str, retryable: bool) -> errors.GatewayError:
    """The exception of a gateway error's name. One name may stand for several failures: its text tells them apart."""
    rows = [row for row in tables.GATEWAY_ADVICE if (row.code, row.status) == (code, status)]
    row = next((row for row in rows if message.startswith(row.text)), rows[0] if rows else None)
    kind = codes.GATEWAY.get(code, errors.GatewayError)
    return kind(status, None, code, message, request_id, retryable, row.advice if row else "")
