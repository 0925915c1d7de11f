"""What the console asks of the rest of the service. Rule: handed in by the composition root; nothing decides here."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from openkls.config import Network
from openkls.control.keyring import Credential


class Answered(Protocol):
    """An answer of the OpenAPI."""

    @property
    def status(self) -> int: ...
    @property
    def content_type(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def error_code(self) -> str:
        """ "" for HTTP 200."""
        ...

    @property
    def retry_after_seconds(self) -> int:
        """0 is none."""
        ...


class Call(Protocol):
    """Calls an action as a key that has proved itself: ``query`` names it, ``body`` is JSON (None: over the limit).
    What is not metered is held against no request rate."""

    def __call__(
        self, credential: Credential, query: str, body: bytes | None, client_ip: str, is_metered: bool = True
    ) -> Awaitable[Answered]: ...


class Rights(Protocol):
    """What a key would be refused the action that ``query`` names with, whatever its parameters; None: it may."""

    def __call__(self, credential: Credential, query: str, client_ip: str) -> Answered | None: ...


class HoldBack(Protocol):
    """Counts a refusal of a key's claim and waits as long as its answer is to be held back; False when the connection
    is to end with it."""

    def __call__(self, access_key: str, client_ip: str) -> Awaitable[bool]: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the console may touch. ``clock`` gives Unix seconds, ``monotonic`` those that sessions age by."""

    find_key: Callable[[str], Credential | None]
    is_disabled: Callable[[str], bool]
    """Whether an account's keys are refused for now."""
    call: Call
    rights: Rights
    hold_back: HoldBack
    play_names: Callable[[str], Sequence[str]]
    """The play domains of an account."""
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    region: str
    version: str
    """Of OpenKLS."""
    play_port: int
    hosts: tuple[str, ...] = ()
    """Names by which the console may be asked for, beside addresses and localhost."""
    idle_seconds: float = 1800.0
    trusted_proxies: tuple[Network, ...] = ()
    """Whose word on the scheme a request came by is taken."""
