"""Runs every fuzz target for some seconds: `python -m fuzz [--seconds N] [--seed N] [target...]`.

Rule: a target is a module fuzz_<name>.py with `seeds()` and `fuzz_one(data)`; a ProtocolError is an answer,
any other exception is a finding: its input is kept in corpus/<name>/ and the exit status is 1.

The engine is blind: it takes an input of the corpus or a seed, changes it a few times, and runs it. The same
seed gives the same inputs; inputs that were stored because they failed once run first, as they are.
"""

import argparse
import hashlib
import importlib
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType

from openkls.codec import ProtocolError

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
INPUT_BYTES_MAX = 256 * 1024  # longer inputs only repeat what shorter ones find
CHANGES_MAX = 4
INTERESTING = [0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0xFFFF, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description="Fuzz the codecs.")
    parser.add_argument("targets", nargs="*", help="names such as rtmp; default: all")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.path.insert(0, str(HERE))
    names = arguments.targets or sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))
    findings = 0
    for name in names:
        target = importlib.import_module(f"fuzz_{name}")
        executions, refused, found = run(name, target, arguments.seconds, Random(arguments.seed))
        rate = executions / arguments.seconds
        print(f"{name}: {rate:,.0f} executions/s, {executions:,} in all, {refused:,} refused, {found} findings")
        findings += found
    return 1 if findings else 0


def run(name: str, target: ModuleType, seconds: float, rng: Random) -> tuple[int, int, int]:
    """Run one target; return how many inputs ran, how many were refused, how many failed. Stops at a failure."""
    stored = [path.read_bytes() for path in sorted((CORPUS / name).glob("*.bin"))]
    inputs = [*stored, *target.seeds()]
    executions = refused = 0
    deadline = time.monotonic() + seconds
    while executions < len(inputs) or time.monotonic() < deadline:
        data = inputs[executions] if executions < len(inputs) else mutate(rng, inputs)
        executions += 1
        try:
            target.fuzz_one(data)
        except ProtocolError:
            refused += 1
        except Exception:
            report(name, data)
            return executions, refused, 1
    return executions, refused, 0


def report(name: str, data: bytes) -> None:
    """Keep the input that failed and print why."""
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
    path.write_bytes(data)
    traceback.print_exc()
    print(f"{name}: the input is kept in {path.relative_to(HERE.parent)}", file=sys.stderr)


def mutate(rng: Random, inputs: list[bytes]) -> bytes:
    """Return an input changed one to CHANGES_MAX times."""
    data = bytearray(rng.choice(inputs))
    for _ in range(rng.randint(1, CHANGES_MAX)):
        rng.choice(CHANGES)(rng, data, inputs)
    return bytes(data[:INPUT_BYTES_MAX])


def flip_bit(rng: Random, data: bytearray, _: list[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def write_number(rng: Random, data: bytearray, _: list[bytes]) -> None:
    width = rng.choice([1, 2, 3, 4])
    number = rng.choice(INTERESTING) & (1 << 8 * width) - 1
    at = rng.randint(0, len(data))
    data[at : at + width] = number.to_bytes(width, rng.choice(["big", "little"]))


def truncate(rng: Random, data: bytearray, _: list[bytes]) -> None:
    del data[rng.randint(0, len(data)) :]


def cut_out(rng: Random, data: bytearray, _: list[bytes]) -> None:
    at = rng.randint(0, len(data))
    del data[at : at + rng.randint(1, 16)]


def insert(rng: Random, data: bytearray, _: list[bytes]) -> None:
    at = rng.randint(0, len(data))
    data[at:at] = rng.randbytes(rng.randint(1, 16))


def repeat(rng: Random, data: bytearray, _: list[bytes]) -> None:
    at = rng.randint(0, len(data))
    piece = data[at : at + rng.randint(1, 64)]
    data[at:at] = piece * rng.randint(1, 8)


def splice(rng: Random, data: bytearray, inputs: list[bytes]) -> None:
    other = rng.choice(inputs)
    data[rng.randint(0, len(data)) :] = other[rng.randint(0, len(other)) :]


CHANGES: list[Callable[[Random, bytearray, list[bytes]], None]] = [
    flip_bit,
    write_number,
    truncate,
    cut_out,
    insert,
    repeat,
    splice,
]


if __name__ == "__main__":
    raise SystemExit(main())
