"""The process's metrics: every instrument of names.py, bound, and what they stand at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from reservation_api.domain.reservation import Status
from reservation_api.telemetry import names
from reservation_api.telemetry.instruments import Counter, Family, Gauge, Histogram, Labels
from reservation_api.telemetry.names import METRICS, Kind, Metric
from reservation_api.telemetry.prometheus import CONTENT_TYPE, RuntimeReadings, exposition
from reservation_api.telemetry.readings import ANY_FAMILY, FamilyReading, merge, read_family

__all__ = ["CIRCUIT_BREAKER_STATE", "CONTENT_TYPE", "Measurement", "Metrics", "Reading", "Siblings"]

CIRCUIT_BREAKER_STATE: Final = names.CIRCUIT_BREAKER_STATE.name

Read = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number of a metric, by Spring Boot's word for it."""

    statistic: str
    value: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric as the actuator shows it: summed over what `tag` leaves open."""

    name: str
    description: str
    measurements: tuple[Measurement, ...]
    tags: dict[str, list[str]]


class Siblings(Protocol):
    """The other processes behind the same port."""

    def share(self, families: Sequence[FamilyReading]) -> None:
        """Show them what this process stands at."""
        ...

    def others(self) -> Sequence[Sequence[FamilyReading]]:
        """Return what they stand at, those that are gone included."""
        ...

    def leave(self) -> None:
        """End what is shared: nobody is left to look after it."""
        ...


class Metrics:
    """Instruments are bound once, where they are used: so counting costs under a microsecond."""

    def __init__(self) -> None:
        self._counters = {metric: Family(metric, Counter) for metric in _of(Kind.COUNTER)}
        self._gauges = {metric: Family(metric, Gauge) for metric in _of(Kind.GAUGE, Kind.PEAK)}
        self._histograms = {metric: Family(metric, Histogram) for metric in _of(Kind.HISTOGRAM)}
        self._runtime = RuntimeReadings()
        self._watched: dict[Counter | Gauge, list[Read]] = {}
        self._siblings: Siblings | None = None
        self.statuses: Mapping[str, Counter] = {
            status.value: self.counter(names.RESERVATION_STATUS_COUNT, status.value)
            for status in Status
            if status is not Status.ABANDONED
        }
        """Of moves, by the name of what a reservation has moved to."""
        self.requests = self.counter(names.HTTP_REQUESTS)
        self.errors = self.counter(names.HTTP_ERRORS)
        self.replays = self.counter(names.IDEMPOTENT_REPLAYS)
        self.expiry_lag = self.histogram(names.EXPIRY_LAG)

    @property
    def families(self) -> list[ANY_FAMILY]:
        """Every metric with its series, in the order of names.py, as of now."""
        for instrument, reads in self._watched.items():
            instrument.value = sum(read() for read in reads)
        by_metric: dict[Metric, ANY_FAMILY] = {**self._counters, **self._gauges, **self._histograms}
        return [by_metric[metric] for metric in METRICS]

    def counter(self, metric: Metric, *labels: str) -> Counter:
        """Return a counter, to keep: binding is the dear part."""
        return self._counters[metric].of(*labels)

    def gauge(self, metric: Metric, *labels: str) -> Gauge:
        """Return a gauge. It is shown from now on: ask for it only where something is measured."""
        return self._gauges[metric].of(*labels)

    def histogram(self, metric: Metric, *labels: str) -> Histogram:
        """Return a histogram, to keep."""
        return self._histograms[metric].of(*labels)

    def counters(self, metric: Metric) -> Mapping[Labels, Counter]:
        """Return a metric's counters, to keep where the labels are not known beforehand."""
        return self._counters[metric]

    def histograms(self, metric: Metric) -> Mapping[Labels, Histogram]:
        """Return a metric's histograms, likewise."""
        return self._histograms[metric]

    def watch(self, metric: Metric, labels: Labels, read: Read) -> None:
        """Show what is counted elsewhere, asked for whenever somebody looks; several add up."""
        family = self._counters[metric] if metric in self._counters else self._gauges[metric]
        self._watched.setdefault(family.of(*labels), []).append(read)

    def latency_of(self, endpoint: str) -> Histogram:
        """Return the histogram of one endpoint, to keep."""
        return self.histogram(names.API_LATENCY, endpoint)

    def watch_circuit_breaker(self, name: str, states: Sequence[str], state_of: Callable[[], str]) -> None:
        """Show a breaker's state: nobody has to keep a gauge in step with it."""
        for state in states:
            self.watch(
                names.CIRCUIT_BREAKER_STATE,
                (name, state.lower()),
                lambda state=state: float(state_of() == state),  # type: ignore[misc]
            )

    def join(self, siblings: Siblings) -> None:
        """Answer for the siblings, too, from now on."""
        self._siblings = siblings

    def share(self) -> None:
        """Show the siblings, if there are any, what this process stands at."""
        if self._siblings is not None:
            self._siblings.share(self._own())

    def read(self) -> list[FamilyReading]:
        """Return what this process and its siblings stand at.

        What is told here is shown to the siblings first: none of them ever tells of less.
        """
        own = self._own()
        if self._siblings is None:
            return own
        self._siblings.share(own)
        return merge([own, *self._siblings.others()])

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text format, of the type CONTENT_TYPE."""
        return exposition(self.read())

    def names(self) -> list[str]:
        """List the metrics that have been measured."""
        return sorted(family.name for family in self.read() if family.series)

    def reading(self, name: str, tag: tuple[str, str] | None = None) -> Reading | None:
        """Return a metric's numbers, of the series with that label only; None if there are none."""
        for family in self.read():
            if family.name == name:
                return _reading(family, tag)
        return None

    def _own(self) -> list[FamilyReading]:
        return [*map(read_family, self.families), *self._runtime.read()]


def _of(*kinds: Kind) -> list[Metric]:
    return [metric for metric in METRICS if metric.kind in kinds]


def _reading(family: FamilyReading, tag: tuple[str, str] | None) -> Reading | None:
    wanted = [
        (dict(zip(family.labels, labels, strict=True)), numbers)
        for labels, numbers in family.series
        if tag is None or tag in zip(family.labels, labels, strict=True)
    ]
    if not wanted:
        return None
    tags: dict[str, set[str]] = {}
    for labels_of_one, _ in wanted:
        for label, value in labels_of_one.items():
            if tag is None or label != tag[0]:
                tags.setdefault(label, set()).add(value)
    columns = zip(
        _statistics(family.kind), zip(*(numbers for _, numbers in wanted), strict=True), strict=False
    )
    measurements = tuple(
        Measurement(statistic, max(column) if family.kind is Kind.PEAK else sum(column))
        for statistic, column in columns
    )
    open_tags = {label: sorted(values) for label, values in tags.items()}
    return Reading(family.name, family.description, measurements, open_tags)


def _statistics(kind: Kind) -> tuple[str, ...]:
    if kind is Kind.HISTOGRAM:
        return ("COUNT", "TOTAL")
    return ("COUNT",) if kind is Kind.COUNTER else ("VALUE",)
