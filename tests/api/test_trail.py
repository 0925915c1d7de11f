"""DescribeAudit: the account's rows, newest first, page by page, up to a bound."""

from typing import Any

import pytest

from openkls.api.actions import trail
from openkls.domain.audit import AuditEntry, Author
from openkls.domain.errors import StoreUnavailable
from support_api import NOW, Site


def note(site: Site, count: int, account_id: str = "2000001") -> None:
    for number in range(count):
        author = Author("cli", "root", "")
        entry = AuditEntry(NOW - 100 + number, account_id, author, "CreateKey", f"AK{number}", "0", "")
        site.audit.note(entry)


async def page(site: Site, **asked: Any) -> tuple[int, int, list[str]]:
    data = (await site.call("DescribeAudit", **asked)).data
    assert data["Count"] == len(data["Rows"])
    return data["Total"], data["Marker"], [row["Resource"] for row in data["Rows"]]


async def test_rows_are_told_whole(site: Site) -> None:
    reply = await site.call("ForbidStream", UniqueName="demo", App="live", Pubdomain="push.demo.local", Stream="s<1")
    assert reply.data["RetCode"] == 1004
    (row,) = (await site.call("DescribeAudit")).data["Rows"]
    assert row == {
        "Number": 1,
        "Time": NOW,
        "AccessKey": "AKTEST",
        "Address": "127.0.0.1",
        "Action": "ForbidStream",
        "Resource": "demo/push.demo.local/live/s<1",
        "RequestId": reply.json["RequestId"],
        "Outcome": "1004",
        "Detail": "",
    }


async def test_rows_are_the_accounts_own_newest_first(site: Site) -> None:
    note(site, 2)
    note(site, 3, "2000002")
    assert await page(site) == (2, 0, ["AK1", "AK0"])
    assert await page(site, access_key="AKTHEIRS") == (3, 0, ["AK2", "AK1", "AK0"])


async def test_pages_follow_each_other(site: Site) -> None:
    note(site, 5)
    assert await page(site, Limit=2) == (5, 0, ["AK4", "AK3"])
    assert await page(site, Limit=2, Marker=2) == (5, 2, ["AK0"])
    assert await page(site, Limit=2, Marker=3) == (5, 3, [])
    assert await page(site, Limit=0) == await page(site, Limit=-1) == await page(site)


@pytest.mark.parametrize(("rows", "total"), [(4, 4), (5, 4)])
async def test_oldest_rows_are_out_of_reach(site: Site, rows: int, total: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "REACH_ROWS", 4)
    note(site, rows)
    newest = [f"AK{number}" for number in reversed(range(rows))][:4]
    assert await page(site) == (total, 0, newest)
    assert await page(site, Limit=3, Marker=1) == (total, 1, newest[3:])
    assert await page(site, Limit=4, Marker=1) == (total, 1, [])


async def test_marker_as_large_as_it_may_be_is_an_empty_page(site: Site) -> None:
    note(site, 1)
    assert await page(site, Marker=2**31 - 1, Limit=5000) == (1, 2**31 - 1, [])


@pytest.mark.parametrize(("name", "value"), [("Marker", -1), ("Marker", 2**31), ("Limit", "many")])
async def test_paging_out_of_its_bounds_is_4999(site: Site, name: str, value: object) -> None:
    assert (await site.call("DescribeAudit", **{name: value})).data["RetCode"] == 4999


async def test_store_that_is_down_is_said_so(site: Site) -> None:
    site.audit.down = StoreUnavailable("away")
    assert (await site.call("DescribeAudit")).error_code == "ServiceUnavailable"
