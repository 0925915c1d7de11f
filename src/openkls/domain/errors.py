"""The caller's faults. Rule: an error is a code of the service model and its facts; the text is derived from both."""


class KlsError(Exception):
    """A fault of the caller's that the service model describes; the API turns it into the documented answer."""


class BusinessError(KlsError):
    """Answered with HTTP 200 and a RetCode inside Data (contract, 3)."""

    def __init__(self, ret_code: int, cause: str = "") -> None:
        super().__init__(f"RetCode {ret_code}" + (f": {cause}" if cause else ""))
        self.ret_code = ret_code
        self.cause = cause
        """For the log only; the answer holds the table's text, exactly."""


class GatewayError(KlsError):
    """Answered with the HTTP status of the model's error shape ``shape`` and its text filled with ``facts``."""

    def __init__(self, shape: str, *facts: str) -> None:
        super().__init__(" ".join((shape, *facts)))
        self.shape = shape
        self.facts = facts


class StoreUnavailable(Exception):
    """A durable port could not do its work; nothing was changed, or it is not known whether it was.

    Not the caller's fault: each use case decides what it means (contract, 4: 8200, ServiceUnavailable, or an
    answer from memory).
    """


class StoreTimeout(StoreUnavailable):
    """A durable port did not answer within its deadline."""


class ClusterUnavailable(Exception):
    """An ephemeral port did not answer within its deadline, or is known not to; it may have done its work.

    Nobody's fault: each use case goes on with what this process knows by itself.
    """
