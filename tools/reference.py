"""Writes the API reference under `docs/reference`, or checks that it is what the service models say.

Rule: only files below `docs/reference` that begin with the reference's own first line are written or removed.

`python -m tools.reference` writes; `python -m tools.reference --check` changes nothing and ends with 1 when a page is
absent, stale or left over.
"""

import argparse
import sys
from pathlib import Path

from openkls.model.reference import GENERATED, all_pages
from tools.provoked import provokers

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"


def stale(root: Path) -> list[str]:
    """Paths below `root`, with `/`, of generated pages that are absent, differ from the model or belong to no page."""
    wanted = all_pages(provokers())
    found = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.md"))}
    left_over = {path for path, text in found.items() if path not in wanted and text.startswith(GENERATED)}
    differing = {path for path, text in wanted.items() if found.get(path) != text}
    return sorted(left_over | differing)


def write(root: Path) -> list[str]:
    """Brings the pages below `root` up to date; the paths that were written or removed. Idempotent."""
    wanted = all_pages(provokers())
    changed = stale(root)
    for path in changed:
        target = root / path
        if path not in wanted:
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(wanted[path], encoding="utf-8")
    return changed


def main(arguments: list[str]) -> int:
    """Runs the command; 1 when `--check` found something to do, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tools.reference", description="The generated API reference.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a page is stale")
    checking = parser.parse_args(arguments).check
    changed = stale(REFERENCE) if checking else write(REFERENCE)
    for path in changed:
        print(f"{'stale' if checking else 'updated'}: docs/reference/{path}")
    return 1 if checking and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
