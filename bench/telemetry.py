"""What counting, logging and tracing cost a request: `python -m bench.telemetry`.

Twice: each piece by itself, and whole requests through an Api in this process, with instruments and a log,
and with instruments that do nothing and none, in pairs of rounds that take turns, so that whatever else the
machine does falls on both. CPU time, that of the thread which writes the log included. The aim is 15 us for a
request of which no trace is kept.
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from statistics import median, quantiles
from types import SimpleNamespace
from typing import cast

from bench.cpu import choose_pins, pinned_to
from reservation_api.application.health import Health
from reservation_api.application.use_cases import UseCases
from reservation_api.bootstrap.counting import counting_moves
from reservation_api.bootstrap.tracing import Spans
from reservation_api.config.tree import RateLimitConfig
from reservation_api.domain.errors import NotFoundError
from reservation_api.domain.values import OutboxId, UserId
from reservation_api.entrypoints.http.app import Api
from reservation_api.entrypoints.http.request import MAX_BODY_BYTES, Request, Response
from reservation_api.entrypoints.overload.guards import open_guards
from reservation_api.ports.identity import Caller
from reservation_api.ports.outbox import OutboxEntry, OutboxType
from reservation_api.telemetry.instruments import Counter, Histogram
from reservation_api.telemetry.line_sink import LineSink
from reservation_api.telemetry.logs import configure_logs, flush_logs, log_struct
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.names import Metric
from reservation_api.telemetry.request_line import REQUEST, RequestLine
from reservation_api.telemetry.spans import SpanKind, Tracer

AIM_MICROSECONDS = 15.0
TOLD, UNTOLD = "INFO", "CRITICAL"
LOG = logging.getLogger("reservation_api.http")
PAIRS = 60
CALLS = 2_000
CALLS_A_TURN = 50
"""More that come in one turn of the event loop are an overload, and most of them would be refused."""
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class NoCounter(Counter):
    """Counts nothing."""

    def inc(self, amount: float = 1.0) -> None:
        """Do nothing."""


class NoHistogram(Histogram):
    """Takes no values."""

    def observe(self, milliseconds: float) -> None:
        """Do nothing."""


class NoMetrics(Metrics):
    """Metrics whose instruments do nothing: what is left is the price of calling them."""

    def counter(self, metric: Metric, *labels: str) -> Counter:
        """Return one that counts nothing."""
        del metric, labels
        return NoCounter()

    def histogram(self, metric: Metric, *labels: str) -> Histogram:
        """Return one that takes no values."""
        del metric, labels
        return NoHistogram()


class Fixed:
    """Clock, headers, body and verifier of a request that is always the same."""

    def now(self) -> datetime:
        """Return the instant."""
        return NOW

    def get(self, key: str, /) -> str | None:
        """Return a header."""
        return "Bearer token" if key == "authorization" else None

    def get_all(self, key: str, /) -> list[str]:
        """Return no header."""
        return [key][MAX_BODY_BYTES:]

    async def read(self) -> bytes:
        """Return no body."""
        return b""

    async def verify(self, token: str) -> Caller:
        """Know everybody."""
        return Caller(UserId(token), frozenset())


def tracer_of(ratio: float) -> Tracer:
    """Return a tracer that keeps spans and tells nobody."""
    return Tracer(ratio, Fixed().now, Counter())


def api_of(metrics: Metrics, tracer: Tracer | None = None) -> Callable[[], Awaitable[object]]:
    """Return a request of an order that is not there, by one call of a store: the shortest way of all."""
    spans = None if tracer is None else Spans(tracer, SpanKind.CLIENT)

    async def ask() -> None:
        raise NotFoundError("no such order")

    async def no_order(*_: object) -> None:
        await (ask() if spans is None else spans.around(ask(), "store.get_order", dict))

    use_cases = SimpleNamespace(
        **dict.fromkeys(("hold", "confirm", "cancel", "extend"), no_order),
        queries=SimpleNamespace(
            order=no_order, orders=no_order, reservation=no_order, inventory_status=no_order
        ),
    )
    fixed = Fixed()
    api = Api(cast("UseCases", use_cases), fixed, Health({}), fixed, metrics)
    api.guards = open_guards(rates=RateLimitConfig(requests_per_second=0))  # one asks for all
    api.trace_by(tracer)
    request = Request("GET", "/v1/orders/ord_1", "", fixed, fixed)

    async def answered() -> object:
        answer = api(request)
        return answer if isinstance(answer, Response) else await answer

    return answered


def rows() -> dict[str, list[OutboxEntry]]:
    """Return what a hold and an expiry leave behind."""
    payload = {
        "id": "rsv_1.2",
        "status": "EXPIRED",
        "seat_ids": [f"A-{n}" for n in range(4)],
        "user_id": "alice",
        "event_id": "evt_1",
        "version": 2,
        "hold_expires_at": "2026-11-23T11:59:59.000Z",
        "created_at": "2026-11-23T11:58:59.000Z",
        "occurred_at": "2026-11-23T12:00:00.000Z",
        "trace_id": "0" * 32,
    }
    kinds = {"hold": OutboxType.RESERVATION_CREATED, "expiry": OutboxType.RESERVATION_STATUS_CHANGED}
    return {
        name: [OutboxEntry(OutboxId("rsv_1.2"), kind, "rsv_1", json.dumps(payload), "t", NOW, NOW, NOW)]
        for name, kind in kinds.items()
    }


def microseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of one call, of CALLS."""
    began = time.thread_time_ns()
    for _ in range(CALLS):
        work()
    return (time.thread_time_ns() - began) / CALLS / 1000


async def microseconds_async(work: Callable[[], Awaitable[object]], level: str) -> float:
    """Return the CPU time of one awaited call, of CALLS, with what is logged at this level."""
    logging.getLogger().setLevel(level)
    began = time.process_time_ns()
    for n in range(CALLS):
        await work()
        if n % CALLS_A_TURN == 0:
            await asyncio.sleep(0)
    flush_logs()
    return (time.process_time_ns() - began) / CALLS / 1000


def show(name: str, samples: list[float]) -> None:
    """Print median and quartiles."""
    low, _, high = quantiles(samples, n=4)
    print(f"{name:<44} {median(samples):6.2f} us   quartiles {low:6.2f} to {high:6.2f}")


def measure_pieces(metrics: Metrics) -> None:
    """Measure what a request does once or several times."""
    line = RequestLine("0" * 32, "GET /v1/orders/{order_id}", "alice", None, 200, 1.234)
    latency, moves = metrics.latency_of("GET /x"), counting_moves(lambda _: None, metrics, Fixed())
    pieces: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "a counter": metrics.requests.inc,
        "a histogram, fixed and exponential buckets": lambda: latency.observe(3.7),
        "a request's line": lambda: log_struct(LOG, logging.INFO, REQUEST, line, is_quoting=False),
        **{f"a move: {name}": lambda entries=entries: moves(entries) for name, entries in rows().items()},  # type: ignore[misc]
    }
    for name, work in pieces.items():
        show(name, [microseconds(work) for _ in range(PAIRS)])


async def measure_requests() -> float:
    """Return how much more a request costs with telemetry: the median over pairs."""
    counted, uncounted = api_of(Metrics(), tracer_of(0.0)), api_of(NoMetrics())
    await microseconds_async(counted, TOLD)
    await microseconds_async(uncounted, UNTOLD)
    withs: list[float] = []
    withouts: list[float] = []
    for pair in range(PAIRS):
        order = ((counted, TOLD, withs), (uncounted, UNTOLD, withouts))
        for request, level, samples in order if pair % 2 else reversed(order):
            samples.append(await microseconds_async(request, level))
    show("a request that counts, has a line, is not recorded", withs)
    show("a request that does nothing of it", withouts)
    more = [a - b for a, b in zip(withs, withouts, strict=True)]
    show("the difference, pair by pair", more)
    return median(more)


def main() -> int:
    """Measure and print; 1 if the aim is missed."""
    sink = LineSink(os.open(os.devnull, os.O_WRONLY))
    configure_logs(TOLD, {"process": "serve", "pid": os.getpid()}, sink)
    with pinned_to(choose_pins().generator):
        measure_pieces(Metrics())
        more = asyncio.run(measure_requests())
    print(f"log lines dropped: {sink.dropped}")
    print(f"aim: {AIM_MICROSECONDS:g} us a request")
    return more > AIM_MICROSECONDS


if __name__ == "__main__":
    sys.exit(main())
