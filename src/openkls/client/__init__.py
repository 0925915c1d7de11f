"""The Python SDK. Rule: it knows the service model and the signature, and nothing of the server.

`Client` and `AsyncClient` have a method for each action; `codes` has an exception for each code that a program tells
apart, `results` what the actions answer, `urls` signed URLs to push and play, `compat` the official SDK's client.
"""

from openkls.client import codes, results, urls
from openkls.client.aio import AsyncClient
from openkls.client.core import REGION_DEFAULT, RETRIES_DEFAULT, Answer
from openkls.client.credentials import Credentials, find_credentials
from openkls.client.errors import BusinessError, GatewayError, KlsError, NoAnswer, UsageError
from openkls.client.sync import Client

__all__ = [
    "REGION_DEFAULT",
    "RETRIES_DEFAULT",
    "Answer",
    "AsyncClient",
    "BusinessError",
    "Client",
    "Credentials",
    "GatewayError",
    "KlsError",
    "NoAnswer",
    "UsageError",
    "codes",
    "find_credentials",
    "results",
    "urls",
]
