"""The command line. Rule: a person's mistake gets one line that says what to do; only our own bug gets a traceback."""

from openkls.cli.program import main

__all__ = ["main"]
