"""What goes into an audit entry, and how many of a refused caller's."""

import pytest

from openkls.domain.audit import PART_LIMIT, REFUSED_ROWS_PER_MINUTE, RefusedQuota, legible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s1", "s1"),
        ("房间-1", "房间-1"),
        ("a\nb\x1b[2J\x00", "a\ufffdb\ufffd[2J\ufffd"),
        ("x" * PART_LIMIT, "x" * PART_LIMIT),
        ("x" * (PART_LIMIT + 1), "x" * PART_LIMIT),
    ],
)
def test_name_is_cut_and_without_control_characters(text: str, shown: str) -> None:
    assert legible(text) == shown


def test_refusals_of_a_key_are_written_up_to_the_limit_of_a_minute() -> None:
    quota = RefusedQuota()
    assert [quota.allows("AK1", 60.0 + n / 10) for n in range(REFUSED_ROWS_PER_MINUTE)] == [
        True
    ] * REFUSED_ROWS_PER_MINUTE
    assert not quota.allows("AK1", 119.9)
    assert quota.suppressed == 1
    assert quota.allows("AK2", 119.9)
    assert quota.allows("AK1", 120.0)
    assert quota.suppressed == 1
