"""The API client. Rule: it knows the service model and the signature, and nothing of the server."""

from openkls.client.api import Answer, CallFailed, NoAnswer, OpenApi

__all__ = ["Answer", "CallFailed", "NoAnswer", "OpenApi"]
