"""Differences of metrics as OTLP has them, in protobuf: sums, gauges and exponential histograms.

And the signal of metrics, for the exporter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1 import metrics_pb2 as wire

from reservation_api.telemetry.deltas import Deltas, FamilyDelta, HistogramDelta, Point
from reservation_api.telemetry.instruments import SCALE, SMALLEST
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.names import Kind
from reservation_api.telemetry.otlp_export import Taken
from reservation_api.telemetry.otlp_values import SCOPE, attributes_of, nanoseconds_of, resource_of
from reservation_api.telemetry.resource import resource_of_process

_DELTA: Final = wire.AGGREGATION_TEMPORALITY_DELTA


@dataclass(frozen=True, slots=True)
class Window:
    """The time that differences are about."""

    began_at: datetime
    ended_at: datetime


class MetricsSignal:
    """Implements otlp_export.Signal: what has happened since the last batch was taken."""

    name = "metrics"
    items = "points of metrics"

    def __init__(self, metrics: Metrics, now: Callable[[], datetime], interval_seconds: float) -> None:
        self.interval_seconds = interval_seconds
        self._deltas = Deltas(metrics)
        self._now = now
        self._began_at = now()

    def take(self) -> Taken | None:
        """Return the differences since the last call."""
        families = self._deltas.take()
        window = Window(self._began_at, self._now())
        self._began_at = window.ended_at
        if not families:
            return None
        encode = partial(encode_metrics, families, resource_of_process(), window)
        return Taken(sum(len(family.points) for family in families), encode)

    def waiting(self) -> int:
        """Return 0: nothing waits, instruments stand."""
        return 0

    def is_pressing(self) -> bool:
        """Return False: instruments take as much as comes."""
        return False

    def rejected(self, body: bytes) -> tuple[int, str]:
        """Return how many points an answer says were rejected, and why; raises DecodeError."""
        answer = ExportMetricsServiceResponse.FromString(body).partial_success
        return answer.rejected_data_points, answer.error_message


def encode_metrics(families: Sequence[FamilyDelta], resource: Mapping[str, str], window: Window) -> bytes:
    """Return the body of a request to /v1/metrics."""
    scope_metrics = wire.ScopeMetrics(scope=SCOPE, metrics=[_metric(family, window) for family in families])
    resource_metrics = wire.ResourceMetrics(resource=resource_of(resource), scope_metrics=[scope_metrics])
    return ExportMetricsServiceRequest(resource_metrics=[resource_metrics]).SerializeToString()


def _metric(family: FamilyDelta, window: Window) -> wire.Metric:
    metric = family.metric
    found = wire.Metric(name=metric.name, unit=metric.unit, description=metric.description)
    match metric.kind:
        case Kind.COUNTER:
            found.sum.is_monotonic = True
            found.sum.aggregation_temporality = _DELTA
            found.sum.data_points.extend(_number(point, window) for point in family.points)
        case Kind.GAUGE | Kind.PEAK:
            found.gauge.data_points.extend(_number(point, window) for point in family.points)
        case Kind.HISTOGRAM:
            found.exponential_histogram.aggregation_temporality = _DELTA
            found.exponential_histogram.data_points.extend(
                _histogram(point.labels, point.value, window)
                for point in family.points
                if isinstance(point.value, HistogramDelta)
            )
    return found


def _number(point: Point, window: Window) -> wire.NumberDataPoint:
    found = wire.NumberDataPoint(
        attributes=attributes_of(point.labels),
        start_time_unix_nano=nanoseconds_of(window.began_at),
        time_unix_nano=nanoseconds_of(window.ended_at),
    )
    if isinstance(point.value, float) and not point.value.is_integer():
        found.as_double = point.value
    elif isinstance(point.value, (float, int)):
        found.as_int = int(point.value)
    return found


def _histogram(
    labels: Mapping[str, str], delta: HistogramDelta, window: Window
) -> wire.ExponentialHistogramDataPoint:
    offset = min(delta.exponential, default=0)
    width = max(delta.exponential, default=offset - 1) - offset + 1
    counts = [delta.exponential.get(offset + at, 0) for at in range(width)]
    return wire.ExponentialHistogramDataPoint(
        attributes=attributes_of(labels),
        start_time_unix_nano=nanoseconds_of(window.began_at),
        time_unix_nano=nanoseconds_of(window.ended_at),
        count=delta.count,
        sum=delta.total,
        min=delta.least,
        max=delta.greatest,
        scale=SCALE,
        zero_count=delta.zeros,
        zero_threshold=SMALLEST,
        positive=wire.ExponentialHistogramDataPoint.Buckets(offset=offset, bucket_counts=counts),
    )
