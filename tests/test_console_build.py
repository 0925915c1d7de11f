"""The console is built when its sources have changed, and only then; without npm all else is. Its npm is a script."""

import os
from pathlib import Path

import pytest

import hatch_build

NPM = """#!/bin/sh
echo "$*" >> "{calls}"
{extra}
case "$1" in
  ci) mkdir -p node_modules ;;
  run) mkdir -p "{built}" && echo app > "{built}/index.html" ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a console, and an npm that writes here what it was asked for."""
    sources = tmp_path / "console"
    built = tmp_path / "static"
    (sources / "src").mkdir(parents=True)
    (sources / "src" / "main.ts").write_text("1")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "service-2.json").write_text("{}")
    (sources / "package.json").write_text("{}")
    (sources / "package-lock.json").write_text("{}")
    for name, value in {
        "ROOT": tmp_path,
        "SOURCES": sources,
        "MODEL": tmp_path / "model",
        "BUILT": built,
        "INSTALLED_FROM": sources / "node_modules" / ".installed-from",
        "BUILT_FROM": built / ".built-from",
    }.items():
        monkeypatch.setattr(hatch_build, name, value)
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    calls = tmp_path / "calls"
    _npm(calls)
    return calls


def _npm(calls: Path, extra: str = "") -> None:
    script = calls.parent / "bin" / "npm"
    script.write_text(NPM.format(calls=calls, built=calls.parent / "static", extra=extra))
    script.chmod(0o755)


def _asked(calls: Path) -> list[str]:
    return calls.read_text().splitlines() if calls.exists() else []


CI, RUN = "ci --no-audit --no-fund", "run build"


def test_console_is_built_once(calls: Path) -> None:
    assert hatch_build.build()
    assert not hatch_build.build()
    assert _asked(calls) == [CI, RUN]


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ("console/src/main.ts", [RUN]),
        ("model/service-2.json", [RUN]),
        ("console/package-lock.json", [CI, RUN]),
    ],
)
def test_changed_source_is_built_anew_and_a_changed_lock_is_installed(
    calls: Path, changed: str, asked: list[str]
) -> None:
    hatch_build.build()
    calls.unlink()
    (calls.parent / changed).write_text("2")
    assert hatch_build.build()
    assert _asked(calls) == asked


def test_what_npm_installs_and_the_build_generates_is_no_source(calls: Path) -> None:
    hatch_build.build()
    (calls.parent / "console" / "node_modules" / "more").write_text("x")
    (calls.parent / "console" / "src" / "actions.generated.ts").write_text("x")
    assert hatch_build.is_fresh()


def test_renamed_source_is_a_change(calls: Path) -> None:
    hatch_build.build()
    source = calls.parent / "console" / "src" / "main.ts"
    source.rename(source.with_name("other.ts"))
    assert not hatch_build.is_fresh()


def test_without_npm_a_note_says_what_is_missing(
    calls: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    hatch_build.build_if_possible()
    said = capsys.readouterr().err
    assert "not built, all else is: npm is not installed" in said
    assert "make console" in said
    with pytest.raises(hatch_build.ConsoleError, match="npm is not installed"):
        hatch_build.build()


def test_built_console_wants_no_npm(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hatch_build.build()
    monkeypatch.setenv("PATH", "/nonexistent")
    assert not hatch_build.build()


def test_distribution_without_the_sources_wants_no_npm(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hatch_build, "SOURCES", calls.parent / "nosuch")
    assert not hatch_build.build()
    assert not _asked(calls)


def test_failing_npm_is_quoted_and_tried_again(calls: Path) -> None:
    _npm(calls, extra='[ "$1" = run ] && { echo "error TS1: no"; exit 2; }')
    with pytest.raises(hatch_build.ConsoleError, match=r"(?s)npm run build in console/ ended with 2:.*error TS1: no"):
        hatch_build.build()
    _npm(calls)
    assert hatch_build.build()
    assert _asked(calls) == [CI, RUN, RUN]


def test_npm_that_hangs_is_ended(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hatch_build, "NPM_SECONDS", 0.2)
    _npm(calls, extra="sleep 30")
    with pytest.raises(hatch_build.ConsoleError, match="npm ci did not end within"):
        hatch_build.build()


def test_editable_install_builds_nothing(calls: Path, tmp_path: Path) -> None:
    hook = hatch_build.ConsoleHook(str(tmp_path), {}, None, None, str(tmp_path), "wheel")
    hook.initialize("editable", {})
    assert not _asked(calls)
    hook.initialize("standard", {})
    assert _asked(calls) == [CI, RUN]
