"""The one error family of the codec layer: the peer sent bytes that break its protocol."""


class ProtocolError(Exception):
    """The peer's bytes cannot be what its protocol allows; the connection is not usable any further.

    ``limit`` names the exceeded limit (a constant's name) when the cause is a limit, else it is empty: the
    front counts by it. The text never holds a secret.
    """

    def __init__(self, text: str, limit: str = "") -> None:
        super().__init__(text)
        self.limit = limit
