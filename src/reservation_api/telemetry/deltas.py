"""What has happened since somebody looked last: exporters send differences, which add up over processes.

Each exporter has a view of its own. What it has not sent stays in the instruments: however long nobody
takes it, one difference covers it all, and nothing grows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from reservation_api.telemetry.instruments import SCALE, Counter, Distribution, Gauge, Histogram
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.names import Metric
from reservation_api.telemetry.readings import ANY_FAMILY

_PER_DOUBLING: Final = 2**SCALE


@dataclass(slots=True)
class HistogramDelta:
    """How many values were how large, in exponential buckets."""

    count: int = 0
    total: float = 0.0
    zeros: int = 0
    exponential: dict[int, int] = field(default_factory=dict)
    least: float = 0.0
    """Not more than 9 percent below the least value."""
    greatest: float = 0.0
    """Not more than 9 percent above the greatest value."""


@dataclass(frozen=True, slots=True)
class Point:
    """One series: a counter's difference, where a gauge stands, or a histogram's difference."""

    labels: Mapping[str, str]
    value: float | HistogramDelta


@dataclass(frozen=True, slots=True)
class FamilyDelta:
    """The series of a metric that have something to tell."""

    metric: Metric
    points: Sequence[Point]


class Deltas:
    """One exporter's view of the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._counted: dict[Counter, float] = {}
        self._seen: dict[Histogram, Distribution] = {}

    def take(self) -> list[FamilyDelta]:
        """Return what is new since the last call; counters and histograms that stood still are left out."""
        found = [FamilyDelta(family.metric, self._points(family)) for family in self._metrics.families]
        return [family for family in found if family.points]

    def _points(self, family: ANY_FAMILY) -> list[Point]:
        news = [(labels, self._news(instrument)) for labels, instrument in family.series()]
        return [Point(labels, value) for labels, value in news if value is not None]

    def _news(self, instrument: Counter | Gauge | Histogram) -> float | HistogramDelta | None:
        if isinstance(instrument, Gauge):
            return instrument.value
        if isinstance(instrument, Counter):
            before, self._counted[instrument] = self._counted.get(instrument, 0.0), instrument.value
            return instrument.value - before or None
        now, seen = instrument.read(), self._seen.get(instrument, Distribution())
        if now.count == seen.count:
            return None
        self._seen[instrument] = now
        return _difference(now, seen)


def bucket_bounds(index: int) -> tuple[float, float]:
    """Return what is below all values of an exponential bucket, and the greatest that it may hold."""
    return 2.0 ** (index / _PER_DOUBLING), 2.0 ** ((index + 1) / _PER_DOUBLING)


def _difference(now: Distribution, before: Distribution) -> HistogramDelta:
    known = before.exponential
    buckets = {index: n - known.get(index, 0) for index, n in sorted(now.exponential.items())}
    buckets = {index: n for index, n in buckets.items() if n}
    zeros = now.zeros - before.zeros
    least = greatest = 0.0
    if buckets:
        # The instrument knows the extremes of its whole life; those of this difference are in these buckets.
        greatest = min(now.greatest, bucket_bounds(max(buckets))[1])
        least = 0.0 if zeros else max(now.least, bucket_bounds(min(buckets))[0])
    return HistogramDelta(now.count - before.count, now.total - before.total, zeros, buckets, least, greatest)
