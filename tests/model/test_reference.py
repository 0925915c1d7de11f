"""The generated reference is up to date, complete and well-formed."""

import re
from pathlib import Path

import pytest

from openkls.model import load, services
from openkls.model.reference import GENERATED, NOT_PROVOKED, all_pages, codes
from openkls.model.reference import pages as pages_of
from openkls.model.shapes import ServiceModel
from tools import reference as command
from tools.provoked import provokers

PROVOKERS = {8201: "tests/api/test_codes.py::test_of_8201", "SignatureNotMatch": "tests/api/test_codes.py::test_of_it"}
# Codes whose tests are still to come. Empty before a release.
PENDING: set[str | int] = set()
LINK = re.compile(r"\]\(([\w./-]+\.md)(?:#([\w-]+))?\)")


ALL_CODES = frozenset[str | int]().union(*map(codes, services().values()))


def pages(model: ServiceModel) -> dict[str, str]:
    return pages_of(model, PROVOKERS)


def test_every_code_that_is_not_reserved_has_a_test_that_provokes_it() -> None:
    assert ALL_CODES - set(provokers()) == PENDING
    assert set(provokers()) <= ALL_CODES, "a test is marked with a code that is reserved or unknown"


def test_errors_page_names_the_test_of_each_code_or_says_that_there_is_none() -> None:
    lines = pages(load())["errors.md"].partition("## Reserved")[0].splitlines()
    assert sum(line.endswith("::test_of_8201` |") for line in lines) == 1
    assert sum(line.endswith("::test_of_it` |") for line in lines) == 1
    assert sum(line.endswith(f"| {NOT_PROVOKED} |") for line in lines) == len(codes(load())) - 2


def test_codes_hold_what_is_not_reserved_of_all_three_tables() -> None:
    assert {"LimitExceeded", 0, 8500 + 1, 200, 428} <= codes(load())
    assert not {"StreamNotExist", 1, 8500} & codes(load())


def test_pages_under_docs_are_what_the_model_says() -> None:
    assert command.stale(command.REFERENCE) == [], "run: python -m tools.reference"


def test_pages_are_the_same_at_each_run() -> None:
    assert pages(load()) == pages(load())


def test_each_action_has_a_page_with_every_member_and_code() -> None:
    model = load()
    texts = pages(model)
    for name, operation in model.operations.items():
        text = texts[f"actions/{name}.md"]
        assert f"]({'actions/' + name + '.md'})" in texts["actions.md"]
        for member in (*operation.input.members, *operation.data.members):
            assert f"| `{member}` |" in text
        for code in operation.ret_codes:
            assert f"| {code} | {model.ret_codes[code].text} |" in text


def test_errors_page_has_every_code() -> None:
    model = load()
    text = pages(model)["errors.md"]
    for code in (*model.ret_codes.values(), *model.break_codes.values()):
        assert f"| {code.code} | {code.text} |" in text
    for error in model.gateway_errors.values():
        assert f"| {error.status} | `{error.code}` | {error.text} |" in text


def test_alias_is_on_the_page_of_its_action() -> None:
    assert "`RealtimePubStreamsInfo`" in pages(load())["actions/ListRealtimePubStreamsInfo.md"]


def test_every_table_row_has_as_many_cells_as_its_head() -> None:
    for path, text in pages(load()).items():
        assert text.startswith(GENERATED)
        width = 0
        for line in text.replace("\\|", "").splitlines():
            width = line.count("|") if line.startswith("|") and not width else width * line.startswith("|")
            assert line.count("|") == width or not line.startswith("|"), (path, line)


def test_every_link_leads_to_a_page_and_heading() -> None:
    texts = pages(load())
    anchors = {line[3:].lower() for line in texts["shapes.md"].splitlines() if line.startswith("## ")}
    links = [(path, *found) for path, text in texts.items() for found in LINK.findall(text)]
    assert len(links) > len(texts)
    for path, target, anchor in links:
        page = target.removeprefix("../") if path.startswith("actions/") else target
        assert page in texts, (path, target)
        assert not anchor or anchor in anchors, (path, anchor)


def test_write_creates_updates_and_removes_only_generated_pages(tmp_path: Path) -> None:
    assert command.write(tmp_path) == sorted(all_pages({}))
    assert command.write(tmp_path) == []
    (tmp_path / "errors.md").write_text("changed", encoding="utf-8")
    (tmp_path / "gone.md").write_text(f"{GENERATED}\n", encoding="utf-8")
    (tmp_path / "by-hand.md").write_text("ours\n", encoding="utf-8")
    assert command.stale(tmp_path) == ["errors.md", "gone.md"]
    assert command.write(tmp_path) == ["errors.md", "gone.md"]
    assert command.stale(tmp_path) == []
    assert not (tmp_path / "gone.md").exists()
    assert (tmp_path / "by-hand.md").exists()


def test_check_fails_for_a_stale_page_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "REFERENCE", tmp_path)
    assert command.main(["--check"]) == 1
    assert "stale: docs/reference/errors.md" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert command.main([]) == 0
    assert "updated: docs/reference/errors.md" in capsys.readouterr().out
    assert command.main(["--check"]) == 0
