"""Readings in Prometheus' text format; and what the runtime itself has to tell: CPU, memory, garbage."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from reservation_api.telemetry.instruments import BUCKETS_MILLISECONDS
from reservation_api.telemetry.names import METRICS, Kind
from reservation_api.telemetry.readings import FamilyReading

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_NAMES: Final = {metric.name: metric.prometheus for metric in METRICS}
_IN_MILLISECONDS: Final = frozenset(metric.name for metric in METRICS if metric.unit == "ms")
_BOUNDS: Final = (*(str(bound / 1000) for bound in BUCKETS_MILLISECONDS), "+Inf")
_PEAKS: Final = frozenset({"process_start_time_seconds", "process_max_fds"})
"""What several processes have in common; of the rest of their gauges, the sum says something."""


def exposition(families: Sequence[FamilyReading]) -> bytes:
    """Write everything, of the type CONTENT_TYPE."""
    return generate_latest(_Ready(families))


class RuntimeReadings:
    """The interpreter's process and its garbage collector, as prometheus_client reads them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def read(self) -> list[FamilyReading]:
        """Return what they stand at now."""
        return [_reading(metric) for metric in self._registry.collect()]


class _Ready(Collector):
    """Families that have been read already."""

    def __init__(self, families: Sequence[FamilyReading]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Yield those that have any series."""
        return (_family(family) for family in self._families if family.series)


def _family(family: FamilyReading) -> Metric:
    named = (_NAMES.get(family.name, family.name), family.description)
    scale = 0.001 if family.name in _IN_MILLISECONDS else 1.0  # seconds are Prometheus' own unit
    match family.kind:
        case Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(*named, labels=family.labels)
            for labels, (_, total, *counts) in family.series:
                cumulative = list(zip(_BOUNDS, accumulate(counts), strict=True))
                histogram.add_metric(labels, cumulative, sum_value=total * scale)
            return histogram
        case Kind.COUNTER:
            counter = CounterMetricFamily(*named, labels=family.labels)
            for labels, (value,) in family.series:
                counter.add_metric(labels, value)
            return counter
        case Kind.GAUGE | Kind.PEAK:
            gauge = GaugeMetricFamily(*named, labels=family.labels)
            for labels, (value,) in family.series:
                gauge.add_metric(labels, value * scale)
            return gauge


def _reading(metric: Metric) -> FamilyReading:
    kind = Kind.PEAK if metric.name in _PEAKS else Kind(metric.type)
    labels = tuple(metric.samples[0].labels) if metric.samples else ()
    series = [(tuple(sample.labels.values()), [float(sample.value)]) for sample in metric.samples]
    return FamilyReading(metric.name, kind, metric.documentation, labels, series)
