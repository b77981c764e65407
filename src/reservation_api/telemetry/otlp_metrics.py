"""Differences of metrics as OTLP has them: sums, gauges and exponential histograms, in protobuf."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as wire
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from reservation_api.telemetry.deltas import FamilyDelta, HistogramDelta, Point
from reservation_api.telemetry.instruments import SCALE, SMALLEST
from reservation_api.telemetry.names import Kind

SCOPE: Final = "reservation_api"
EPOCH: Final = datetime.fromtimestamp(0, UTC)
_DELTA: Final = wire.AGGREGATION_TEMPORALITY_DELTA


@dataclass(frozen=True, slots=True)
class Window:
    """The time that differences are about."""

    began_at: datetime
    ended_at: datetime


def encode_metrics(families: Sequence[FamilyDelta], resource: Mapping[str, str], window: Window) -> bytes:
    """Return the body of a request to /v1/metrics."""
    scope_metrics = wire.ScopeMetrics(
        scope=InstrumentationScope(name=SCOPE), metrics=[_metric(family, window) for family in families]
    )
    resource_metrics = wire.ResourceMetrics(
        resource=Resource(attributes=_attributes(resource)), scope_metrics=[scope_metrics]
    )
    return ExportMetricsServiceRequest(resource_metrics=[resource_metrics]).SerializeToString()


def rejected_of(body: bytes) -> tuple[int, str]:
    """Return how many points an answer says were rejected, and why; raises DecodeError."""
    answer = ExportMetricsServiceResponse.FromString(body).partial_success
    return answer.rejected_data_points, answer.error_message


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
        attributes=_attributes(point.labels),
        start_time_unix_nano=_nanoseconds(window.began_at),
        time_unix_nano=_nanoseconds(window.ended_at),
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
        attributes=_attributes(labels),
        start_time_unix_nano=_nanoseconds(window.began_at),
        time_unix_nano=_nanoseconds(window.ended_at),
        count=delta.count,
        sum=delta.total,
        min=delta.least,
        max=delta.greatest,
        scale=SCALE,
        zero_count=delta.zeros,
        zero_threshold=SMALLEST,
        positive=wire.ExponentialHistogramDataPoint.Buckets(offset=offset, bucket_counts=counts),
    )


def _attributes(labels: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in labels.items()]


def _nanoseconds(at: datetime) -> int:
    """Return nanoseconds since 1970; whole microseconds, since a float could not hold more."""
    return (at - EPOCH) // timedelta(microseconds=1) * 1000
