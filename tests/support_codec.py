"""The one way tests feed bytes to a codec: whole, byte by byte, and cut at random places.

Rule: a test that feeds bytes in one piece only has proved nothing about the network.
"""

from collections.abc import Iterator
from itertools import pairwise
from random import Random

RANDOM_SPLITS = 3


def feedings(data: bytes, rng: Random) -> Iterator[list[bytes]]:
    """Yield ways to feed `data`, each a list of pieces that joined give `data` again.

    First whole, then one byte at a time, then RANDOM_SPLITS seeded random splits (which hold empty pieces
    now and then). For trailing bytes see `with_trailing`.
    """
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for _ in range(RANDOM_SPLITS):
        cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.randint(1, 8)))
        edges = [0, *cuts, len(data)]
        yield [data[a:b] for a, b in pairwise(edges)]


def with_trailing(data: bytes, rng: Random) -> Iterator[tuple[bytes, bytes]]:
    """Yield (data + trailing, trailing) for an empty, a one-byte and a random trailing part.

    The codec under test must read `data` as if the trailing bytes were not there, and leave them unread.
    """
    for trailing in (b"", b"\x00", b"\xff", rng.randbytes(rng.randint(2, 64))):
        yield data + trailing, trailing
