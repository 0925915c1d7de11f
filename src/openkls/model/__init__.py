"""The wire contract as data, and the engine that reads it.

Rule: no I/O beyond reading the packaged model file, no clock, no knowledge of transports.
"""

from openkls.model.check import Rejection, coerce, conforms, matches
from openkls.model.shapes import (
    BreakCode,
    GatewayError,
    Member,
    Operation,
    Rate,
    RetCode,
    Rule,
    ServiceModel,
    Shape,
    load,
    source,
)

__all__ = [
    "BreakCode",
    "GatewayError",
    "Member",
    "Operation",
    "Rate",
    "Rejection",
    "RetCode",
    "Rule",
    "ServiceModel",
    "Shape",
    "coerce",
    "conforms",
    "load",
    "matches",
    "source",
]
