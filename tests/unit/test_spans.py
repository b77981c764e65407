"""Which traces are recorded, and what becomes of their spans until they are sent."""

from datetime import timedelta

import pytest
from tests.support.clock import FakeClock

from reservation_api.application.tracing import new_trace_id
from reservation_api.telemetry import names
from reservation_api.telemetry.instruments import Counter
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.otlp_traces import BATCH_SPANS, TracesSignal
from reservation_api.telemetry.spans import MAX_WAITING_SPANS, Span, SpanKind, Tracer

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MANY = 100_000


def span(began: float = 0.0) -> Span:
    return Span(trace_id=TRACE, span_id=SPAN, parent_id=None, name="x", kind=SpanKind.SERVER, began=began)


def tracer_of(ratio: float = 1.0, clock: FakeClock | None = None, dropped: Counter | None = None) -> Tracer:
    return Tracer(ratio, (clock or FakeClock()).now, dropped or Counter())


@pytest.mark.parametrize("ratio", [0.0, 0.001, 0.01, 0.25, 1.0])
def test_as_many_traces_are_recorded_as_the_ratio_says(ratio: float) -> None:
    tracer = tracer_of(ratio)
    sampled = sum(tracer.samples(new_trace_id()) for _ in range(MANY))
    # Five standard deviations: one run in two million is beyond them by chance.
    assert abs(sampled - ratio * MANY) <= 5 * (MANY * ratio * (1 - ratio)) ** 0.5


def test_everybody_with_the_same_ratio_decides_alike_and_with_a_higher_one_on_more() -> None:
    ids = [new_trace_id() for _ in range(1_000)]
    low, also_low, high = ({i for i in ids if tracer_of(r).samples(i)} for r in (0.1, 0.1, 0.5))
    assert low == also_low
    assert low < high


@pytest.mark.parametrize(
    ("trace_id", "is_sampled"),
    [
        ("f" * 16 + "0" * 16, True),
        ("0" * 16 + "7fffffffffffffff", True),
        ("0" * 16 + "8000000000000000", False),
        ("0" * 16 + "f" * 16, False),
    ],
)
def test_the_last_eight_bytes_decide_as_elsewhere(trace_id: str, *, is_sampled: bool) -> None:
    assert tracer_of(0.5).samples(trace_id) is is_sampled


def test_spans_beyond_the_queues_end_are_counted_and_gone_and_the_oldest_stay() -> None:
    metrics = Metrics()
    dropped = metrics.counter(names.TELEMETRY_DROPPED, "traces")
    tracer = tracer_of(dropped=dropped)
    for n in range(MAX_WAITING_SPANS + 7):
        tracer.keep(span(began=n))
    assert (tracer.waiting(), dropped.value) == (MAX_WAITING_SPANS, 7)
    assert [one.began for one in tracer.take(3)] == [0, 1, 2]
    assert tracer.waiting() == MAX_WAITING_SPANS - 3


def test_a_batch_is_taken_at_a_time_and_a_full_one_presses() -> None:
    tracer = tracer_of()
    signal = TracesSignal(tracer)
    assert signal.take() is None
    for _ in range(BATCH_SPANS + 1):
        tracer.keep(span())
    assert signal.is_pressing()
    first, second = signal.take(), signal.take()
    assert first is not None
    assert second is not None
    assert (first.count, second.count, signal.waiting()) == (BATCH_SPANS, 1, 0)
    assert not signal.is_pressing()


def test_one_measure_of_time_holds_for_all_spans_until_the_wall_clock_is_set() -> None:
    clock = FakeClock()
    tracer = tracer_of(clock=clock)
    tracer.keep(span(began=0.0))
    tracer.keep(span(began=1.0))
    clock.advance(timedelta(hours=1).total_seconds())
    tracer.keep(span(began=1.0))
    first, second, third = tracer.take(3)
    assert second.began_at_nanoseconds - first.began_at_nanoseconds == 1_000_000_000
    moved = third.began_at_nanoseconds - second.began_at_nanoseconds
    assert abs(moved - 3600 * 10**9) < 10**9
    assert abs(third.ended_at_nanoseconds - clock.now().timestamp() * 1e9) < 1000
