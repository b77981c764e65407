"""Instruments: what is counted is counted exactly, percentiles are within 9 percent, and nothing grows."""

import math
import threading
from collections.abc import Sequence
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation_api.telemetry import names
from reservation_api.telemetry.deltas import Deltas, HistogramDelta, bucket_bounds
from reservation_api.telemetry.instruments import (
    BUCKETS_MILLISECONDS,
    LARGEST,
    MAX_FRESH,
    MAX_SERIES,
    OTHER,
    SMALLEST,
    Counter,
    Distribution,
    Family,
    Histogram,
)
from reservation_api.telemetry.metrics import Metrics

MILLISECONDS = st.floats(min_value=SMALLEST, max_value=86_400_000, allow_nan=False)


@lru_cache(maxsize=10_000)
def slow_index(value: float) -> int:
    """Look for the bucket by its bounds, from the smallest on."""
    index = -100
    while value > 2.0 ** ((index + 1) / 8):
        index += 1
    return index


def observed(values: Sequence[float]) -> Distribution:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    return histogram.read()


@given(MILLISECONDS)
def test_a_value_is_in_the_exponential_bucket_that_holds_it(value: float) -> None:
    (index,) = observed([value]).exponential
    assert index == slow_index(value)
    below, greatest = bucket_bounds(index)
    assert below < value <= greatest


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


class PlainHistogram:
    """Counts each value at once, in buckets that are looked for from the smallest on."""

    def __init__(self) -> None:
        self.count, self.total, self.least, self.greatest, self.zeros = 0, 0.0, math.inf, 0.0, 0
        self.buckets = [0] * (len(BUCKETS_MILLISECONDS) + 1)
        self.exponential: dict[int, int] = {}

    def observe(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.buckets[sum(value > bound for bound in BUCKETS_MILLISECONDS)] += 1
        if value < SMALLEST:
            self.zeros += 1
            self.least = min(self.least, 0.0)
            return
        self.least, self.greatest = min(self.least, value), max(self.greatest, value)
        index = slow_index(value)
        self.exponential[index] = self.exponential.get(index, 0) + 1


def facts_of(one: Distribution | PlainHistogram) -> tuple[object, ...]:
    return (one.count, one.total, one.least, one.greatest, one.zeros, one.buckets, one.exponential)


EDGES = st.sampled_from(
    [-1.0, 0.0, *BUCKETS_MILLISECONDS, *(2.0 ** (index / 8) for index in range(-80, 100)), SMALLEST]
)
NEAR_EDGES = st.builds(math.nextafter, EDGES, st.sampled_from([-math.inf, math.inf]))
VALUES = st.lists(st.one_of(MILLISECONDS, EDGES, NEAR_EDGES), max_size=40)


@given(st.lists(st.tuples(VALUES, st.sampled_from([1, 1, 100])), max_size=6))
def test_values_that_are_counted_later_are_counted_as_if_at_once(
    rounds: list[tuple[list[float], int]],
) -> None:
    histogram, plain = Histogram(), PlainHistogram()
    for values, times in rounds:
        for value in (values * times)[: 2 * MAX_FRESH]:
            histogram.observe(value)
            plain.observe(value)
        assert facts_of(histogram.read()) == facts_of(plain)
    assert facts_of(histogram.read()) == facts_of(plain)


@pytest.mark.parametrize("value", [LARGEST, 2 * LARGEST, math.inf])
def test_what_is_larger_than_all_buckets_is_in_the_last_ones(value: float) -> None:
    one = observed([1.0, value])
    assert (one.count, one.greatest, one.buckets[-1]) == (2, value, 1)
    assert one.exponential == {-1: 1, 8 * 40 - 1: 1}


def test_what_was_read_stays_as_it_was() -> None:
    histogram = Histogram()
    histogram.observe(1.0)
    before = histogram.read()
    histogram.observe(1.0)
    assert (before.count, before.buckets[0], before.exponential) == (1, 1, {-1: 1})
    assert histogram.read().count == 2


def test_values_that_nobody_reads_take_bounded_memory() -> None:
    histogram = Histogram()
    for _ in range(10 * MAX_FRESH):
        histogram.observe(3.0)
        assert len(histogram._fresh) < MAX_FRESH


def test_who_observes_does_not_wait_for_who_reads() -> None:
    histogram = Histogram()
    with histogram._folding:
        for _ in range(MAX_FRESH + 1):
            histogram.observe(3.0)
    assert histogram.read().buckets == observed([3.0] * (MAX_FRESH + 1)).buckets


def test_values_that_come_from_several_threads_while_others_read_are_counted_once() -> None:
    histogram, each = Histogram(), 20_000
    done, seen = threading.Event(), [list[Distribution](), list[Distribution]()]

    def observe() -> None:
        for n in range(each):
            histogram.observe(float(n % 100))

    def read(into: list[Distribution]) -> None:
        while not done.is_set():
            into.append(histogram.read())

    writers = [threading.Thread(target=observe) for _ in range(3)]
    readers = [threading.Thread(target=read, args=(into,)) for into in seen]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    at_last, expected = histogram.read(), observed([float(n % 100) for n in range(each)])
    assert at_last.count == 3 * each
    assert at_last.total == 3 * expected.total
    assert at_last.slots == {slot: 3 * n for slot, n in expected.slots.items()}
    for readings in seen:
        assert [one.count for one in readings] == sorted(one.count for one in readings)
        assert all(one.count == sum(one.slots.values()) == sum(one.buckets) for one in readings)


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
    at_last = latency.read()
    assert sum(one.count for one in found) == at_last.count == sum(map(len, rounds))
    assert math.isclose(sum(one.total for one in found), at_last.total, rel_tol=1e-6, abs_tol=1e-6)
    for index, n in at_last.exponential.items():
        assert sum(one.exponential.get(index, 0) for one in found) == n
    # Who did not look until now sees all of it at once.
    assert news_of(late, "HTTPRequests") == ([at_last.count] if at_last.count else [])


def test_what_stands_still_is_not_told_again_but_gauges_are() -> None:
    metrics = Metrics()
    deltas = Deltas(metrics)
    metrics.requests.inc(2)
    metrics.gauge(names.REQUESTS_IN_FLIGHT).set(0)
    assert news_of(deltas, "HTTPRequests") == [2]
    assert news_of(deltas, "HTTPRequests") == []
    assert news_of(deltas, "RequestsInFlight") == [0]
