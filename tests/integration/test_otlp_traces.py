"""Spans sent to a collector over real sockets: what arrives, and what a collector in trouble costs us."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic, perf_counter

import pytest
from tests.support.otlp_sink import never_answer, refuse, reset, sink, take
from tests.support.ports import free_port

from reservation_api.adapters.system_clock import SystemClock
from reservation_api.telemetry import names
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.otlp_export import FLUSH_SECONDS, Exporter
from reservation_api.telemetry.otlp_http import OtlpSender
from reservation_api.telemetry.otlp_traces import BATCH_SPANS, TracesSignal
from reservation_api.telemetry.resource import resource_of_process
from reservation_api.telemetry.spans import MAX_WAITING_SPANS, Link, Span, SpanKind, Tracer

TRACE, SPAN, PARENT, MAKER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "b7" * 8, "a1" * 8


class Recording:
    """A tracer and what sends its spans."""

    def __init__(self, url: str) -> None:
        self.metrics = Metrics()
        self.counter = self.metrics.counter(names.TELEMETRY_DROPPED, "traces")
        self.tracer = Tracer(1.0, SystemClock().now, self.counter)
        self.sender = OtlpSender(url, SystemClock().now, send_seconds=1.0)
        self.exporter = Exporter(TracesSignal(self.tracer), self.sender, self.counter)

    @property
    def dropped(self) -> float:
        return self.counter.value

    def keep(self, count: int = 1) -> None:
        for _ in range(count):
            self.tracer.keep(
                Span(
                    trace_id=TRACE,
                    span_id=SPAN,
                    parent_id=PARENT,
                    state="vendor=1",
                    name="GET /x",
                    kind=SpanKind.SERVER,
                    began=perf_counter() - 0.25,
                    attributes={"http.route": "/x", "http.response.status_code": 503, "of": ["a", "b"]},
                    links=[Link(TRACE, MAKER)],
                    error="store_unavailable",
                )
            )


@asynccontextmanager
async def recording(url: str) -> AsyncIterator[Recording]:
    opened = Recording(url)
    try:
        yield opened
    finally:
        await opened.sender.close()


@asynccontextmanager
async def running(opened: Recording) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(opened.exporter.run(stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


async def test_a_span_arrives_as_it_was() -> None:
    with sink() as collector:
        async with recording(collector.traces_url) as opened:
            opened.keep()
            await opened.exporter.send_once()
        [sent] = collector.spans(TRACE)
        assert collector.traces[0].resource_spans[0].resource.attributes[0].key in resource_of_process()
        assert sent.instance == resource_of_process()["service.instance.id"]
        assert (sent.name, sent.kind, sent.span_id, sent.parent_id) == ("GET /x", "SERVER", SPAN, PARENT)
        assert sent.links == [(TRACE, MAKER)]
        assert (sent.span.trace_state, sent.span.flags) == ("vendor=1", 1)
        assert sent.attributes == {
            "http.route": "/x",
            "http.response.status_code": 503,
            "of": ["a", "b"],
            "error.type": "store_unavailable",
        }
        assert sent.has_failed
        began, ended = sent.window
        assert 0.25e9 <= ended - began < 0.25e9 + 5e9
        assert abs(ended - SystemClock().now().timestamp() * 1e9) < 60e9


async def test_batches_follow_each_other_until_nothing_waits() -> None:
    with sink() as collector:
        async with recording(collector.traces_url) as opened:
            opened.keep(BATCH_SPANS * 3 + 1)
            waits = [await opened.exporter.send_once() for _ in range(4)]
        assert len(collector.spans()) == BATCH_SPANS * 3 + 1
        assert len(collector.traces) == 4
        assert waits[:2] == [0.0, 0.0]
        assert waits[3] > 0.0


async def test_what_is_kept_at_the_very_end_arrives_all_of_it() -> None:
    with sink() as collector:
        async with recording(collector.traces_url) as opened:
            async with running(opened):
                await asyncio.sleep(0)
                opened.keep(BATCH_SPANS + 3)
            assert opened.dropped == 0
        assert len(collector.spans()) == BATCH_SPANS + 3


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_what_a_collector_refuses_is_counted(status: int) -> None:
    with sink(refuse(status)) as collector:
        async with recording(collector.traces_url) as opened:
            opened.keep(5)
            await opened.exporter.send_once()
            assert (opened.dropped, opened.tracer.waiting()) == (5, 0)


async def test_a_collector_that_comes_back_gets_what_waited() -> None:
    with sink(refuse(503)) as collector:
        async with recording(collector.traces_url) as opened:
            opened.keep(5)
            waits = [await opened.exporter.send_once() for _ in range(4)]
            assert all(0 < wait <= 8 for wait in waits)
            assert waits[3] > waits[0]
            opened.keep(3)
            collector.answers = take
            await opened.exporter.send_once()
            await opened.exporter.send_once()
            assert (len(collector.spans()), opened.dropped) == (8, 0)


async def test_a_collector_in_trouble_takes_a_bounded_memory_and_the_rest_is_counted() -> None:
    over = threading.Event()
    with sink(never_answer(over)) as slow, sink(reset) as resets, sink(refuse(503)) as busy:
        away = f"http://127.0.0.1:{free_port()}/v1/traces"
        for url in (away, slow.traces_url, resets.traces_url, busy.traces_url):
            async with recording(url) as opened:
                async with running(opened):
                    for _ in range(MAX_WAITING_SPANS // 8 * 2):
                        opened.keep(8)  # as requests do: it waits for nobody, and then others run
                        await asyncio.sleep(0)
                    waiting = opened.tracer.waiting()
                    assert MAX_WAITING_SPANS - BATCH_SPANS <= waiting <= MAX_WAITING_SPANS
                    on_its_way = MAX_WAITING_SPANS * 2 - waiting - opened.dropped
                    assert 0 <= on_its_way <= BATCH_SPANS
                    ended_at = monotonic() + FLUSH_SECONDS
                assert monotonic() - ended_at < 5.0  # a busy machine's; it is given up, not waited for
                assert opened.dropped == MAX_WAITING_SPANS * 2, url
        over.set()
