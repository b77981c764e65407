"""What counts and measures: a few hundred nanoseconds a time, since every request does it several times.

A histogram counts twice: in fixed buckets, which Prometheus asks for, and in exponential ones, of which
CloudWatch makes percentiles. Values are milliseconds.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from math import ceil, log2
from typing import Final, Generic, TypeVar

from reservation_api.telemetry.names import Metric

BUCKETS_MILLISECONDS: Final = (
    *(1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 160.0, 250.0, 500.0),
    *(1000.0, 2500.0, 10_000.0),
)
"""120 is the promise (P95, document section 4.2): a bucket ends there, so that it can be checked."""
SCALE: Final = 3
"""Of exponential buckets: each is 2^(1/8) wide, so a percentile is off by 9 percent at most."""
SMALLEST: Final = 0.001
"""Milliseconds; less counts as nothing. It bounds the exponential buckets: below 400 up to a day."""
MAX_SERIES: Final = 200
"""Of one metric. The document's label values are far fewer; beyond it all go to `other`."""
OTHER: Final = "other"

_PER_DOUBLING: Final = 2**SCALE
Labels = tuple[str, ...]


class Counter:
    """Only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Add; nothing is taken away."""
        self.value += amount


class Gauge:
    """Stands as it was set."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def set(self, value: float) -> None:
        """Replace."""
        self.value = value


class Histogram:
    """How many values were how large."""

    __slots__ = ("buckets", "count", "exponential", "greatest", "least", "total", "zeros")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.least = float("inf")
        self.greatest = 0.0
        self.buckets = [0] * (len(BUCKETS_MILLISECONDS) + 1)
        """By index into BUCKETS_MILLISECONDS, not cumulative; the last one is for what is larger."""
        self.exponential: dict[int, int] = {}
        """Counts by index: bucket i holds what is above 2^(i/8) and not above 2^((i+1)/8)."""
        self.zeros = 0

    def observe(self, milliseconds: float) -> None:
        """Count one value; what is below nothing counts as nothing."""
        self.count += 1
        self.total += milliseconds
        self.buckets[bisect_left(BUCKETS_MILLISECONDS, milliseconds)] += 1
        if milliseconds < SMALLEST:
            self.zeros += 1
            self.least = min(self.least, 0.0)
            return
        # Not min() and max(): a comparison costs a tenth of a call.
        if milliseconds < self.least:  # noqa: PLR1730
            self.least = milliseconds
        if milliseconds > self.greatest:  # noqa: PLR1730
            self.greatest = milliseconds
        index = ceil(log2(milliseconds) * _PER_DOUBLING) - 1
        self.exponential[index] = self.exponential.get(index, 0) + 1


Instrument = TypeVar("Instrument")


class Family(dict[Labels, Instrument], Generic[Instrument]):
    """A metric's series, by the values of its labels: one that is asked for is there from then on."""

    def __init__(self, metric: Metric, make: Callable[[], Instrument]) -> None:
        super().__init__()
        self.metric = metric
        self._make = make
        self.overflowed = 0
        """How often labels had no room."""

    def of(self, *labels: str) -> Instrument:
        """Return the series of these label values; raises ValueError if they are not as many as labels."""
        return self[labels]

    def series(self) -> Iterator[tuple[Mapping[str, str], Instrument]]:
        """Yield every series with its labels."""
        for values, instrument in list(self.items()):
            yield dict(zip(self.metric.labels, values, strict=True)), instrument

    def __missing__(self, labels: Labels) -> Instrument:
        if len(labels) != len(self.metric.labels):
            raise ValueError(f"{self.metric.name} has the labels {self.metric.labels}, not {labels}")
        if len(self) >= MAX_SERIES:
            self.overflowed += 1
            labels = (OTHER,) * len(labels)
        return self.setdefault(labels, self._make())
