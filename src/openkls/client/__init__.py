"""The API client. Rule: it knows the service model and the signature, and nothing of the server."""

from openkls.client.api import REGION_DEFAULT, Answer, CallFailed, NoAnswer, OpenApi

__all__ = ["REGION_DEFAULT", "Answer", "CallFailed", "NoAnswer", "OpenApi"]
