"""What goes to the terminal. Rule: nothing that came from elsewhere reaches it with control characters in it.

Answers go to stdout, everything about them to stderr, so that a pipe gets answers only. Lines are never folded:
whoever copies a URL gets the whole one. Colour follows rich: none into a pipe, none under NO_COLOR.
"""

from typing import NoReturn

import typer
from rich.console import Console
from rich.table import Table

FAILURE = 1
USAGE = 2
PIPE_COLUMNS = 200

out = Console(highlight=False, markup=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def plain(text: str) -> str:
    """The text with everything that a terminal might obey written as an escape (line breaks too)."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def say(text: str = "", style: str | None = None) -> None:
    """One line on stdout."""
    out.print(text, style=style)


def note(text: str, style: str | None = None) -> None:
    """One line on stderr, beside the answer."""
    err.print(text, style=style)


def show(table: Table) -> None:
    """A table on stdout; into a pipe it has all the room it wants, so that no cell is cut."""
    room = out if out.is_terminal else Console(file=out.file, width=PIPE_COLUMNS)
    room.print(table, soft_wrap=False)


def fail(text: str, exit_code: int = FAILURE) -> NoReturn:
    """End the command with one line on stderr."""
    err.print(f"openkls: {plain(text)}", style="red")
    raise typer.Exit(exit_code)
