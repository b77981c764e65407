"""The process's metrics: their names in one place, and their readings for Prometheus and the actuator."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from reservation_api.domain.reservation import Status

RESERVATION_STATUS_COUNT = "ReservationStatusCount"
API_LATENCY = "APILatency"
"""Document section 4.1 names these two."""

CIRCUIT_BREAKER_STATE = "resilience4j_circuitbreaker_state"
"""As Resilience4j has it, so that its dashboards fit: 1 for the state a breaker is in, 0 for the others."""

LATENCY_BUCKETS_MILLISECONDS = (1, 2, 5, 10, 20, 40, 60, 80, 100, 120, 160, 250, 500, 1000, 2500, 10_000)
"""120 is the promise (P95, document section 4.2): a bucket ends there, so that it can be checked."""

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


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


class Metrics:
    """A registry of its own; children are bound once, so that counting costs under a microsecond."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._latency = Histogram(
            API_LATENCY,
            "Milliseconds from a request's arrival to its answer.",
            ["endpoint"],
            buckets=LATENCY_BUCKETS_MILLISECONDS,
            registry=self.registry,
        )
        statuses = Counter(
            RESERVATION_STATUS_COUNT,
            "Reservations that this process moved to a status.",
            ["status"],
            registry=self.registry,
        )
        self._statuses: dict[Status, Counter] = {
            status: statuses.labels(status.value) for status in Status if status is not Status.ABANDONED
        }
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def count_status(self, status: Status) -> None:
        """Count a reservation that has just moved to `status`."""
        self._statuses[status].inc()

    def latency_of(self, endpoint: str) -> Histogram:
        """Return the histogram of one endpoint, to keep: binding is the dear part."""
        return self._latency.labels(endpoint)

    def watch_circuit_breaker(self, name: str, states: Sequence[str], state_of: Callable[[], str]) -> None:
        """Show a breaker's state, asked for whenever somebody looks; once for each process."""
        self.registry.register(_BreakerStates(name, states, state_of))

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text format, of the type CONTENT_TYPE."""
        return generate_latest(self.registry)

    def names(self) -> list[str]:
        """List the metrics."""
        return sorted(metric.name for metric in self.registry.collect())

    def reading(self, name: str, tag: tuple[str, str] | None = None) -> Reading | None:
        """Return a metric's numbers, of the children with that label only; None if there are none."""
        for metric in self.registry.collect():
            if metric.name == name:
                return _reading(metric, tag)
        return None


class _BreakerStates(Collector):
    """Reads the state at each scrape: nobody has to keep a gauge in step with it."""

    def __init__(self, name: str, states: Sequence[str], state_of: Callable[[], str]) -> None:
        self._name = name
        self._states = states
        self._state_of = state_of

    def collect(self) -> Iterator[Metric]:
        """Yield the family, a sample for each state."""
        present = self._state_of()
        family = GaugeMetricFamily(
            CIRCUIT_BREAKER_STATE, "The states of the circuit breaker.", labels=["name", "state"]
        )
        for state in self._states:
            family.add_metric([self._name, state.lower()], float(state == present))
        yield family


def _reading(metric: Metric, tag: tuple[str, str] | None) -> Reading | None:
    totals: dict[str, float] = {}
    tags: dict[str, set[str]] = {}
    for sample in _samples(metric, tag):
        statistic = _statistic(metric, sample)
        totals[statistic] = totals.get(statistic, 0.0) + sample.value
        for label, value in sample.labels.items():
            if tag is None or label != tag[0]:
                tags.setdefault(label, set()).add(value)
    if not totals:
        return None
    measurements = tuple(Measurement(*item) for item in totals.items())
    open_tags = {label: sorted(values) for label, values in tags.items()}
    return Reading(metric.name, metric.documentation, measurements, open_tags)


def _samples(metric: Metric, tag: tuple[str, str] | None) -> Iterator[Sample]:
    for sample in metric.samples:
        if sample.name.endswith(("_bucket", "_created")):
            continue
        if tag is None or sample.labels.get(tag[0]) == tag[1]:
            yield sample


def _statistic(metric: Metric, sample: Sample) -> str:
    if metric.type == "histogram":
        return "COUNT" if sample.name.endswith("_count") else "TOTAL"
    return "COUNT" if metric.type == "counter" else "VALUE"
