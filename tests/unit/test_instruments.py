"""Instruments: what is counted is counted exactly, percentiles are within 9 percent, and nothing grows."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation_api.telemetry import names
from reservation_api.telemetry.deltas import Deltas, HistogramDelta, bucket_bounds
from reservation_api.telemetry.instruments import (
    BUCKETS_MILLISECONDS,
    MAX_SERIES,
    OTHER,
    SMALLEST,
    Counter,
    Family,
    Histogram,
)
from reservation_api.telemetry.metrics import Metrics

MILLISECONDS = st.floats(min_value=SMALLEST, max_value=86_400_000, allow_nan=False)


def slow_index(value: float) -> int:
    """Look for the bucket by its bounds, from the smallest on."""
    index = -100
    while value > 2.0 ** ((index + 1) / 8):
        index += 1
    return index


def observed(values: Sequence[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    return histogram


@given(MILLISECONDS)
def test_a_value_is_in_the_exponential_bucket_that_holds_it(value: float) -> None:
    (index,) = observed([value]).exponential
    assert index == slow_index(value) or math.isclose(value, 2.0 ** (slow_index(value) / 8), rel_tol=1e-12)
    below, greatest = bucket_bounds(index)
    assert below * (1 - 1e-12) < value <= greatest * (1 + 1e-12)


@pytest.mark.parametrize("power", range(-9, 27))
def test_powers_of_two_are_the_last_of_their_bucket(power: int) -> None:
    """Upper bounds belong to a bucket (OpenTelemetry data model, "Exponential scale")."""
    assert list(observed([2.0**power]).exponential) == [8 * power - 1]


@given(st.floats(min_value=-1, max_value=100_000, allow_nan=False))
def test_a_value_is_in_the_fixed_bucket_that_holds_it(value: float) -> None:
    (index,) = [at for at, n in enumerate(observed([value]).buckets) if n]
    bounds = [-math.inf, *BUCKETS_MILLISECONDS, math.inf]
    assert bounds[index] < value <= bounds[index + 1]


@given(st.lists(st.one_of(MILLISECONDS, st.just(0.0)), min_size=1, max_size=200))
def test_count_total_and_extremes_are_exact(values: list[float]) -> None:
    histogram = observed(values)
    assert histogram.count == len(values) == sum(histogram.buckets)
    assert histogram.count == histogram.zeros + sum(histogram.exponential.values())
    assert math.isclose(histogram.total, math.fsum(values), rel_tol=1e-9)
    assert (histogram.least, histogram.greatest) == (min(values), max(values))


def percentile(delta: HistogramDelta, share: float) -> float:
    """Make a percentile as CloudWatch does: of the middles of buckets."""
    rank = math.ceil(share * delta.count)
    seen = delta.zeros
    if rank <= seen:
        return 0.0
    for index, n in sorted(delta.exponential.items()):
        seen += n
        if rank <= seen:
            return sum(bucket_bounds(index)) / 2
    raise AssertionError("more are counted than there are")


@given(st.lists(MILLISECONDS, min_size=1, max_size=300), st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_percentiles_of_exponential_buckets_are_within_nine_percent(
    values: list[float], share: float
) -> None:
    metrics = Metrics()
    for value in values:
        metrics.latency_of("GET /x").observe(value)
    (latency,) = [family for family in Deltas(metrics).take() if family.metric is names.API_LATENCY]
    (point,) = latency.points
    assert isinstance(point.value, HistogramDelta)
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    assert abs(percentile(point.value, share) - exact) <= 0.09 * exact


def test_buckets_are_bounded_whatever_is_observed() -> None:
    histogram = observed([1.01**n * 1e-6 for n in range(3_300)])  # from a nanosecond to days
    assert len(histogram.exponential) < 400
    assert len(histogram.buckets) == len(BUCKETS_MILLISECONDS) + 1


def test_labels_beyond_the_bound_go_to_other() -> None:
    family = Family(names.API_LATENCY, Counter)
    for n in range(10_000):
        family.of(f"GET /{n}").inc()
    series = [(labels["endpoint"], counter.value) for labels, counter in family.series()]
    assert len(series) == MAX_SERIES + 1
    assert dict(series)[OTHER] == family.overflowed == 10_000 - MAX_SERIES


def test_labels_are_as_many_as_the_metric_has() -> None:
    with pytest.raises(ValueError, match="labels"):
        Family(names.DYNAMODB_OPERATION_LATENCY, Histogram).of("table")


def news_of(deltas: Deltas, name: str) -> list[object]:
    return [p.value for family in deltas.take() if family.metric.name == name for p in family.points]


@given(st.lists(st.lists(MILLISECONDS, max_size=20), min_size=1, max_size=6))
def test_differences_add_up_to_what_was_counted(rounds: list[list[float]]) -> None:
    metrics = Metrics()
    deltas, late = Deltas(metrics), Deltas(metrics)
    latency = metrics.latency_of("GET /x")
    found: list[HistogramDelta] = []
    for values in rounds:
        for value in values:
            latency.observe(value)
            metrics.requests.inc()
        news = [one for one in news_of(deltas, "APILatency") if isinstance(one, HistogramDelta)]
        assert [one.count for one in news] == [len(values)] * bool(values)
        for one in news:
            assert one.least <= min(values) * (1 + 1e-9)
            assert one.least >= min(values) * 0.91
            assert max(values) * (1 - 1e-9) <= one.greatest <= max(values) * 1.0906
        found += news
    assert sum(one.count for one in found) == latency.count
    assert math.isclose(sum(one.total for one in found), latency.total, rel_tol=1e-6, abs_tol=1e-6)
    for index, n in latency.exponential.items():
        assert sum(one.exponential.get(index, 0) for one in found) == n
    # Who did not look until now sees all of it at once.
    assert news_of(late, "HTTPRequests") == ([latency.count] if latency.count else [])


def test_what_stands_still_is_not_told_again_but_gauges_are() -> None:
    metrics = Metrics()
    deltas = Deltas(metrics)
    metrics.requests.inc(2)
    metrics.gauge(names.REQUESTS_IN_FLIGHT).set(0)
    assert news_of(deltas, "HTTPRequests") == [2]
    assert news_of(deltas, "HTTPRequests") == []
    assert news_of(deltas, "RequestsInFlight") == [0]
