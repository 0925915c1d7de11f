"""Fixtures of the codec tests. Rule: every random choice is seeded."""

from random import Random

import pytest


@pytest.fixture
def rng() -> Random:
    return Random(20170101)
