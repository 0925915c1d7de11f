"""The registry: one holder of a name, given and taken in synchronous steps."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from openkls.domain.blacklist import Blacklist
from openkls.domain.keys import StreamKey
from openkls.domain.registry import SILENT_SECONDS, Claim, Registry
from openkls.domain.session import BreakCode, Session
from support_domain import FakePublisher, ban, key, session


def test_claim_of_a_free_name_is_granted_and_held() -> None:
    registry = Registry(Blacklist())
    publish = session()
    assert registry.claim(publish, 1000) == Claim()
    assert registry.holds(publish)
    assert registry.holder(publish.key.name) is publish
    assert len(registry) == 1


def test_apps_are_those_with_a_live_session_and_every_change_is_counted() -> None:
    registry = Registry(Blacklist())
    first, second = session(), session(key(app="other"))
    for publish in (first, second):
        registry.claim(publish, 1000)
    assert registry.apps() == [("demo", "live"), ("demo", "other")]
    registry.release(first)
    registry.release(first)
    assert registry.apps() == [("demo", "other")]
    assert registry.changes == 3


def test_refusal_is_told_without_a_claim() -> None:
    blacklist = Blacklist()
    registry = Registry(blacklist)
    publisher = FakePublisher()
    assert registry.refusal(key(), 1000) is None
    registry.claim(session(publisher=publisher), 1000)
    assert registry.refusal(key(), 1000) is BreakCode.ALREADY_EXISTS
    publisher.silent = SILENT_SECONDS
    assert registry.refusal(key(), 1000) is None
    blacklist.apply(ban(till=2000))
    assert registry.refusal(key(), 1000) is BreakCode.FORBIDDEN


def test_claim_refuses_forbidden_stream() -> None:
    blacklist = Blacklist()
    blacklist.apply(ban(till=2000))
    registry = Registry(blacklist)
    assert registry.claim(session(), 1999) == Claim(refusal=BreakCode.FORBIDDEN)
    assert len(registry) == 0
    assert registry.claim(session(), 2000) == Claim()


def test_forbids_says_what_a_claim_would_be_told() -> None:
    blacklist = Blacklist()
    blacklist.apply(ban(till=2000))
    registry = Registry(blacklist)
    assert registry.forbids(key(), 1999)
    assert not registry.forbids(key(), 2000)
    assert not registry.forbids(key(app="other"), 1999)


def test_claim_refuses_a_busy_name_under_whatever_domain() -> None:
    registry = Registry(Blacklist())
    registry.claim(session(), 1000)
    for pubdomain in ("push.demo.local", "push2.demo.local"):
        assert registry.claim(session(key(pubdomain=pubdomain)), 1000) == Claim(refusal=BreakCode.ALREADY_EXISTS)
    assert registry.claim(session(key(app="other")), 1000) == Claim()
    assert registry.claim(session(key(unique_name="other")), 1000) == Claim()


def test_forbidden_is_told_before_busy() -> None:
    blacklist = Blacklist()
    registry = Registry(blacklist)
    registry.claim(session(key(pubdomain="push2.demo.local")), 1000)
    blacklist.apply(ban(key()))
    assert registry.claim(session(), 1000).refusal is BreakCode.FORBIDDEN


def test_silent_holder_yields_at_the_limit_and_not_before() -> None:
    registry = Registry(Blacklist())
    publisher = FakePublisher(silent=SILENT_SECONDS - 0.001)
    first, second = session(publisher=publisher), session()
    registry.claim(first, 1000)
    assert registry.claim(second, 1000).refusal is BreakCode.ALREADY_EXISTS
    publisher.silent = SILENT_SECONDS
    assert registry.claim(second, 1000) == Claim(displaced=first)
    assert first.evicted_with is BreakCode.SUCCESS
    assert registry.holds(second)
    assert not registry.holds(first)


def test_holder_that_is_still_being_opened_does_not_count_as_silent() -> None:
    # Nothing is read from it while it waits for its answer.
    registry = Registry(Blacklist())
    opening = session(publisher=FakePublisher(silent=3600.0), started=False)
    registry.claim(opening, 1000)
    assert registry.claim(session(), 1000) == Claim(refusal=BreakCode.ALREADY_EXISTS)
    assert opening.evicted_with is None


def test_late_goodbye_never_frees_the_successors_claim() -> None:
    registry = Registry(Blacklist())
    first, second = session(publisher=FakePublisher(silent=60)), session()
    registry.claim(first, 1000)
    registry.claim(second, 1000)
    assert not registry.release(first)
    assert registry.holds(second)
    assert registry.release(second)
    assert not registry.release(second)
    assert len(registry) == 0


def test_evict_takes_exactly_the_key() -> None:
    registry = Registry(Blacklist())
    publish = session()
    registry.claim(publish, 1000)
    assert registry.evict(key(pubdomain="push2.demo.local"), BreakCode.FORBIDDEN) is None
    assert registry.evict(key("other"), BreakCode.FORBIDDEN) is None
    assert registry.evict(key(), BreakCode.FORBIDDEN) is publish
    assert publish.evicted_with is BreakCode.FORBIDDEN
    assert registry.evict(key(), BreakCode.FORBIDDEN) is None


def test_sessions_are_a_snapshot() -> None:
    registry = Registry(Blacklist())
    publishes = [session(key(f"s{number}")) for number in range(3)]
    for publish in publishes:
        registry.claim(publish, 1000)
    seen = []
    for publish in registry.sessions():
        registry.release(publish)
        seen.append(publish)
    assert seen == publishes


def test_sessions_of_an_app_come_in_order_of_claims() -> None:
    registry = Registry(Blacklist())
    publishes = [session(key(stream)) for stream in ("z", "a", "m")]
    for publish in (*publishes, session(key("x", app="other")), session(key("x", unique_name="other"))):
        registry.claim(publish, 1000)
    assert registry.sessions_of("demo", "live") == tuple(publishes)
    assert registry.sessions_of("demo", "none") == ()


def test_security_18_unique_names_leave_nothing_behind() -> None:
    registry = Registry(Blacklist())
    for number in range(20_000):
        publish = session(key(f"s{number}", app=f"app{number}"))
        registry.claim(publish, 1000)
        registry.release(publish)
    assert not registry._holders
    assert not registry._by_app


KEYS = [
    key(stream, pubdomain, app)
    for stream in ("s1", "s2")
    for pubdomain in ("push.demo.local", "push2.demo.local")
    for app in ("live", "vod")
]
keys = st.sampled_from(KEYS)


class RegistryBesideAModel(RuleBasedStateMachine):
    """Security class 17 at its root: any order of claims, goodbyes, bans and silences, beside a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.blacklist = Blacklist()
        self.registry = Registry(self.blacklist)
        self.every: list[tuple[Session, FakePublisher]] = []
        self.live: list[Session] = []
        self.now = 1000
        self.version = 0

    @rule(of=keys, started=st.booleans())
    def claim(self, of: StreamKey, started: bool) -> None:
        publisher = FakePublisher()
        publish = session(of, publisher, started)
        forbidden = self.blacklist.forbids(of, self.now)
        holder = next((other for other in self.live if other.key.name == of.name), None)
        yields = holder is not None and holder.started and holder.publisher.silent_seconds() >= SILENT_SECONDS
        claim = self.registry.claim(publish, self.now)
        self.every.append((publish, publisher))
        if forbidden:
            assert claim == Claim(refusal=BreakCode.FORBIDDEN)
        elif holder is not None and not yields:
            assert claim == Claim(refusal=BreakCode.ALREADY_EXISTS)
        else:
            assert claim == Claim(displaced=holder)
            self.live = [*(other for other in self.live if other is not holder), publish]

    @precondition(lambda self: self.every)
    @rule(choice=st.data(), seconds=st.sampled_from([0.0, 4.9, 5.0, 60.0]))
    def fall_silent(self, choice: st.DataObject, seconds: float) -> None:
        choice.draw(st.sampled_from(self.every))[1].silent = seconds

    @precondition(lambda self: self.every)
    @rule(choice=st.data())
    def say_goodbye(self, choice: st.DataObject) -> None:
        publish, _ = choice.draw(st.sampled_from(self.every))
        assert self.registry.release(publish) == any(other is publish for other in self.live)
        self.live = [other for other in self.live if other is not publish]

    @rule(of=keys, seconds=st.integers(1, 30))
    def forbid(self, of: StreamKey, seconds: int) -> None:
        self.version += 1
        self.blacklist.apply(ban(of, self.version, self.now, self.now + seconds))
        expected = next((other for other in self.live if other.key == of), None)
        assert self.registry.evict(of, BreakCode.FORBIDDEN) is expected
        self.live = [other for other in self.live if other is not expected]

    @rule(seconds=st.integers(1, 20))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def nothing_live_is_forbidden(self) -> None:
        assert not any(self.blacklist.forbids(publish.key, self.now) for publish in self.registry.sessions())

    @invariant()
    def registry_is_the_model(self) -> None:
        assert sorted(map(id, self.registry.sessions())) == sorted(map(id, self.live))
        assert len(self.registry) == len(self.live) == len({publish.key.name for publish in self.live})
        for app in ("live", "vod"):
            expected = tuple(publish for publish in self.live if publish.key.app == app)
            assert self.registry.sessions_of("demo", app) == expected
        for publish, _ in self.every:
            held = any(other is publish for other in self.live)
            assert self.registry.holds(publish) == held


RegistryBesideAModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestRegistryBesideAModel = RegistryBesideAModel.TestCase
