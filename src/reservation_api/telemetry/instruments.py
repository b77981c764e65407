"""What counts and measures: a few hundred nanoseconds a time, since every request does it several times.

A histogram counts twice: in fixed buckets, which Prometheus asks for, and in exponential ones, of which
CloudWatch makes percentiles. It counts in slots, which end wherever a bucket of either kind does, and makes
both of them when it is read. Values are milliseconds.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import ceil, inf, log2, nextafter
from operator import add
from threading import Lock
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
"""Milliseconds; less counts as nothing. With the next it bounds the exponential buckets: there are 400."""
LARGEST: Final = 2.0**40
"""Milliseconds, 35 years; what is larger is in the last exponential bucket."""
MAX_FRESH: Final = 512
"""Values that a histogram has not counted yet: 16 KB, and some 50 us when it does."""
MAX_SERIES: Final = 200
"""Of one metric. The document's label values are far fewer; beyond it all go to `other`."""
OTHER: Final = "other"

_PER_DOUBLING: Final = 2**SCALE
_FIRST: Final = ceil(log2(SMALLEST) * _PER_DOUBLING) - 1
_GREATEST_OF: Final = tuple(
    2.0 ** ((index + 1) / _PER_DOUBLING) for index in range(_FIRST, round(log2(LARGEST)) * _PER_DOUBLING)
)
"""Of each exponential bucket from the first on."""
_BOUNDS: Final = sorted({nextafter(SMALLEST, 0.0), *BUCKETS_MILLISECONDS, *_GREATEST_OF, inf})
"""The greatest value of each slot."""
_NOTHING: Final = 0
"""The slot of what is less than SMALLEST."""
_FIXED: Final = [bisect_left(BUCKETS_MILLISECONDS, bound) for bound in _BOUNDS]
_EXPONENTIAL: Final = [_FIRST + bisect_left(_GREATEST_OF, min(bound, LARGEST)) for bound in _BOUNDS]
"""Which bucket a slot is part of."""
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


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many values were how large: all that a histogram had taken when it was asked."""

    count: int = 0
    total: float = 0.0
    least: float = inf
    greatest: float = 0.0
    slots: Mapping[int, int] = field(default_factory=dict)

    @property
    def buckets(self) -> list[int]:
        """Counts by index into BUCKETS_MILLISECONDS, not cumulative; the last one is for what is larger."""
        counts = [0] * (len(BUCKETS_MILLISECONDS) + 1)
        for slot, n in self.slots.items():
            counts[_FIXED[slot]] += n
        return counts

    @property
    def exponential(self) -> dict[int, int]:
        """Counts by index: bucket i holds what is above 2^(i/8) and not above 2^((i+1)/8)."""
        counts: dict[int, int] = {}
        for slot, n in self.slots.items():
            if slot != _NOTHING:
                index = _EXPONENTIAL[slot]
                counts[index] = counts.get(index, 0) + n
        return counts

    @property
    def zeros(self) -> int:
        """How many were less than SMALLEST."""
        return self.slots.get(_NOTHING, 0)


class Histogram:
    """Takes values, from any thread, and counts them later: many at once for a fraction of the cost.

        observe ──▶ fresh, so many and no more ──▶ slots, when there are so many or somebody reads

    A value is added in one piece, and only who holds the lock takes any away: none is lost or counted twice.
    """

    __slots__ = ("_count", "_folding", "_fresh", "_greatest", "_least", "_slots", "_total")

    def __init__(self) -> None:
        self._fresh: list[float] = []
        self._folding = Lock()
        self._count = 0
        self._total = 0.0
        self._least = inf
        self._greatest = 0.0
        self._slots: dict[int, int] = {}

    def observe(self, milliseconds: float) -> None:
        """Take one value, and never wait; what is below nothing counts as nothing."""
        fresh = self._fresh
        fresh.append(milliseconds)
        if len(fresh) >= MAX_FRESH and self._folding.acquire(blocking=False):  # or somebody is at it
            try:
                self._fold()
            finally:
                self._folding.release()

    def read(self) -> Distribution:
        """Return what has been observed until now."""
        with self._folding:
            self._fold()
            slots = dict(self._slots)
            return Distribution(self._count, self._total, self._least, self._greatest, slots)

    def _fold(self) -> None:
        """Count what is fresh; to be called by who holds the lock.

        In order, values of one slot are beside each other: the slot is looked for once for all of them.
        """
        values = self._fresh[:]
        if not values:
            return
        del self._fresh[: len(values)]  # and not what has come meanwhile
        self._count += len(values)
        self._total = reduce(add, values, self._total)  # one by one, as they came: so it is rounded
        values.sort()
        least, greatest = values[0], values[-1]
        self._least = min(self._least, least if least >= SMALLEST else 0.0)
        self._greatest = max(self._greatest, greatest if greatest >= SMALLEST else 0.0)
        slots, begin = self._slots, 0
        while begin < len(values):
            slot = bisect_left(_BOUNDS, values[begin])
            end = bisect_right(values, _BOUNDS[slot], begin)
            slots[slot] = slots.get(slot, 0) + end - begin
            begin = end


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
