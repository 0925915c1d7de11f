"""What can go wrong with a call, as exceptions: `KlsError` and its four kinds; `codes` has those of single codes."""

from typing import Final

NO_ANSWER: Final = "NoAnswer"


class KlsError(Exception):
    """A call failed.

    ``status`` is HTTP's, 0 when none came. A business failure has ``ret_code``, a gateway failure has the error's name
    in ``code``. ``message`` is the service's text, ``request_id`` finds the call in its log, ``retryable`` says whether
    the same call may be made again, ``advice`` what the code means; empty where nothing is known.
    """

    def __init__(
        self,
        status: int,
        ret_code: int | None,
        code: str,
        message: str,
        request_id: str = "",
        retryable: bool = False,
        advice: str = "",
    ) -> None:
        super().__init__(status, ret_code, code, message, request_id, retryable, advice)
        self.status = status
        self.ret_code = ret_code
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retryable = retryable
        self.advice = advice

    def __str__(self) -> str:
        name = self.code if self.ret_code is None else f"RetCode {self.ret_code}"
        return f"{name}: {self.message}" + (f" (request {self.request_id})" if self.request_id else "")


class BusinessError(KlsError):
    """The action was understood and not done: HTTP status 200, ``ret_code`` says why."""


class GatewayError(KlsError):
    """The request was refused before the action, or failed within it; ``code`` says why."""


class NoAnswer(KlsError):
    """Nothing that could be read came back: refused, late, cut, too long, not of the service. Whether the action was
    done is not known."""


class UsageError(KlsError, ValueError):
    """The call cannot be made: an action, a parameter, an endpoint or a key that is none. Nothing was sent."""

    def __init__(self, message: str, *_: object) -> None:
        super().__init__(0, None, "Usage", message)
        self.args = (message,)
