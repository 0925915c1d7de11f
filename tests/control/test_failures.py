"""How many publishes failed, by app, and in how many apps at most."""

import pytest

from openkls.control import failures as module
from openkls.control.failures import Failures
from openkls.domain.session import BreakCode, Reason, Session
from support_control import EPOCH, Still, ask
from support_domain import FakePublisher, key


def test_failures_are_counted_by_app() -> None:
    failures = Failures()
    failures.count(key("s1"))
    failures.count(key("s2"))
    failures.count(key("s1", app="vod"))
    failures.count(key("s1", app="hostile"), known_app=False)
    assert sorted(failures.counts()) == [("demo", "", 1), ("demo", "live", 2), ("demo", "vod", 1)]
    assert (failures.total, failures.left_out) == (4, 0)


@pytest.mark.parametrize(("apps", "left_out"), [(3, 0), (4, 1)])
def test_app_beyond_the_limit_is_counted_for_its_space_alone(
    apps: int, left_out: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "APPS_LIMIT", 3)
    failures = Failures()
    for number in range(apps):
        failures.count(key(app=f"app{number}"))
    failures.count(key(app="app0"))
    assert (failures.total, failures.left_out) == (apps + 1, left_out)
    counts = {app: count for _, app, count in failures.counts()}
    assert counts == {"app0": 2, "app1": 1, "app2": 1} | ({"": 1} if left_out else {})


def test_refused_publishes_and_broken_sessions_are_failures_and_others_are_not(still: Still) -> None:
    house, admit = still.house, still.house.admission.admit
    failures = house.endings.failures
    first = still.loop.run(admit(ask(), FakePublisher()))
    assert failures.total == 0
    still.loop.run(admit(ask(), FakePublisher()))  # 422
    still.loop.run(admit(ask(app="radio"), FakePublisher()))  # 428, and no app of the space's
    still.loop.run(admit(ask(door="nobody.local"), FakePublisher()))  # nobody's
    assert sorted(failures.counts()) == [("demo", "", 1), ("demo", "live", 1)]
    second = still.loop.run(admit(ask(stream="s2"), FakePublisher()))

    async def end() -> None:
        for session, code, reason in (
            (first, BreakCode.FORBIDDEN, Reason.FORBIDDEN),
            (first, BreakCode.FORBIDDEN, Reason.FORBIDDEN),
            (second, BreakCode.SUCCESS, Reason.CLOSED),
        ):
            assert isinstance(session, Session)
            house.endings.finish(session, code, reason, EPOCH)

    still.loop.run(end())
    assert sorted(failures.counts()) == [("demo", "", 1), ("demo", "live", 2)]


def test_refusals_are_counted_however_many_of_them_are_written_down(still: Still) -> None:
    for _ in range(100):
        still.loop.run(still.house.admission.admit(ask(app="radio"), FakePublisher()))
    assert still.house.endings.failures.total == 100
    assert len(still.history.rows) < 100
