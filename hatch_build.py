"""Builds the web console into the package: for `make`, as a program, and for the wheel, as hatchling's build hook.

Rule: only the standard library and npm; without npm, or with one that fails, everything else is built and a note says
so, except for `make console`, which then fails.

Theory of operation. What `console/` and the service model hold is hashed; the built folder keeps the hash it was built
from, so that a build happens when a source has changed, whatever its date, and a source distribution that came with a
built console needs no Node. What npm installs is kept likewise by the hash of the lock file.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT: Final = Path(__file__).resolve().parent
SOURCES: Final = ROOT / "console"
# The API explorer is made from it.
MODEL: Final = ROOT / "src" / "openkls" / "model"
BUILT: Final = ROOT / "src" / "openkls" / "console" / "static"
# What is made here, not written.
MADE: Final = frozenset({"node_modules", "coverage", "dist"})
GENERATED: Final = ".generated.ts"
INSTALLED_FROM: Final = SOURCES / "node_modules" / ".installed-from"
BUILT_FROM: Final = BUILT / ".built-from"
# A registry that is slow or hangs; the build itself takes seconds.
NPM_SECONDS: Final = 600.0
# Of what npm said: the end tells why it failed.
TOLD_LINES: Final = 30


class ConsoleError(Exception):
    """The console was not built; the text says why and what to do."""


def is_fresh() -> bool:
    """Whether the built console is of these sources; a folder without the sources has nothing to build."""
    if not SOURCES.is_dir():
        return True
    return (BUILT / "index.html").is_file() and _read(BUILT_FROM) == _hash(_files())


def build() -> bool:
    """Build the console unless it is fresh; whether it was built. ConsoleError when it could not be."""
    if is_fresh():
        return False
    npm = shutil.which("npm")
    if npm is None:
        raise ConsoleError("npm is not installed; Node.js 20.19 or newer brings it")
    with _alone():
        if is_fresh():
            return False
        lock = _hash([SOURCES / "package.json", SOURCES / "package-lock.json"])
        if _read(INSTALLED_FROM) != lock:
            _run(npm, "ci", "--no-audit", "--no-fund")
            INSTALLED_FROM.write_text(lock)
        sources = _hash(_files())
        _run(npm, "run", "build")
        BUILT_FROM.write_text(sources)
    return True


def build_if_possible() -> None:
    """Build the console, or say that all but the console is there."""
    try:
        if build():
            print(f"The web console is built into {BUILT.relative_to(ROOT)}", file=sys.stderr)
    except ConsoleError as error:
        print(f"The web console is not built, all else is: {error}. Then: make console", file=sys.stderr)


class ConsoleHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's parameter is its own configuration
    """For hatchling. An editable install is left alone: `make` builds where the sources are edited."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the files are gathered; those built are named as artifacts in pyproject.toml."""
        if version != "editable":
            build_if_possible()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One build at a time; two would empty each other's folders."""
    folder = os.open(SOURCES, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _run(npm: str, *words: str) -> None:
    command = f"npm {words[0]}" if words[0] != "run" else f"npm run {words[1]}"
    print(f"Building the web console: {command} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(  # noqa: S603 - npm, and words that stand in this file
            [npm, *words], cwd=SOURCES, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
        try:
            code = process.wait(NPM_SECONDS)
        except subprocess.TimeoutExpired:
            raise ConsoleError(f"{command} did not end within {NPM_SECONDS:g} s") from None
        finally:
            # With all that it has started, also when we are interrupted.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if code != 0:
            said.seek(0)
            told = "".join(said.readlines()[-TOLD_LINES:])
            raise ConsoleError(f"{command} in {SOURCES.name}/ ended with {code}:\n{told}\n")


def _files() -> list[Path]:
    """All sources, in one order."""
    found = []
    for folder, folders, names in os.walk(SOURCES):
        folders[:] = sorted(name for name in folders if name not in MADE)
        found += [Path(folder) / name for name in sorted(names) if not name.endswith(GENERATED)]
    return found + sorted(MODEL.glob("*.json"))


def _hash(files: list[Path]) -> str:
    """Of names and contents."""
    whole = hashlib.sha256()
    for file in files:
        content = file.read_bytes() if file.is_file() else b""
        whole.update(f"{file.relative_to(ROOT)}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()


def _read(file: Path) -> str:
    """A hash that was kept; empty when none was."""
    return file.read_text() if file.is_file() else ""


def main() -> None:
    """``python hatch_build.py [--if-possible]``."""
    if sys.argv[1:] == ["--if-possible"]:
        build_if_possible()
        return
    try:
        build()
    except ConsoleError as error:
        sys.exit(f"The web console is not built: {error}")


if __name__ == "__main__":
    main()
