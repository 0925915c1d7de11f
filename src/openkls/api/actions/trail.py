"""DescribeAudit: who changed what in the account (version 2026-01-01). Rule: read from the store, the newest first."""

from collections.abc import Mapping
from typing import Any, Final

from openkls.api.services import Place, Services
from openkls.domain.audit import AuditEntry, AuditQuery

# Neither the count of the pages nor the way to the last of them may grow without end; older rows are for the command
# line, which can narrow its question.
REACH_ROWS: Final = 100_000


async def describe_audit(services: Services, place: Place, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """One page of the account's audit."""
    marker, limit = parameters["Marker"], parameters["Limit"]
    offset = marker * limit
    total = await services.audit.count(place.account_id, REACH_ROWS)
    rows: list[AuditEntry] = []
    if offset < total:
        query = AuditQuery(account_id=place.account_id, offset=offset, limit=min(limit, total - offset))
        rows = await services.audit.read(query)
    return {"Total": total, "Marker": marker, "Count": len(rows), "Rows": [_row(row) for row in rows]}


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {
        "Number": entry.number,
        "Time": entry.at,
        "AccessKey": entry.author.access_key,
        "Address": entry.author.address,
        "Action": entry.action,
        "Resource": entry.resource,
        "RequestId": entry.author.request_id,
        "Outcome": entry.outcome,
        "Detail": entry.detail,
    }
