"""``python -m tools.sdkgen [--check]``: write the generated files of all languages, or fail when one is stale."""

import argparse
import importlib
import sys
from importlib.util import find_spec

from tools.sdkgen import core

LANGUAGES = ("python", "java", "php")


def files() -> dict[str, str]:
    """The generated files of every language that has a generator."""
    wanted: dict[str, str] = {}
    for language in LANGUAGES:
        name = f"tools.sdkgen.{language}"
        if find_spec(name) is not None:
            wanted |= importlib.import_module(name).files()
    return wanted


def main(arguments: list[str]) -> int:
    """Run the command; 1 when ``--check`` found a stale file, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tools.sdkgen", description="The generated parts of the SDKs.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file is stale")
    checking = parser.parse_args(arguments).check
    changed = core.stale(files()) if checking else core.write(files())
    for path in changed:
        print(f"{'stale, run make sdks' if checking else 'written'}: {path}")
    return 1 if checking and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
