"""One trouble a stream, the gravest that holds."""

import pytest

from openkls.domain.trouble import LOST_PERCENT, YOUNG_SECONDS, Trouble, trouble_of

GOOD = {"age_seconds": 60.0, "frame_rate": 25, "curfps": 25, "flr": 0, "in_rate": 1000.0, "real_rate": 1010.0}


@pytest.mark.parametrize(
    ("changed", "trouble"),
    [
        ({}, None),
        ({"real_rate": 0.0}, Trouble.STALLED),
        ({"curfps": 0, "flr": 100}, Trouble.STALLED),
        ({"curfps": 0, "frame_rate": 0}, None),  # audio alone
        ({"real_rate": 899.9}, Trouble.UPLINK),
        ({"real_rate": 900.0}, None),
        ({"real_rate": 500.0, "flr": 50}, Trouble.UPLINK),
        ({"in_rate": 0.0}, None),
        ({"flr": LOST_PERCENT}, Trouble.LOST),
        ({"flr": LOST_PERCENT - 1}, None),
        ({"real_rate": 0.0, "age_seconds": YOUNG_SECONDS - 0.1}, None),
        ({"real_rate": 0.0, "age_seconds": float(YOUNG_SECONDS)}, Trouble.STALLED),
    ],
)
def test_trouble_is_the_gravest_that_holds(changed: dict[str, float], trouble: Trouble | None) -> None:
    assert trouble_of(**{**GOOD, **changed}) is trouble  # type: ignore[arg-type]
