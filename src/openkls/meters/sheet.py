"""The values of one scrape, and their text. Rule: a label's value is escaped by the library, and fit for UTF-8 and a
line before it gets there; a value that was put twice is a sum.
"""

import asyncio
from collections.abc import Iterator

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from openkls.domain.histogram import Histogram
from openkls.meters.families import FAMILIES, Kind

# The format every Prometheus reads, whatever it asks for.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Sheet:
    """What is exported."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {}
        self._histograms: dict[str, dict[tuple[str, ...], Histogram]] = {}

    def put(self, name: str, value: float, *labels: object) -> None:
        """A value of a gauge or a counter; to one of the same labels it is added."""
        family = FAMILIES[name]
        assert len(labels) == len(family.labels), name
        key = tuple([legible(str(label)) for label in labels])
        values = self._values.setdefault(name, {})
        values[key] = values.get(key, 0) + value

    def put_histogram(self, name: str, histogram: Histogram, *labels: str) -> None:
        """All that a histogram holds."""
        assert len(labels) == len(FAMILIES[name].labels), name
        self._histograms.setdefault(name, {})[tuple(map(legible, labels))] = histogram

    async def build_text(self) -> bytes:
        """The exposition. A metric with many values takes milliseconds, so others have their turn between two."""
        parts = []
        for metric in self._metrics():
            parts.append(generate_latest(_Only(metric)))
            await asyncio.sleep(0)
        return b"".join(parts)

    def _metrics(self) -> Iterator[Metric]:
        for family in FAMILIES.values():
            if family.kind is Kind.HISTOGRAM:
                histograms = self._histograms.get(family.name)
                if histograms:
                    yield _histogram(family.name, family.text, family.labels, histograms)
            elif family.name in self._values:
                metric = Metric(family.base, family.text, family.kind.value)
                for key, value in self._values[family.name].items():
                    metric.add_sample(family.name, dict(zip(family.labels, key, strict=True)), value)
                yield metric


class _Only(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


def _histogram(name: str, text: str, labels: tuple[str, ...], histograms: dict[tuple[str, ...], Histogram]) -> Metric:
    metric = Metric(name, text, "histogram")
    for key, histogram in histograms.items():
        named = dict(zip(labels, key, strict=True))
        sums = histogram.cumulative()
        for bound, count in zip((*map(str, histogram.bounds), "+Inf"), sums, strict=True):
            metric.add_sample(f"{name}_bucket", {**named, "le": bound}, count)
        metric.add_sample(f"{name}_count", named, sums[-1])
        metric.add_sample(f"{name}_sum", named, histogram.sum_seconds)
    return metric


def legible(text: str) -> str:
    """A label's value: what no terminal shows, and what is no UTF-8, becomes U+FFFD."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else "\ufffd" for char in text])
