"""What a key may do: IAM-style statements, read and weighed.

Rule: what is not understood whole is refused whole: a statement that says less than its author thinks is an open door.

A statement is `{"Effect": "Allow" | "Deny", "Action": ..., "Resource": ...}`; Action and Resource are a text or a list
of texts. An action is `kls:ForbidStream`, or has wildcards, `kls:List*`; `*` alone is every action. A resource is
`krn:ksc:kls:<region>:<account>:<UniqueName>/<Pubdomain>/<App>/<Stream>`; `*` alone is every resource. In each place of
a resource `*` stands for any characters and `?` for one; neither reaches into the next place.

Theory of operation. Actions are few and known, so their patterns are gone after reading: there is one list of resources
denied and one allowed for each action. A place of a resource becomes None (anything), a text, or a regular expression
that cannot backtrack: after each `*` the first occurrence of what follows is taken for good, which for such patterns
loses nothing. Reading bounds the number of patterns and their length, hence the cost of a question.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

SERVICE_PREFIX: Final = "kls:"
RESOURCE_PREFIX: Final = "krn:ksc:kls:"
RESOURCE_FORM: Final = "krn:ksc:kls:<region>:<account>:<UniqueName>/<Pubdomain>/<App>/<Stream>"
ANYTHING: Final = "*"

# A hundred statements, and 10 KB of actions and resources in all, are what larger clouds let a role have.
STATEMENTS_LIMIT: Final = 100
PATTERNS_LIMIT_CHARACTERS: Final = 10_240
# JSON around them: names, quotes, indentation.
TEXT_LIMIT_CHARACTERS: Final = 65_536
# The longest name a component may be (contract, 5); a longer one is no name, and is not weighed.
COMPONENT_LIMIT_CHARACTERS: Final = 256

_FIELDS: Final = frozenset(("Effect", "Action", "Resource"))
_QUOTED_LIMIT_CHARACTERS: Final = 80

Place = str | re.Pattern[str] | None
Pattern = tuple[Place, ...]


class PolicyError(ValueError):
    """The statements cannot be used; the text says which one, what was got and what was expected."""


class Verdict(Enum):
    """What a policy says of a request."""

    ALLOWED = "allowed"
    DENIED = "a statement denies it"
    NOT_ALLOWED = "no statement allows it"
    NO_STATEMENTS = "there are no statements"


class Resource(NamedTuple):
    """What a request is about; a component is None where the request does not say."""

    region: str
    account_id: str
    unique_name: str | None = None
    pubdomain: str | None = None
    app: str | None = None
    stream: str | None = None

    @property
    def krn(self) -> str:
        """Its name, with ``*`` for what the request does not say."""
        path = "/".join(ANYTHING if name is None else name for name in self[2:])
        return f"{RESOURCE_PREFIX}{self.region}:{self.account_id}:{path}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What the statements say of one action."""

    denied: tuple[Pattern, ...] = ()
    allowed: tuple[Pattern, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The statements of a key by action; without any, nothing may be done."""

    rules: Mapping[str, Rule]

    def weigh(self, action: str, resource: Resource) -> Verdict:
        """Whether ``action`` (without the service's prefix) may be done to ``resource``.

        A deny wins over every allow. What a request does not say is allowed only by a plain ``*`` in its place, and
        is denied whatever stands there: a request for all streams is one for the denied stream too (contract, 4).
        """
        if not self.rules:
            return Verdict.NO_STATEMENTS
        rule = self.rules.get(action)
        if rule is None:
            return Verdict.NOT_ALLOWED
        for pattern in rule.denied:
            if _matches(pattern, resource, unsaid=True):
                return Verdict.DENIED
        for pattern in rule.allowed:
            if _matches(pattern, resource, unsaid=False):
                return Verdict.ALLOWED
        return Verdict.NOT_ALLOWED


NO_RIGHTS: Final = Policy({})
"""What a key without any statement may do, and one whose statements cannot be read."""


def parse_policy(statements: object, actions: Collection[str]) -> Policy:
    """Read statements as TOML and JSON give them; ``actions`` are the service's. Raises PolicyError."""
    if not isinstance(statements, list | tuple):
        raise PolicyError(f"got {_quoted(statements)}, expected a list of statements")
    if len(statements) > STATEMENTS_LIMIT:
        raise PolicyError(f"{len(statements)} statements, expected at most {STATEMENTS_LIMIT}")
    denied: dict[str, dict[str, Pattern]] = {}
    allowed: dict[str, dict[str, Pattern]] = {}
    characters = 0
    for number, statement in enumerate(statements, 1):
        where = f"statement {number}"
        if not isinstance(statement, Mapping):
            raise PolicyError(f"{where}: got {_quoted(statement)}, expected a table")
        if statement.keys() != _FIELDS:
            raise PolicyError(f"{where}: has {_names(statement)}, expected exactly Effect, Action, Resource")
        effect = statement["Effect"]
        if effect not in ("Allow", "Deny"):
            raise PolicyError(f'{where}: Effect: got {_quoted(effect)}, expected "Allow" or "Deny"')
        wanted = _texts(statement["Action"], f"{where}: Action")
        resources = _texts(statement["Resource"], f"{where}: Resource")
        characters += sum(map(len, wanted)) + sum(map(len, resources))
        if characters > PATTERNS_LIMIT_CHARACTERS:
            raise PolicyError(
                f"{where}: more than {PATTERNS_LIMIT_CHARACTERS} characters of actions and resources in all"
            )
        patterns = {text: _parse_resource(text, f"{where}: Resource") for text in resources}
        side = allowed if effect == "Allow" else denied
        for text in wanted:
            for action in _parse_action(text, actions, f"{where}: Action"):
                side.setdefault(action, {}).update(patterns)
    return Policy(
        {
            action: Rule(tuple(denied.get(action, {}).values()), tuple(allowed.get(action, {}).values()))
            for action in sorted(denied.keys() | allowed.keys())
        }
    )


def parse_policy_text(text: str, actions: Collection[str]) -> Policy:
    """Read statements written as JSON. Raises PolicyError."""
    if len(text) > TEXT_LIMIT_CHARACTERS:
        raise PolicyError(f"{len(text)} characters, expected at most {TEXT_LIMIT_CHARACTERS}")
    try:
        statements = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"is not JSON: {error}") from error
    return parse_policy(statements, actions)


def _texts(value: object, where: str) -> tuple[str, ...]:
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not values or not all(isinstance(text, str) for text in values):
        raise PolicyError(f"{where}: got {_quoted(value)}, expected a text or a list of texts")
    return tuple(values)


def _parse_action(text: str, actions: Collection[str], where: str) -> list[str]:
    """The actions a pattern stands for; one that stands for none is a slip."""
    if text == ANYTHING:
        return list(actions)
    place = _parse_place(text.removeprefix(SERVICE_PREFIX)) if text.startswith(SERVICE_PREFIX) else ""
    found = [action for action in actions if _fits(place, action)]
    if not found:
        known = ", ".join(SERVICE_PREFIX + action for action in sorted(actions))
        raise PolicyError(f"{where}: {_quoted(text)} is none of {known}, and no pattern of one")
    return found


def _parse_resource(text: str, where: str) -> Pattern:
    if text == ANYTHING:
        return (None,) * len(Resource._fields)
    # A stream's name may hold a colon.
    region, _, rest = text.removeprefix(RESOURCE_PREFIX).partition(":")
    account, _, path = rest.partition(":")
    places = [region, account, *path.split("/")]
    if not text.startswith(RESOURCE_PREFIX) or len(places) != len(Resource._fields) or not all(places):
        raise PolicyError(f"{where}: got {_quoted(text)}, expected {RESOURCE_FORM} with * for any of them")
    if max(map(len, places)) > COMPONENT_LIMIT_CHARACTERS:
        raise PolicyError(f"{where}: {_quoted(text)}: more than {COMPONENT_LIMIT_CHARACTERS} characters in one place")
    # Host names are compared without case.
    places[Resource._fields.index("pubdomain")] = places[Resource._fields.index("pubdomain")].lower()
    return tuple(_parse_place(place) for place in places)


def _parse_place(text: str) -> Place:
    if not text.strip("*") and text:
        return None
    if "*" not in text and "?" not in text:
        return text
    first, *others = ["".join("." if char == "?" else re.escape(char) for char in piece) for piece in text.split("*")]
    if not others:
        return re.compile(first, re.DOTALL)
    *inner, last = others
    pieces = "".join(f"(?>.*?{piece})" for piece in inner if piece)
    return re.compile(f"{first}{pieces}.*{last}", re.DOTALL)


def _matches(pattern: Pattern, resource: Resource, *, unsaid: bool) -> bool:
    """Whether every place fits; one that the request does not say fits if ``unsaid``, or if the place is any."""
    for place, name in zip(pattern, resource, strict=True):
        if place is None:
            continue
        if name is None:
            if not unsaid:
                return False
        elif not _fits(place, name):
            return False
    return True


def _fits(place: Place, name: str) -> bool:
    if place is None:
        return True
    return place == name if isinstance(place, str) else place.fullmatch(name) is not None


def _names(statement: Mapping[object, object]) -> str:
    return _cut(", ".join(str(name) for name in statement) or "nothing")


def _quoted(value: object) -> str:
    return _cut(repr(value)) if isinstance(value, str) else f"a {type(value).__name__}"


def _cut(text: str) -> str:
    return text if len(text) <= _QUOTED_LIMIT_CHARACTERS else f"{text[:_QUOTED_LIMIT_CHARACTERS]}..."
