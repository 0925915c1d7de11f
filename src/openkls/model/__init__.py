"""The wire contract as data, and the engine that reads it.

Rule: no I/O beyond reading the packaged model files, no clock, no knowledge of transports.
"""

from openkls.model.check import Rejection, coerce, conforms, matches
from openkls.model.shapes import (
    CONTRACT_VERSION,
    OWN_VERSION,
    BreakCode,
    GatewayError,
    Member,
    Operation,
    Rate,
    RetCode,
    Rule,
    ServiceModel,
    Shape,
    find,
    load,
    operations,
    services,
    source,
)

__all__ = [
    "CONTRACT_VERSION",
    "OWN_VERSION",
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
    "find",
    "load",
    "matches",
    "operations",
    "services",
    "source",
]
