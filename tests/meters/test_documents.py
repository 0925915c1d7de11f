"""Every metric is documented as it is exported, and no other."""

import re
from pathlib import Path

from openkls.domain.session import Reason
from openkls.domain.trouble import LOST_PERCENT, YOUNG_SECONDS, Trouble
from openkls.meters.families import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "metrics.md").read_text()
GUIDE = (ROOT / "docs" / "how-to" / "monitor.md").read_text()
ROW = re.compile(r"^\| `([a-z_]+)` \| (\w+) \|(.*?)\| (.+?) \|$", re.MULTILINE)


def test_every_metric_has_its_row_in_order_and_no_other_has_one() -> None:
    rows = [(name, kind, tuple(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in ROW.findall(PAGE)]
    assert rows == [(family.name, family.kind.value, family.labels, family.text) for family in FAMILIES.values()]


def test_words_of_labels_are_explained() -> None:
    for word in (*Trouble, *Reason):
        assert f"`{word.value}`" in PAGE
    assert f"first {YOUNG_SECONDS} seconds" in PAGE
    assert LOST_PERCENT == 10  # "a tenth"


def test_the_guide_names_metrics_that_there_are() -> None:
    named = set(re.findall(r"`(openkls_[a-z_]+_total|process_[a-z_]+)`", GUIDE))
    assert named
    assert named <= set(FAMILIES)
