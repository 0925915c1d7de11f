"""Every fuzz target over its seeds and its stored corpus: what failed once stays found."""

import importlib.util
from pathlib import Path

import pytest

from openkls.codec import ProtocolError

FUZZ = Path(__file__).parents[2] / "fuzz"
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in FUZZ.glob("fuzz_*.py"))


def test_there_are_targets() -> None:
    assert {"amf0", "rtmp"} <= set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_stored_inputs_give_values_or_a_protocol_error(name: str) -> None:
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", FUZZ / f"fuzz_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    target = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(target)
    stored = [path.read_bytes() for path in sorted((FUZZ / "corpus" / name).glob("*.bin"))]
    refused = 0
    for data in [*target.seeds(), *stored]:
        try:
            target.fuzz_one(data)
        except ProtocolError:
            refused += 1
    assert refused < len(target.seeds())  # seeds that are all refused would fuzz nothing but the first check
