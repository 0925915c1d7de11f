"""What a figure was measured on, printed above every bench."""

import argparse
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path


def describe() -> str:
    """One line: commit, processor, cores, Python, kernel."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return (
        f"commit {commit.stdout.strip() or 'unknown'}, {_processor()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, Linux {platform.release()}"
    )


def spread(values_ms: Sequence[float]) -> str:
    """Median, 90th and 99th percentile and the extremes, in milliseconds."""
    ordered = sorted(values_ms)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.9, 0.99)]
    return (
        f"median {statistics.median(ordered):.2f} ms, p90 {at[0]:.2f}, p99 {at[1]:.2f}, "
        f"min {ordered[0]:.2f}, max {ordered[-1]:.2f}"
    )


def no_options(name: str, about: str | None, options: Sequence[str]) -> None:
    """For a bench that takes no option but ``--help``."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=f"python -m bench {name}", description=about, formatter_class=form)
    parser.parse_args(list(options))


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()
