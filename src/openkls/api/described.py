"""The API's description at /openapi.json. Rule: it is the same for everybody, and tells nothing that is anybody's.

It needs no signature. A request that names an action by a query is one of the API whatever its path is, so only the
bare path is the document's.
"""

from functools import cache
from typing import Final

import msgspec

from openkls import model
from openkls.api.wire import Answer
from openkls.codec.sigv4 import SignedRequest
from openkls.model.openapi import PATH, document

# OpenAPI has no media type of its own for a document in JSON that browsers would show.
DOCUMENT_TYPE: Final = "application/json"


def asks_description(request: SignedRequest) -> bool:
    """Whether this is a request for the document."""
    return request.path == PATH and request.method == "GET" and not request.query


def answer_description(request_id: str) -> Answer:
    """The OpenAPI document; made at the first call, some 130 kilobytes."""
    return Answer(200, DOCUMENT_TYPE, _document(), request_id)


@cache
def _document() -> bytes:
    return msgspec.json.encode(document(model.load()))
