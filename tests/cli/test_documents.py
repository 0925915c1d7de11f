"""What is not documented does not exist, and what is documented does: configuration, command line, links, examples."""

import re
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from openkls import config, model
from openkls.cli.program import app
from openkls.codec import pushauth
from openkls.control.callbacks import LEASE_SECONDS, PROBES_LIMIT, SEND_SECONDS, SENDS_LIMIT, SENDS_PER_TARGET_LIMIT
from openkls.control.keyring import KeyRing
from openkls.control.pushdoor import PUB_PARAM_LIMIT
from openkls.domain.callbacks import (
    DEAD_LIMIT,
    GIVE_UP_SECONDS,
    PARAM_FIELDS_LIMIT,
    PARAM_LIMIT,
    SECRET_PARAMS,
    WAITING_LIMIT,
    Notify,
)
from openkls.domain.policy import Resource, Verdict, parse_policy
from openkls.hooks.authority import ASKS_LIMIT, ASKS_PER_SERVER_LIMIT
from openkls.hooks.callbacks import EVENT_ID_HEADER
from openkls.hooks.targets import SIGNATURE_HEADER, TIMESTAMP_HEADER, build_signatures

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "docs" / "reference" / "configuration.md"
CLI = ROOT / "docs" / "reference" / "cli.md"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        ROOT / "deploy" / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "sdk").glob("*/README.md"),
    ]
)
ROW = re.compile(r"^\| `([^`]+)` \|(?: `([^`]*)` \|| +\|)", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")

STRUCTS: dict[str, type[msgspec.Struct]] = {
    "[server]": config.Server,
    "[api]": config.Api,
    "[console]": config.Console,
    "[rtmp]": config.Rtmp,
    "[play]": config.Play,
    "[store]": config.StoreSection,
    "[cluster]": config.Cluster,
    "[limits]": config.Limits,
    "[metrics]": config.Metrics,
    "[log]": config.Log,
    "[[account]]": config.Account,
    "[[account.key]]": config.Key,
    "[[account.space]]": config.Space,
    "[[account.space.publish_domain]]": config.PublishDomain,
    "[[account.space.play_domain]]": config.PlayDomain,
    "[[account.space.app]]": config.App,
}


def sections(page: Path, level: str = "## ") -> dict[str, str]:
    """The text below each heading that is one piece of code."""
    parts = re.split(rf"^{level}`(.+)`$", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_section_of_the_configuration_has_its_heading() -> None:
    assert set(sections(CONFIGURATION)) == set(STRUCTS)
    top = {field.name for field in msgspec.structs.fields(config.Config)}
    assert top == {name.strip("[]").partition(".")[0] for name in STRUCTS}


@pytest.mark.parametrize("name", STRUCTS)
def test_every_key_is_documented_with_its_default(name: str) -> None:
    rows = dict(ROW.findall(sections(CONFIGURATION)[name]))
    fields = {field.name: field for field in msgspec.structs.fields(STRUCTS[name])}
    assert list(rows) == list(fields)
    for key, text in rows.items():
        factory = fields[key].default_factory
        default: Any = fields[key].default if factory is msgspec.NODEFAULT else factory()
        if default is msgspec.NODEFAULT or default is None:
            assert text == "", f"{name} {key} has no default"
        else:
            said = tomllib.loads(f"value = {text}")["value"]
            assert said == (list(default) if isinstance(default, tuple) else default), f"{name} {key}"


def test_the_order_of_the_sections_is_that_of_the_configuration() -> None:
    assert list(sections(CONFIGURATION)) == list(STRUCTS)


def commands() -> Iterator[tuple[str, Any]]:
    """Each command with its whole name."""

    def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            for key, each in inner.items():
                yield from walk(each, f"{name} {key}")

    yield from walk(typer.main.get_command(app), "openkls")


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_option_is_documented_and_no_other(name: str, command: Any) -> None:
    documented = sections(CLI) | sections(CLI, "### ")
    assert name in documented
    text = documented[name].partition("\n##")[0]
    options = {
        option
        for parameter in command.params
        if parameter.param_type_name == "option"
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option not in ("--help", "-h")
    }
    rows = "".join(line for line in text.splitlines() if line.startswith("| `-"))
    assert set(re.findall(r"`(--?[a-z-]+)`", rows)) == options
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.envvar:
            page = documented["openkls call"]
            assert f"`{parameter.envvar}`" in page
        if parameter.param_type_name == "option":
            assert parameter.help, f"{name} {parameter.opts} has no help"


def test_no_command_is_documented_that_is_not_there() -> None:
    groups = {f"openkls {name}" for name in ("account", "callbacks", "db", "key", "model")}
    known = {name for name, _ in commands()} | groups
    assert set(sections(CLI)) | set(sections(CLI, "### ")) == known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(re.sub(r"`[^`\n]*`", "", page.read_text())):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_examples_of_signed_urls_verify() -> None:
    blocks = re.findall(
        r"```python\n(.+?)```", (ROOT / "docs/how-to/protect-a-publish-domain.md").read_text(), re.DOTALL
    )
    md5_example: dict[str, Any] = {}
    hmac_example: dict[str, Any] = {}
    exec(blocks[0], md5_example)
    exec(blocks[1], hmac_example)
    url = md5_example["publish_url"]("123456", "stream")
    assert pushauth.check_md5(("123456",), "stream", url.partition("?")[2], 0) == 200
    url = hmac_example["publish_url"]("camera-1", "TESTSECRET", "stream", nonce="a b")
    assert pushauth.check_hmac({"camera-1": ("TESTSECRET",)}, url.partition("?")[2], 0) == 200


def test_the_example_that_checks_a_question_accepts_ours_and_no_other() -> None:
    page = (ROOT / "docs/how-to/protect-a-publish-domain.md").read_text()
    example: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.+?)```", page, re.DOTALL)[2], example)
    is_ours, now = example["is_ours"], str(int(time.time()))
    signatures = build_signatures(("old", "new"), now, b"{}")
    assert is_ours("new", now, signatures, b"{}")
    assert is_ours("old", now, signatures, b"{}")
    assert not is_ours("other", now, signatures, b"{}")
    assert not is_ours("new", now, signatures, b"{ }")
    past = str(int(time.time()) - 1000)
    assert not is_ours("new", past, build_signatures(("new",), past, b"{}"), b"{}")
    for name in (TIMESTAMP_HEADER, SIGNATURE_HEADER):
        assert f"`{name}`" in page
    for limit in (ASKS_PER_SERVER_LIMIT, ASKS_LIMIT, PUB_PARAM_LIMIT):
        assert re.search(rf"\b{limit}\b", page)


def test_the_receiver_of_callbacks_accepts_ours_and_no_other() -> None:
    page = (ROOT / "docs/how-to/callbacks.md").read_text()
    (code,) = re.findall(r"```python\n(.+?)```", page, re.DOTALL)
    example: dict[str, Any] = {"__name__": "example"}
    exec(code, example)
    is_ours, now = example["is_ours"], str(int(time.time()))
    assert is_ours("new", now, build_signatures(("old", "new"), now, b"{}"), b"{}")
    assert not is_ours("other", now, build_signatures(("old", "new"), now, b"{}"), b"{}")
    assert not is_ours("new", now, build_signatures(("new",), now, b"{}"), b"{ }")
    assert not is_ours("new", "", "", b"{}")
    past = str(int(time.time()) - 1000)
    assert not is_ours("new", past, build_signatures(("new",), past, b"{}"), b"{}")
    (toml,) = re.findall(r"```toml\n(.+?)```", page, re.DOTALL)
    config.check(msgspec.convert(tomllib.loads(f'[[account]]\nid = "1"\n{toml}'), config.Config))


def test_the_page_of_callbacks_says_the_names_and_limits_of_the_code() -> None:
    page = (ROOT / "docs/how-to/callbacks.md").read_text()
    for name in (TIMESTAMP_HEADER, SIGNATURE_HEADER, EVENT_ID_HEADER, *Notify):
        assert f"`{name}`" in page
    assert {each.lower() for each in re.findall(r"`([A-Za-z_-]+)`", page)} >= SECRET_PARAMS
    numbers = (WAITING_LIMIT, DEAD_LIMIT, PARAM_LIMIT, PARAM_FIELDS_LIMIT, GIVE_UP_SECONDS // 3600, SENDS_LIMIT)
    for number in (*numbers, SENDS_PER_TARGET_LIMIT, PROBES_LIMIT, int(SEND_SECONDS), LEASE_SECONDS):
        assert re.search(rf"\b({number}|{number:,})\b", page), number


def test_the_toml_example_of_https_is_right() -> None:
    (example,) = re.findall(r"```toml\n(.+?)```", (ROOT / "docs/how-to/https.md").read_text(), re.DOTALL)
    config.check(msgspec.convert(tomllib.loads(example), config.Config))


def test_the_example_of_a_policy_does_what_its_page_says() -> None:
    page = (ROOT / "docs/how-to/policies.md").read_text()
    (example,) = re.findall(r"```toml\n(.+?)```", page, re.DOTALL)
    tree = msgspec.convert(tomllib.loads(f'[[account]]\nid = "1"\n{example}'), config.Config)
    found = KeyRing(tree.account).find("AKSUPPORT")
    assert found is not None
    assert found.policy is not None
    here = Resource("cn-beijing-6", "1", "demo", "push.demo.local", "live", "s1")
    asked = {
        ("ListStreamDurations", here): Verdict.ALLOWED,
        ("GetBlacklist", here._replace(stream=None)): Verdict.ALLOWED,
        ("ForbidStream", here): Verdict.ALLOWED,
        ("ForbidStream", here._replace(app="vod")): Verdict.NOT_ALLOWED,
        ("ForbidStream", here._replace(stream="opening")): Verdict.DENIED,
        ("ResumeStream", here._replace(stream="opening")): Verdict.ALLOWED,
    }
    assert {question: found.policy.weigh(*question) for question in asked} == asked
    rows = re.findall(r"^\| (Allow|Deny) `(.+?)` \| ([a-z ]+) \| ([a-z ]+) \| ([a-z ]+) \|$", page, re.MULTILINE)
    assert len(rows) == 5
    for effect, places, *said in rows:
        statement = {"Effect": effect, "Action": "*", "Resource": f"krn:ksc:kls:*:*:{places}"}
        policy = parse_policy([statement], model.load().operations)
        for word, stream in zip(said, ("s1", "s2", None), strict=True):
            verdict = policy.weigh("ListStreamDurations", here._replace(stream=stream))
            wanted = {"allowed": Verdict.ALLOWED, "denied": Verdict.DENIED}.get(word, Verdict.NOT_ALLOWED)
            assert verdict is wanted, (effect, places, stream)


def test_the_toml_examples_are_right() -> None:
    page = (ROOT / "docs/how-to/protect-a-publish-domain.md").read_text()
    examples = "\n".join(re.findall(r"```toml\n(.+?)```", page, re.DOTALL))
    text = f'[[account]]\nid = "1"\n[[account.space]]\nunique_name = "demo"\n{examples}'
    tree = msgspec.convert(tomllib.loads(text), config.Config)
    config.check(tree)
    assert [door.auth for door in tree.account[0].space[0].doors] == ["md5", "hmac", "external", "none"]
