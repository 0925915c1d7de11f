"""What names stand for: domains, spaces, accounts. Rule: everything that comes in by a name is resolved here, once."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from openkls import config
from openkls.config import is_alias, normal_host
from openkls.domain.callbacks import CallbackTarget
from openkls.domain.errors import BusinessError
from openkls.domain.keys import StreamKey, StreamName
from openkls.domain.ports import Whereabouts
from openkls.domain.registry import Registry

# A query string names a domain in one of its first few parameters; more are nobody's.
QUERY_FIELDS_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Door:
    """A publish domain as it was named, and what it leads to. ``pubdomain`` is the name streams are recorded under."""

    space: config.Space
    domain: config.PublishDomain
    pubdomain: str


@dataclass(frozen=True, slots=True)
class Seat:
    """What a play URL asks for. ``domain`` is None when it was asked for by address."""

    name: StreamName
    domain: config.PlayDomain | None

    @property
    def domain_id(self) -> str:
        """The id DomainIds counts the viewer under; "" by address."""
        return self.domain.id if self.domain else ""


class Directory:
    """The accounts' spaces and their doors."""

    def __init__(self, accounts: Iterable[config.Account], by_address: bool = True) -> None:
        self.replace(accounts, by_address)

    def replace(self, accounts: Iterable[config.Account], by_address: bool = True) -> None:
        """Know these accounts instead, from now on. What has been resolved keeps what it was resolved to."""
        self.by_address = by_address
        """Whether streams are played by address too."""
        self._accounts: set[str] = set()
        self._spaces: dict[str, tuple[str, config.Space]] = {}
        self._doors: dict[str, Door] = {}
        self._play_domains: dict[str, tuple[config.Space, config.PlayDomain]] = {}
        called_back: dict[str, CallbackTarget] = {}
        for account in accounts:
            self._accounts.add(account.id)
            for space in account.space:
                self._spaces[space.unique_name] = (account.id, space)
                self._add_doors(space)
                if space.callback_url:
                    called_back[space.unique_name] = CallbackTarget(
                        space.callback_url, space.callback_keys, space.callback_private
                    )
                for play_domain in space.play_domain:
                    self._play_domains[normal_host(play_domain.name)] = (space, play_domain)

        # Replaced at one go: the store asks from a thread of its own.
        self._called_back = called_back

    def _add_doors(self, space: config.Space) -> None:
        names = [normal_host(domain.name) for domain in space.doors]
        # Addresses and localhost are other names of the first real domain, so that a ban can't be dodged by them.
        first = next((name for name in names if not is_alias(name)), names[0] if names else "")
        for name, domain in zip(names, space.doors, strict=True):
            self._doors.setdefault(name, Door(space, domain, first if is_alias(name) else name))

    def publish_door(self, tc_url: str, app_query: str, query: str) -> Door | None:
        """The publish domain of a publish: named in the stream's query, else the app's, else tcUrl's, else tcUrl's
        host (design: Names of streams). None when nobody has that domain."""
        return self._doors.get(_host_of(tc_url, app_query, query))

    def seat(
        self, host: str, app: str, stream: str, registry: Registry, elsewhere: Whereabouts | None = None
    ) -> Seat | None:
        """The stream a play URL of this host asks for, live here or ``elsewhere``; or None."""
        live = [
            seat
            for seat in self.seats(host, app, stream)
            if registry.holder(seat.name) or (elsewhere is not None and elsewhere.find(seat.name))
        ]
        # Where two spaces have the stream an address does not say which is meant.
        return live[0] if len(live) == 1 else None

    def seats(self, host: str, app: str, stream: str) -> list[Seat]:
        """All that a play URL of this host may ask for, live or not: one by a play domain, any number by address."""
        host = normal_host(host)
        found = self._play_domains.get(host)
        if found is not None:
            space, domain = found
            return [Seat(StreamName(space.unique_name, app, stream), domain)]
        if not (self.by_address and is_alias(host)):
            return []
        return [
            Seat(StreamName(space.unique_name, app, stream), None)
            for _, space in self._spaces.values()
            if all(domain.auth == "none" for domain in space.play_domain)
        ]

    def play_host(self, tc_url: str, app_query: str, query: str) -> str:
        """The host an RTMP play asks by; found like a publish domain."""
        return _host_of(tc_url, app_query, query)

    def callback_target(self, unique_name: str) -> CallbackTarget | None:
        """The server that is told of the space's streams; None where none is. From any thread."""
        return self._called_back.get(unique_name)

    def calls_back(self, unique_name: str) -> bool:
        """Whether a server is told of the space's streams. From any thread."""
        return unique_name in self._called_back

    def has_account(self, account_id: str) -> bool:
        """Whether the account is there."""
        return account_id in self._accounts

    def play_names(self, account_id: str) -> list[str]:
        """The play domains of an account, as they are compared."""
        return [
            normal_host(domain.name)
            for owner, space in self._spaces.values()
            if owner == account_id
            for domain in space.play_domain
        ]

    def check_account(self, account_id: str) -> None:
        """Raises BusinessError when the account is gone (contract, 5)."""
        if not self.has_account(account_id):
            raise BusinessError(5000, account_id)

    def spaces(self, account_id: str) -> tuple[config.Space, ...]:
        """The spaces of an account, in the configuration's order."""
        return tuple(space for owner, space in self._spaces.values() if owner == account_id)

    def all_spaces(self) -> list[tuple[str, config.Space]]:
        """Every space with its account's id."""
        return list(self._spaces.values())

    def owner(self, unique_name: str) -> str | None:
        """The account of a space; None for a space that is gone."""
        return self._spaces.get(unique_name, (None, None))[0]

    def space(self, account_id: str, unique_name: str, app: str | None) -> config.Space:
        """The space of this account, which must let ``app``, where one is named, in. Raises BusinessError (contract,
        5)."""
        self.check_account(account_id)
        owner, space = self._spaces.get(unique_name, (None, None))
        if space is None or owner != account_id:
            raise BusinessError(6406, unique_name)
        if app is not None and not space.has_app(app):
            raise BusinessError(1003, app)
        return space

    def pubdomain(self, space: config.Space, pubdomain: str) -> str:
        """The name streams pushed through ``pubdomain`` are recorded under. Raises BusinessError (contract, 5)."""
        door = self._doors.get(normal_host(pubdomain))
        if door is None:
            raise BusinessError(4000, pubdomain)
        if door.space.unique_name != space.unique_name:
            raise BusinessError(4201, pubdomain)
        return door.pubdomain

    def door(self, pubdomain: str) -> Door | None:
        """The publish domain of this name; None when nobody has it."""
        return self._doors.get(normal_host(pubdomain))

    def recorded_name(self, pubdomain: str) -> str:
        """The name streams pushed through ``pubdomain`` are recorded under, whosever it is; of an unknown one the form
        that domains are compared in."""
        host = normal_host(pubdomain)
        door = self._doors.get(host)
        return host if door is None else door.pubdomain

    def names_app(self, unique_name: str, app: str) -> bool:
        """Whether the configuration names an app of a space; one that only publishers name is not."""
        found = self._spaces.get(unique_name)
        return found is not None and (app in found[1].apps or any(app == known.name for known in found[1].app))

    def named_apps(self) -> list[tuple[str, str]]:
        """The apps that the configuration names, each with its space, in its order; of a space that names none ""."""
        named = []
        for _, space in self._spaces.values():
            apps = dict.fromkeys((*space.apps, *(app.name for app in space.app)))
            named += [(space.unique_name, app) for app in apps or ("",)]
        return named

    def settings(self, name: StreamName) -> config.App:
        """The settings of the app a stream belongs to; the defaults where its space is gone since it went live."""
        found = self._spaces.get(name.unique_name)
        return config.App(name=name.app) if found is None else found[1].settings_of(name.app)

    def key(self, door: Door, app: str, stream: str) -> StreamKey:
        """The key a publish through ``door`` is recorded under."""
        return StreamKey(door.space.unique_name, door.pubdomain, app, stream)


def _host_of(tc_url: str, app_query: str, query: str) -> str:
    try:
        address = urlsplit(tc_url)
        hostname, tc_query = address.hostname or "", address.query
    except ValueError:  # such as an unfinished IPv6 bracket
        hostname = tc_query = ""
    for text in (query, app_query, tc_query):
        named = _named_domain(text)
        if named:
            return normal_host(named)
    return normal_host(f"[{hostname}]" if ":" in hostname else hostname)


def _named_domain(query: str) -> str:
    if "vhost=" not in query and "domain=" not in query:
        return ""
    try:
        fields = parse_qs(query, max_num_fields=QUERY_FIELDS_LIMIT)
    except ValueError:  # too many fields
        return ""
    return (fields.get("vhost") or fields.get("domain") or [""])[0]
