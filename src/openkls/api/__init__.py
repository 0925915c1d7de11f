"""The OpenAPI over HTTP: from a socket's bytes to the actions and back."""

from openkls.api.listener import Listener, listen
from openkls.api.services import Services

__all__ = ["Listener", "Services", "listen"]
