"""The command line. Rule: a person's mistake gets one line that says what to do; only a bug of ours gets a traceback."""

from openkls.cli.program import main

__all__ = ["main"]
