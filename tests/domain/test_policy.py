"""Policies: what each statement matches, which wins, and what is no policy. Every row is a test of its own."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openkls.domain import policy as module
from openkls.domain.policy import (
    COMPONENT_LIMIT_CHARACTERS,
    NO_RIGHTS,
    PATTERNS_LIMIT_CHARACTERS,
    STATEMENTS_LIMIT,
    TEXT_LIMIT_CHARACTERS,
    PolicyError,
    Resource,
    Verdict,
    parse_policy,
    parse_policy_text,
)

ACTIONS = ("ForbidStream", "ResumeStream", "GetBlacklist", "CheckBlacklist", "ListStreamDurations", "ListHistory")
ALLOWED, DENIED, NOT_ALLOWED = Verdict.ALLOWED, Verdict.DENIED, Verdict.NOT_ALLOWED
HERE = "krn:ksc:kls:cn-beijing-6:2000001:"
ANY = "krn:ksc:kls:*:*:*/*/*/*"


def statement(effect: str = "Allow", action: Any = "kls:*", resource: Any = ANY) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource}


def request(
    unique_name: str | None = "demo",
    pubdomain: str | None = "push.demo.local",
    app: str | None = "live",
    stream: str | None = "s1",
) -> Resource:
    return Resource("cn-beijing-6", "2000001", unique_name, pubdomain, app, stream)


def weigh(*statements: Mapping[str, Any], action: str = "ForbidStream", of: Resource | None = None) -> Verdict:
    return parse_policy(statements, ACTIONS).weigh(action, of or request())


# -- resources -------------------------------------------------------------------------------------------------------

# The pattern, and what it matches for a request that names all four.
MATCHES = [
    ("*", True),
    (ANY, True),
    (HERE + "demo/push.demo.local/live/s1", True),
    (HERE + "*/*/*/*", True),
    (HERE + "demo/*/*/*", True),
    (HERE + "*/push.demo.local/*/*", True),
    (HERE + "*/*/live/*", True),
    (HERE + "*/*/*/s1", True),
    (HERE + "**/*/*/*", True),
    ("krn:ksc:kls:*:2000001:demo/*/*/*", True),
    ("krn:ksc:kls:cn-*:2000001:demo/*/*/*", True),
    ("krn:ksc:kls:cn-beijing-6:*:demo/*/*/*", True),
    ("krn:ksc:kls:cn-beijing-6:200000?:demo/*/*/*", True),
    # Each place another one.
    ("krn:ksc:kls:cn-shanghai-3:2000001:*/*/*/*", False),
    ("krn:ksc:kls:cn-beijing-6:2000002:*/*/*/*", False),
    (HERE + "other/*/*/*", False),
    (HERE + "*/push.other.local/*/*", False),
    (HERE + "*/*/vod/*", False),
    (HERE + "*/*/*/s2", False),
    # Wildcards within a place.
    (HERE + "d*/*/*/*", True),
    (HERE + "*o/*/*/*", True),
    (HERE + "d*o/*/*/*", True),
    (HERE + "*em*/*/*/*", True),
    (HERE + "demo*/*/*/*", True),
    (HERE + "*demo/*/*/*", True),
    (HERE + "d?mo/*/*/*", True),
    (HERE + "????/*/*/*", True),
    (HERE + "???/*/*/*", False),
    (HERE + "?????/*/*/*", False),
    (HERE + "?*/*/*/*", True),
    (HERE + "????*/*/*/*", True),
    (HERE + "?????*/*/*/*", False),
    (HERE + "d*x/*/*/*", False),
    (HERE + "x*/*/*/*", False),
    (HERE + "*x/*/*/*", False),
    (HERE + "*mo*mo/*/*/*", False),
    (HERE + "d*e*m*o/*/*/*", True),
    (HERE + "d*m*e*o/*/*/*", False),
    # The whole place, not a piece of it.
    (HERE + "dem/*/*/*", False),
    (HERE + "demo1/*/*/*", False),
    (HERE + "*/push/*/*", False),
    (HERE + "*/*.demo.local/*/*", True),
    (HERE + "*/push.*/*/*", True),
    # What a regular expression would read otherwise.
    (HERE + "*/pushXdemoXlocal/*/*", False),
    (HERE + "*/*.demo?local/*/*", True),
    (HERE + "[d]emo/*/*/*", False),
    (HERE + "[d]em*/*/*/*", False),
    (HERE + ".*/*/*/*", False),
    (HERE + "(demo)?/*/*/*", False),
    (HERE + "demo$/*/*/*", False),
    # Host names are compared without case, the rest with it.
    (HERE + "*/PUSH.Demo.Local/*/*", True),
    (HERE + "*/PUSH.*/*/*", True),
    (HERE + "Demo/*/*/*", False),
    (HERE + "*/*/Live/*", False),
    (HERE + "*/*/*/S*", False),
]


@pytest.mark.parametrize(("pattern", "matches"), MATCHES)
@pytest.mark.parametrize(("effect", "yes"), [("Allow", ALLOWED), ("Deny", DENIED)])
def test_resource_matches(pattern: str, matches: bool, effect: str, yes: Verdict) -> None:
    assert weigh(statement(effect, resource=pattern)) == (yes if matches else NOT_ALLOWED)


@pytest.mark.parametrize(
    ("pattern", "stream", "matches"),
    [
        ("a*b*c", "abc", True),
        ("a*b*c", "a1b2c", True),
        ("a*b*c", "a1c2b", False),
        ("a*b*c", "abcb", False),
        ("a*b*c", "abcbc", True),
        ("*ab*ab", "ab", False),
        ("*ab*ab", "abab", True),
        ("*ab*ab", "aab", False),
        ("*a?c*", "xabcx", True),
        ("*a?c*", "aacc", True),
        ("*a?c*", "ac", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*a*", "aXa", True),
        ("**a**", "bab", True),
        ("?", "直", True),
        ("直*", "直播", True),
        ("s:*", "s:1", True),
        ("a:b", "a:b", True),
        ("*", "", True),
        ("s*", "s\n1", True),
        ("s?", "s\n", True),
        ("s1", "s1\n", False),
        ("*1", "s1\n", False),
    ],
)
def test_wildcards_match_within_a_name(pattern: str, stream: str, matches: bool) -> None:
    verdict = weigh(statement(resource=f"{HERE}*/*/*/{pattern}"), of=request(stream=stream))
    assert verdict == (ALLOWED if matches else NOT_ALLOWED)


@given(st.text("ab*?", min_size=1, max_size=8), st.text("ab", max_size=8))
def test_wildcards_match_as_a_plain_reading_of_them_does(pattern: str, stream: str) -> None:
    def plain(rest: str, text: str) -> bool:
        if not rest:
            return not text
        if rest[0] == "*":
            return plain(rest[1:], text) or (bool(text) and plain(rest, text[1:]))
        return bool(text) and rest[0] in ("?", text[0]) and plain(rest[1:], text[1:])

    verdict = weigh(statement(resource=f"{HERE}*/*/*/{pattern}"), of=request(stream=stream))
    assert (verdict == ALLOWED) == plain(pattern, stream)


# A request that does not say: the pattern, whether it allows, whether it denies.
UNSAID = [
    ("*", request(stream=None), True, True),
    (ANY, request(stream=None), True, True),
    (HERE + "demo/*/*/*", request(stream=None), True, True),
    (HERE + "demo/*/*/**", request(stream=None), True, True),
    (HERE + "demo/*/*/s1", request(stream=None), False, True),
    (HERE + "demo/*/*/s*", request(stream=None), False, True),
    (HERE + "demo/*/*/?*", request(stream=None), False, True),
    (HERE + "other/*/*/s1", request(stream=None), False, False),
    (HERE + "demo/*/vod/s1", request(stream=None), False, False),
    (HERE + "demo/*/*/s1", request(pubdomain=None), True, True),
    (HERE + "demo/push.demo.local/*/s1", request(pubdomain=None), False, True),
    (HERE + "demo/push.*/*/s1", request(pubdomain=None), False, True),
    (HERE + "demo/push.demo.local/*/s2", request(pubdomain=None), False, False),
    (HERE + "demo/*/live/*", request(app=None), False, True),
    (HERE + "*/*/live/*", request(unique_name=None), True, True),
    (HERE + "demo/*/live/*", request(unique_name=None), False, True),
    (HERE + "demo/p/live/s", request(None, None, None, None), False, True),
    (HERE + "*/*/*/*", request(None, None, None, None), True, True),
    ("krn:ksc:kls:*:2000002:*/*/*/*", request(None, None, None, None), False, False),
]


@pytest.mark.parametrize(("pattern", "of", "allows", "denies"), UNSAID)
def test_what_a_request_does_not_say_is_allowed_by_a_star_alone_and_always_denied(
    pattern: str, of: Resource, allows: bool, denies: bool
) -> None:
    assert weigh(statement(resource=pattern), of=of) == (ALLOWED if allows else NOT_ALLOWED)
    assert weigh(statement("Deny", resource=pattern), of=of) == (DENIED if denies else NOT_ALLOWED)


def test_wildcard_never_reaches_into_the_next_place() -> None:
    # Four places are four places: a name with a slash in it is one name.
    assert (
        weigh(statement(resource=HERE + "demo/*/*/x"), of=request(pubdomain="a", app="b", stream="c/x")) == NOT_ALLOWED
    )
    with pytest.raises(PolicyError):
        parse_policy([statement(resource=HERE + "demo/*")], ACTIONS)


# -- actions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("*", set(ACTIONS)),
        ("kls:*", set(ACTIONS)),
        ("kls:ForbidStream", {"ForbidStream"}),
        ("kls:List*", {"ListStreamDurations", "ListHistory"}),
        ("kls:*Blacklist", {"GetBlacklist", "CheckBlacklist"}),
        ("kls:*Stream", {"ForbidStream", "ResumeStream"}),
        ("kls:?orbidStream", {"ForbidStream"}),
        ("kls:*k*list", {"GetBlacklist", "CheckBlacklist"}),
        ("kls:*tream*ations", {"ListStreamDurations"}),
        (["kls:ForbidStream", "kls:Get*"], {"ForbidStream", "GetBlacklist"}),
        (["kls:ForbidStream", "kls:*"], set(ACTIONS)),
    ],
)
def test_action_matches(pattern: Any, allowed: set[str]) -> None:
    rights = parse_policy([statement(action=pattern)], ACTIONS)
    assert {action for action in ACTIONS if rights.weigh(action, request()) == ALLOWED} == allowed


def test_action_that_no_statement_names_is_not_allowed() -> None:
    assert weigh(statement(action="kls:GetBlacklist"), action="ForbidStream") == NOT_ALLOWED
    assert weigh(statement(action="kls:*"), action="AnActionOfLater") == NOT_ALLOWED


# -- which statement wins --------------------------------------------------------------------------------------------

S1 = HERE + "demo/*/*/s1"


@pytest.mark.parametrize(
    ("statements", "verdict"),
    [
        ([], Verdict.NO_STATEMENTS),
        ([statement()], ALLOWED),
        ([statement("Deny")], DENIED),
        ([statement(), statement("Deny")], DENIED),
        ([statement("Deny"), statement()], DENIED),
        ([statement(), statement("Deny", resource=S1)], DENIED),
        ([statement("Deny", resource=HERE + "demo/*/*/s2"), statement()], ALLOWED),
        ([statement("Deny", resource=HERE + "demo/*/*/s2")], NOT_ALLOWED),
        ([statement("Deny", action="kls:ResumeStream"), statement()], ALLOWED),
        ([statement("Deny", action="kls:Forbid*"), statement(action="kls:ForbidStream", resource=S1)], DENIED),
        ([statement(resource=HERE + "x/*/*/*"), statement(resource=S1)], ALLOWED),
        ([statement(resource=[HERE + "x/*/*/*", S1])], ALLOWED),
        ([statement("Deny", resource=[HERE + "x/*/*/*", S1]), statement()], DENIED),
        ([statement(resource=S1), statement(resource=S1)], ALLOWED),
        # Action and Resource belong to one statement, and do not mix with another's.
        ([statement(action="kls:GetBlacklist"), statement(resource=HERE + "x/*/*/*")], NOT_ALLOWED),
    ],
)
def test_deny_wins_and_nothing_is_allowed_that_no_statement_allows(statements: Any, verdict: Verdict) -> None:
    assert weigh(*statements) == verdict


def test_key_without_statements_may_do_nothing() -> None:
    assert parse_policy([], ACTIONS) == NO_RIGHTS
    assert all(NO_RIGHTS.weigh(action, request()) is Verdict.NO_STATEMENTS for action in ACTIONS)


# -- what is no policy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (None, "got a NoneType, expected a list of statements"),
        ({}, "got a dict, expected a list of statements"),
        ("Allow", "got 'Allow', expected a list of statements"),
        (["Allow"], "statement 1: got 'Allow', expected a table"),
        ([statement(), []], "statement 2: got a list, expected a table"),
        ([{}], "statement 1: has nothing, expected exactly Effect, Action, Resource"),
        ([{"Effect": "Allow", "Action": "kls:*"}], "statement 1: has Effect, Action, expected exactly"),
        ([statement() | {"Condition": {}}], "has Effect, Action, Resource, Condition, expected exactly"),
        ([statement() | {"NotAction": "x"}], "expected exactly Effect, Action, Resource"),
        ([{"effect": "Allow", "action": "kls:*", "resource": ANY}], "has effect, action, resource, expected"),
        ([statement("allow")], 'statement 1: Effect: got \'allow\', expected "Allow" or "Deny"'),
        ([statement("")], "Effect: got ''"),
        ([statement(["Allow"])], "Effect: got a list"),  # type: ignore[arg-type]
        ([statement(action="")], "Action: '' is none of kls:CheckBlacklist, kls:ForbidStream"),
        ([statement(action="ForbidStream")], "Action: 'ForbidStream' is none of"),
        ([statement(action="kls:")], "Action: 'kls:' is none of"),
        ([statement(action="kls:ForbidSteam")], "Action: 'kls:ForbidSteam' is none of"),
        ([statement(action="kls:forbidstream")], "is none of"),
        ([statement(action="ks3:*")], "is none of"),
        ([statement(action="kls:Put*")], "is none of"),
        ([statement(action=["kls:*", "kls:Put*"])], "Action: 'kls:Put*' is none of"),
        ([statement(action=[])], "Action: got a list, expected a text or a list of texts"),
        ([statement(action=[1])], "Action: got a list, expected a text or a list of texts"),
        ([statement(action=None)], "Action: got a NoneType, expected"),
        ([statement(resource=[])], "Resource: got a list, expected a text or a list of texts"),
        ([statement(resource={})], "Resource: got a dict, expected"),
        ([statement(resource="")], "Resource: got '', expected krn:ksc:kls:<region>:<account>:<UniqueName>/"),
        ([statement(resource="demo/*/*/*")], "Resource: got 'demo/*/*/*', expected krn:"),
        ([statement(resource="arn:aws:kls:*:*:*/*/*/*")], "expected krn:ksc:kls:"),
        ([statement(resource="krn:ksc:ks3:*:*:*/*/*/*")], "expected krn:ksc:kls:"),
        ([statement(resource="krn:ksc:kls:*:*")], "expected krn:ksc:kls:"),
        ([statement(resource="krn:ksc:kls:*/*/*/*")], "expected krn:ksc:kls:"),
        ([statement(resource="krn:ksc:kls:*:*:*")], "expected krn:ksc:kls:"),
        ([statement(resource="krn:ksc:kls:*:*:*/*/*")], "expected krn:ksc:kls:"),
        ([statement(resource="krn:ksc:kls:*:*:*/*/*/*/*")], "expected krn:ksc:kls:"),
        ([statement(resource="krn:ksc:kls:*:*:*/*/*/")], "expected krn:ksc:kls:"),
        ([statement(resource="krn:ksc:kls:*:*:*//*/*")], "expected krn:ksc:kls:"),
        ([statement(resource="krn:ksc:kls::*:*/*/*/*")], "expected krn:ksc:kls:"),
        ([statement(resource="krn:ksc:kls:*::*/*/*/*")], "expected krn:ksc:kls:"),
        ([statement(), statement(resource=[ANY, "x"])], "statement 2: Resource: got 'x'"),
    ],
)
def test_fault_names_its_statement_and_says_what_was_expected(statements: Any, fault: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(fault)):
        parse_policy(statements, ACTIONS)


def test_what_is_quoted_in_a_fault_is_cut() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy([statement(resource="x" * 5000)], ACTIONS)
    assert len(str(caught.value)) < 300


def test_statements_are_bounded() -> None:
    assert len(parse_policy([statement()] * STATEMENTS_LIMIT, ACTIONS).rules) == len(ACTIONS)
    with pytest.raises(PolicyError, match="101 statements, expected at most 100"):
        parse_policy([statement()] * (STATEMENTS_LIMIT + 1), ACTIONS)


def test_characters_of_actions_and_resources_are_bounded() -> None:
    rest = PATTERNS_LIMIT_CHARACTERS - len("*")
    whole, left = divmod(rest, len(ANY))
    resources = [ANY] * whole + ["*"] * left
    parse_policy([statement(action="*", resource=resources)], ACTIONS)
    with pytest.raises(PolicyError, match="more than 10240 characters of actions and resources in all"):
        parse_policy([statement(action="*", resource=[*resources, "*"])], ACTIONS)
    with pytest.raises(PolicyError, match="statement 2: more than 10240 characters"):
        parse_policy([statement(action="*", resource=resources), statement(action="*", resource="*")], ACTIONS)


def test_a_place_is_bounded() -> None:
    parse_policy([statement(resource=f"{HERE}*/*/*/{'a' * COMPONENT_LIMIT_CHARACTERS}")], ACTIONS)
    with pytest.raises(PolicyError, match="more than 256 characters in one place"):
        parse_policy([statement(resource=f"{HERE}*/*/*/{'a' * (COMPONENT_LIMIT_CHARACTERS + 1)}")], ACTIONS)


def test_json_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps([statement()])
    assert parse_policy_text(text + " " * (TEXT_LIMIT_CHARACTERS - len(text)), ACTIONS).rules
    with pytest.raises(PolicyError, match="65537 characters, expected at most 65536"):
        parse_policy_text(text + " " * (TEXT_LIMIT_CHARACTERS - len(text) + 1), ACTIONS)
    monkeypatch.setattr(module, "TEXT_LIMIT_CHARACTERS", 10**6)
    with pytest.raises(PolicyError):
        parse_policy_text("[" * 10**6, ACTIONS)


@pytest.mark.parametrize("text", ["", "{", "[", "nothing", "[{]", "\ud800", '["Allow"]', "{}", "null", "1"])
def test_text_that_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy_text(text, ACTIONS)


def test_json_is_read_as_toml_is() -> None:
    statements = [statement(resource=S1), statement("Deny", ["kls:List*"], [ANY])]
    assert parse_policy_text(json.dumps(statements), ACTIONS) == parse_policy(tuple(statements), ACTIONS)


def test_the_most_expensive_pattern_ends() -> None:
    # As many wildcards as fit, against a name on which a matcher that goes back would not end in a lifetime.
    pattern = f"{HERE}*/*/*/{'*a' * (COMPONENT_LIMIT_CHARACTERS // 2 - 1)}*b"
    most = PATTERNS_LIMIT_CHARACTERS // len(pattern) - 1
    rights = parse_policy([statement(resource=[pattern] * most)], ACTIONS)
    assert rights.weigh("ForbidStream", request(stream="a" * COMPONENT_LIMIT_CHARACTERS)) == NOT_ALLOWED


# -- names -----------------------------------------------------------------------------------------------------------


def test_krn_shows_what_a_request_does_not_say_as_a_star() -> None:
    assert request().krn == HERE + "demo/push.demo.local/live/s1"
    assert request(pubdomain=None, stream=None).krn == HERE + "demo/*/live/*"
