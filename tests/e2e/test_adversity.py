"""A cluster in use is hurt in every way that issue 5 names; what must hold holds (support_invariants), each time.

Rule: one site suffers fault after fault while its crowd goes on; after a failure the next fault gets a new site.
"""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openkls.control.reconcile import LEASE_SECONDS
from support_adversity import AdverseSite
from support_service import make_clip, until

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.timeout(180)]

# Less than a lease (10 s in Redis, 15 s in the store), so that nobody is declared dead who lives.
SPELL_SECONDS = 4.0


def media_node_is_killed(site: AdverseSite) -> None:
    with site.dead(site.a):
        site.go_on(2)


def media_node_behind_proxies_is_killed(site: AdverseSite) -> None:
    with site.dead(site.b):
        site.go_on(2)


def api_node_is_killed(site: AdverseSite) -> None:
    with site.dead(site.c):
        site.go_on(2)


def postgres_is_killed(site: AdverseSite) -> None:
    site.postgres.stop(signal.SIGKILL)
    site.go_on(1)
    restart_postgres(site)


def postgres_is_away_for_longer_than_a_lease(site: AdverseSite) -> None:
    """Then every node's heartbeat is too old, and whoever comes first must not declare the others dead."""
    site.postgres.stop(signal.SIGKILL)
    site.go_on(LEASE_SECONDS + 3)
    restart_postgres(site)


def restart_postgres(site: AdverseSite) -> None:
    def starts() -> bool:
        try:
            site.postgres.start()
        except RuntimeError:  # what the dead one has left is not gone yet
            return False
        return True

    until(starts, 30)


def redis_is_killed_and_comes_back_empty(site: AdverseSite) -> None:
    with site.doubt():
        site.redis.kill()
        site.redis.forget()
        site.go_on(2)
        site.redis.start()


def redis_is_killed_and_comes_back_with_its_data(site: AdverseSite) -> None:
    with site.doubt():
        site.redis.kill()
        site.go_on(2)
        site.redis.start()


def way_to_postgres_stalls(site: AdverseSite) -> None:
    site.to_postgres.stall()
    site.go_on(SPELL_SECONDS)
    site.to_postgres.carry()


def way_to_postgres_is_cut(site: AdverseSite) -> None:
    for _ in range(3):
        site.to_postgres.cut()
        site.go_on(0.5)
    site.to_postgres.refuse()
    site.go_on(2)
    site.to_postgres.carry()


def way_to_redis_stalls(site: AdverseSite) -> None:
    with site.doubt():
        site.to_redis.stall()
        site.go_on(SPELL_SECONDS)
        site.to_redis.carry()


def way_to_redis_is_cut(site: AdverseSite) -> None:
    with site.doubt():
        for _ in range(3):
            site.to_redis.cut()
            site.go_on(0.5)
        site.to_redis.refuse()
        site.go_on(SPELL_SECONDS)
        site.to_redis.carry()


def way_to_the_relay_port_stalls(site: AdverseSite) -> None:
    site.to_relay.stall()
    site.go_on(SPELL_SECONDS)
    site.to_relay.carry()


def way_to_the_relay_port_is_cut(site: AdverseSite) -> None:
    site.to_relay.cut()
    site.go_on(0.5)
    site.to_relay.refuse()
    site.go_on(2)
    site.to_relay.carry()


def nothing(site: AdverseSite) -> None:
    """Without a fault everything is right too, or what follows says nothing."""
    site.go_on(2)


Fault = Callable[[AdverseSite], None]

FAULTS: tuple[Fault, ...] = (
    nothing,
    media_node_is_killed,
    api_node_is_killed,
    postgres_is_killed,
    postgres_is_away_for_longer_than_a_lease,
    redis_is_killed_and_comes_back_empty,
    redis_is_killed_and_comes_back_with_its_data,
    way_to_postgres_stalls,
    way_to_postgres_is_cut,
    way_to_redis_stalls,
    way_to_redis_is_cut,
    way_to_the_relay_port_stalls,
    way_to_the_relay_port_is_cut,
)
# What leases, bans, claims and times depend on, once more with a clock that goes wrong.
FAULTS_OF_CLOCKS: tuple[Fault, ...] = (
    nothing,
    media_node_behind_proxies_is_killed,
    redis_is_killed_and_comes_back_empty,
    way_to_redis_stalls,
)
TABLE = [(0, fault) for fault in FAULTS] + [(clock, fault) for clock in (2, -2) for fault in FAULTS_OF_CLOCKS]


@pytest.fixture(scope="module")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few frames and bytes: what is tested is not the media."""
    return make_clip(tmp_path_factory.mktemp("small") / "clip.flv", seconds=4, rate=10, video_kbps=100)


class Sites:
    """The site that is up, if any."""

    def __init__(self, clip: Path, folders: pytest.TempPathFactory) -> None:
        self._clip = clip
        self._folders = folders
        self._site: AdverseSite | None = None

    def get(self, b_clock: int) -> AdverseSite:
        """A sound site on which b's clock is wrong by so much."""
        if self._site is None or not self._site.sound or self._site.b_clock != b_clock:
            self.end()
            self._site = AdverseSite(self._folders.mktemp("site"), self._clip, b_clock)
        return self._site

    def end(self) -> None:
        site, self._site = self._site, None
        if site is not None:
            site.end()


@pytest.fixture(scope="module")
def sites(small_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    built = Sites(small_clip, tmp_path_factory)
    yield built
    built.end()


def _id(value: int | Fault) -> str:
    return f"clock{value:+d}" if isinstance(value, int) else value.__name__


@pytest.mark.parametrize(("b_clock", "fault"), TABLE, ids=_id)
def test_what_must_hold_holds_though(sites: Sites, b_clock: int, fault: Fault) -> None:
    site = sites.get(b_clock)
    site.sound = False
    fault(site)
    healed = time.monotonic()
    site.go_on(2)
    site.settle()
    site.sound = True
    print(f"{fault.__name__}: right {time.monotonic() - healed:.1f} s after it was healed; {site.said()}")
