"""Which test provokes which code: the marks `@pytest.mark.provokes(...)`, as pytest itself collects them.

Rule: nothing is written down twice: a test carries its codes, and the errors page of the reference is made from them.
That a marked test of tests/api really gets what it says it provokes is checked as it runs, by a fixture there; of a
marked test elsewhere its own assertions are all there is.

`python -m tools.provoked` prints the table; it is what `provokers` runs, as pytest cannot collect within a test.
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MARK = "provokes"
COLLECT_SECONDS = 60


class _Collected:
    """A pytest plugin that keeps the marks of what was collected, and runs nothing."""

    def __init__(self) -> None:
        self.tests: dict[str | int, list[str]] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            for mark in item.iter_markers(MARK):
                for code in mark.args:
                    self.tests.setdefault(code, []).append(item.nodeid)


@cache
def provokers() -> dict[str | int, str]:
    """For each code that a test provokes the first such test, by its name. RuntimeError when the tests cannot be
    collected."""
    command = [sys.executable, "-m", "tools.provoked"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=COLLECT_SECONDS, check=False)  # noqa: S603
    if ended.returncode:
        raise RuntimeError(f"the tests cannot be collected:\n{ended.stdout}{ended.stderr}")
    pairs: list[tuple[str | int, str]] = json.loads(ended.stdout.splitlines()[-1])
    return dict(pairs)


def main() -> int:
    """Collect, and print the pairs of code and test as one line of JSON behind whatever pytest says."""
    marked = [
        path for path in sorted((ROOT / "tests").rglob("test_*.py")) if f"mark.{MARK}(" in path.read_text("utf-8")
    ]
    collected = _Collected()
    names = [path.relative_to(ROOT).as_posix() for path in marked]
    outcome = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *names], plugins=[collected])
    print()
    print(json.dumps([(code, min(tests)) for code, tests in collected.tests.items()]))
    return int(outcome)


if __name__ == "__main__":
    sys.exit(main())
