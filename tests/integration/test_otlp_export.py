"""Metrics sent to a collector over real sockets: what arrives, and what a collector in trouble costs us."""

import asyncio
import gzip
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from time import monotonic

import pytest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as wire
from tests.support.otlp_sink import (
    Answer,
    Handler,
    Sink,
    attributes,
    never_answer,
    refuse,
    reset,
    sink,
    take,
    take_but_reject,
)
from tests.support.ports import free_port

from reservation_api.domain.reservation import Status
from reservation_api.telemetry import names
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.names import METRICS, Kind, Metric
from reservation_api.telemetry.otlp_export import FLUSH_SECONDS, Exporter
from reservation_api.telemetry.otlp_http import Later, OtlpSender, Refused
from reservation_api.telemetry.otlp_metrics import MetricsSignal
from reservation_api.telemetry.resource import resource_of_process

LONG = 3600.0
OFTEN = 0.05


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def collector() -> Iterator[Sink]:
    with sink() as opened:
        yield opened


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@asynccontextmanager
async def exporting(metrics: Metrics, url: str, interval_seconds: float = LONG) -> AsyncIterator[Exporter]:
    sender = OtlpSender(url, now, send_seconds=1.0)
    try:
        dropped = metrics.counter(names.TELEMETRY_DROPPED, "metrics")
        yield Exporter(MetricsSignal(metrics, now, interval_seconds), sender, dropped)
    finally:
        await sender.close()


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.to_thread(threading.Event().wait, 0.01)


def dropped(metrics: Metrics) -> float:
    return metrics.counter(names.TELEMETRY_DROPPED, "metrics").value


def use(metrics: Metrics, metric: Metric) -> None:
    """Make every metric have something to tell."""
    labels = tuple(f"a {label}" for label in metric.labels)
    match metric.kind:
        case Kind.COUNTER:
            metrics.counter(metric, *labels).inc(3)
        case Kind.HISTOGRAM:
            for milliseconds in (0.0, 1.5, 120.0):
                metrics.histogram(metric, *labels).observe(milliseconds)
        case Kind.GAUGE | Kind.PEAK:
            metrics.gauge(metric, *labels).set(2.5)


async def test_every_metric_arrives_with_its_unit_its_attributes_and_its_value(
    collector: Sink, metrics: Metrics
) -> None:
    for metric in METRICS:
        use(metrics, metric)
    async with exporting(metrics, collector.url) as exporter:
        await exporter.send_once()
    assert collector.resources() == [dict(resource_of_process())]
    assert set(collector.resources()[0]) == {"service.name", "service.version", "service.instance.id"}
    sent = {one.metric.name: one.metric for one in collector.sent()}
    assert list(sent) == [metric.name for metric in METRICS]
    for metric in METRICS:
        one = sent[metric.name]
        assert (one.unit, one.description) == (metric.unit, metric.description)
        point = collector.sent(metric.name)[0].points[-1]
        assert attributes(point.attributes) == {label: f"a {label}" for label in metric.labels}
        assert 0 < point.start_time_unix_nano < point.time_unix_nano
        match metric.kind:
            case Kind.COUNTER:
                assert one.sum.is_monotonic
                assert one.sum.aggregation_temporality == wire.AGGREGATION_TEMPORALITY_DELTA
                assert one.sum.data_points[-1].as_int == 3
            case Kind.GAUGE | Kind.PEAK:
                assert one.gauge.data_points[-1].as_double == 2.5
            case Kind.HISTOGRAM:
                assert one.exponential_histogram.aggregation_temporality == wire.AGGREGATION_TEMPORALITY_DELTA
                check_histogram(one.exponential_histogram.data_points[-1])


def check_histogram(point: wire.ExponentialHistogramDataPoint) -> None:
    """0, 1.5 and 120 milliseconds: 1.5 is in (2^(4/8), 2^(5/8)], 120 in (2^(55/8), 2^(56/8)]."""
    assert (point.count, point.sum, point.zero_count, point.scale) == (3, 121.5, 1, 3)
    assert (point.min, point.max) == (0, 120)
    counts = {point.positive.offset + at: n for at, n in enumerate(point.positive.bucket_counts) if n}
    assert counts == {4: 1, 55: 1}


async def test_the_body_is_protobuf_and_compressed(collector: Sink, metrics: Metrics) -> None:
    metrics.requests.inc()
    async with exporting(metrics, collector.url) as exporter:
        await exporter.send_once()
    (headers,) = collector.headers
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["content-encoding"] == "gzip"
    assert int(headers["content-length"]) < len(collector.bodies[0])
    assert gzip.decompress(gzip.compress(collector.bodies[0])) == collector.bodies[0]


async def test_differences_are_sent_and_none_of_what_stood_still(collector: Sink, metrics: Metrics) -> None:
    async with exporting(metrics, collector.url) as exporter:
        for n in (3, 0, 4):
            metrics.requests.inc(n)
            await exporter.send_once()
    assert [sent.metric.sum.data_points[0].as_int for sent in collector.sent("HTTPRequests")] == [3, 4]


async def test_windows_follow_each_other_without_a_gap(collector: Sink, metrics: Metrics) -> None:
    async with exporting(metrics, collector.url) as exporter:
        for _ in range(3):
            metrics.requests.inc()
            await exporter.send_once()
    windows = [sent.metric.sum.data_points[0] for sent in collector.sent("HTTPRequests")]
    for before, after in pairwise(windows):
        assert before.time_unix_nano == after.start_time_unix_nano


def trouble() -> list[Answer]:
    return [refuse(503), refuse(429), refuse(502), refuse(504), reset]


@pytest.mark.parametrize("answer", trouble(), ids=["503", "429", "502", "504", "reset"])
async def test_what_is_not_taken_now_is_sent_again_as_it_was_and_the_next_covers_the_rest(
    collector: Sink, metrics: Metrics, answer: Answer
) -> None:
    collector.answers = answer
    async with exporting(metrics, collector.url) as exporter:
        metrics.requests.inc(3)
        for n in range(4):
            assert await exporter.send_once() <= 2.0**n  # a backoff, not the interval
            metrics.requests.inc()
        assert len(set(collector.bodies) - {b""}) <= 1
        collector.answers = take
        assert await exporter.send_once() == LONG
        await exporter.send_once()
    assert [sent.metric.sum.data_points[0].as_int for sent in collector.sent("HTTPRequests")] == [3, 4]
    assert dropped(metrics) == 0


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 302])
async def test_what_is_refused_is_dropped_and_counted_and_told_once(
    collector: Sink, metrics: Metrics, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    collector.answers = refuse(status, {"location": "http://127.0.0.1:1/"})
    async with exporting(metrics, collector.url) as exporter:
        for _ in range(3):
            metrics.requests.inc()
            metrics.latency_of("GET /x").observe(1)
            assert await exporter.send_once() == LONG
        # HTTPRequests and APILatency; from the second batch on there is TelemetryDropped itself.
        assert dropped(metrics) == 2 + 3 + 3
        collector.answers = take
        metrics.requests.inc(5)
        await exporter.send_once()
    assert collector.counter("HTTPRequests") == 5
    assert collector.counter("TelemetryDropped", signal="metrics") == 3
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [f"status {status}" in record.getMessage() for record in told] == [True]


async def test_points_that_a_collector_rejects_are_counted(collector: Sink, metrics: Metrics) -> None:
    collector.answers = take_but_reject(4, "too old")
    async with exporting(metrics, collector.url) as exporter:
        metrics.requests.inc()
        await exporter.send_once()
    assert dropped(metrics) == 4


@pytest.mark.parametrize(
    ("header", "expected"),
    [("7", 7.0), ("0", 0.0), ("100000", 300.0), ("soon", None), ("-5", None)],
)
async def test_the_collector_says_how_long_to_wait(
    collector: Sink, header: str, expected: float | None
) -> None:
    collector.answers = refuse(429, {"retry-after": header})
    sender = OtlpSender(collector.url, now)
    verdict = await sender.send(b"")
    await sender.close()
    assert verdict == Later("status 429", expected)


async def test_the_collector_may_name_the_time(collector: Sink, metrics: Metrics) -> None:
    then = now() + timedelta(seconds=30)
    collector.answers = refuse(503, {"retry-after": format_datetime(then, usegmt=True)})
    metrics.requests.inc()
    async with exporting(metrics, collector.url) as exporter:
        assert 25 < await exporter.send_once() <= 30


async def test_an_answer_that_never_ends_is_cut_off(collector: Sink) -> None:
    def say_much(handler: Handler) -> None:
        handler.send_response(400)
        handler.send_header("content-length", str(10**12))
        handler.end_headers()
        with suppress(OSError):
            while True:
                handler.wfile.write(b"x" * 10_000)

    collector.answers = say_much
    sender = OtlpSender(collector.url, now, send_seconds=5)
    assert await sender.send(b"") == Refused("status 400")
    await sender.close()


async def test_a_collector_that_is_absent_slow_or_resets_holds_nobody_up_and_costs_no_memory(
    metrics: Metrics,
) -> None:
    over = threading.Event()
    with sink(never_answer(over)) as slow, sink(reset) as resets:
        for url in (f"http://127.0.0.1:{free_port()}/v1/metrics", slow.url, resets.url):
            stopping = asyncio.Event()
            async with exporting(metrics, url, OFTEN) as exporter:
                task = asyncio.create_task(exporter.run(stopping))
                longest = await longest_wait_of_a_request(metrics, seconds=1.0)
                assert longest < 0.2, url
                assert exporter._batch is None or len(exporter._batch.body) < 10_000
                before, began = dropped(metrics), monotonic()
                stopping.set()
                await task
                assert monotonic() - began < FLUSH_SECONDS + 0.5
                assert dropped(metrics) > before
        over.set()


async def longest_wait_of_a_request(metrics: Metrics, seconds: float) -> float:
    """Count requests all the while, each of which gives way to others once."""
    longest, ends_at = 0.0, monotonic() + seconds
    latency = metrics.latency_of("GET /x")
    while (began := monotonic()) < ends_at:
        metrics.statuses[Status.HOLD].inc()
        latency.observe(1.0)
        await asyncio.sleep(0)
        longest = max(longest, monotonic() - began)
    return longest


async def test_a_collector_that_comes_back_gets_all_that_was_counted(
    collector: Sink, metrics: Metrics
) -> None:
    collector.answers = refuse(503)
    stopping = asyncio.Event()
    async with exporting(metrics, collector.url, OFTEN) as exporter:
        task = asyncio.create_task(exporter.run(stopping))
        for _ in range(100):
            metrics.requests.inc()
            await asyncio.sleep(0)
        await until(lambda: collector.requests > 0)
        collector.answers = take
        metrics.requests.inc(100)
        await until(lambda: collector.counter("HTTPRequests") == 200)
        stopping.set()
        await task
    assert dropped(metrics) == 0


async def test_what_is_counted_at_the_very_end_arrives(collector: Sink, metrics: Metrics) -> None:
    stopping = asyncio.Event()
    async with exporting(metrics, collector.url) as exporter:
        task = asyncio.create_task(exporter.run(stopping))
        await asyncio.sleep(0)
        metrics.requests.inc(7)
        stopping.set()
        await task
    assert collector.counter("HTTPRequests") == 7
