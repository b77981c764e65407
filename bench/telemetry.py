"""What counting, logging and tracing cost a request: `python -m bench.telemetry`.

Twice: each piece by itself, and whole requests through an Api in this process, told of and untold of, in
pairs of rounds that take turns, so that whatever else the machine does falls on both. Untold of: instruments
that do nothing, no log, no tracer, nothing around the calls of store and inventory. CPU time of all threads,
the one that writes the log among them. The aim is 15 us for a request of which no trace is kept: a look
at an order, and a hold, which has a second line, of its move, and a second call.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from types import SimpleNamespace
from typing import Any, Final, cast

from google.protobuf.message import Message

from bench.cpu import choose_pins, pinned_to
from reservation_api.adapters.aws_wire.errors import AwsCaller
from reservation_api.application.command import Answer
from reservation_api.application.health import Health
from reservation_api.application.outbox_entries import Offer, event_entry
from reservation_api.application.use_cases import UseCases
from reservation_api.bootstrap.aws_calls import MeasuredDynamoDb
from reservation_api.bootstrap.counting import counting_moves
from reservation_api.bootstrap.grpc_calls import MeasuredPeer, Peer, Reply
from reservation_api.config.tree import RateLimitConfig
from reservation_api.domain.errors import NotFoundError
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import EventId, Money, RecordKey, ReservationId, Seat, SeatId, UserId
from reservation_api.entrypoints.http.app import Api
from reservation_api.entrypoints.http.request import Request, Response
from reservation_api.entrypoints.overload.guards import open_guards
from reservation_api.ports.identity import Caller
from reservation_api.ports.outbox import OutboxEntry
from reservation_api.telemetry.instruments import Counter, Histogram
from reservation_api.telemetry.line_sink import LineSink
from reservation_api.telemetry.logs import StructLog, configure_logs, flush_logs
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.names import Metric
from reservation_api.telemetry.request_line import REQUEST, RequestLine
from reservation_api.telemetry.spans import Tracer
from reservation_proto.reservation.v1.inventory_pb2 import ReserveSeatRequest, ReserveSeatResponse

AIM_MICROSECONDS = 15.0
LINES = StructLog("reservation_api.http", logging.INFO, REQUEST)
PAIRS = 60
CALLS = 500
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TRACE_ID = "0" * 31 + "1"
RESERVE = "/reservation.v1.InventoryService/ReserveSeat"
ITEM = {"TableName": "prod-reservation-orders"}
ITEMS = {"TransactItems": [{"Put": {"TableName": "prod-reservation-reservations"}}] * 3}
PRICE = Money(9_900, "KRW")
RESERVATION = Reservation(
    reservation_id=ReservationId("rsv_" + "a1" * 16),
    event_id=EventId("evt_1"),
    user_id=UserId("alice"),
    status=Status.HOLD,
    seats=tuple(Seat(SeatId(f"A-{n}"), "A", "1", str(n), PRICE) for n in range(4)),
    total_amount=Money(4 * 9_900, "KRW"),
    hold_expires_at=NOW + timedelta(seconds=60),
    record_key=RecordKey("k"),
    created_at=NOW,
    updated_at=NOW,
    version=1,
)


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

    headers: Final = {
        "authorization": "Bearer token",
        "content-type": "application/json",
        "idempotency-key": "k",
    }

    def now(self) -> datetime:
        """Return the instant."""
        return NOW

    def get(self, key: str, /) -> str | None:
        """Return a header."""
        return self.headers.get(key)

    def get_all(self, key: str, /) -> list[str]:
        """Return a header as the one of its name."""
        return [self.headers[key]]

    async def read(self) -> bytes:
        """Return the body."""
        return b'{"event_id":"evt_1","qty":4}'

    async def verify(self, token: str) -> Caller:
        """Know everybody."""
        return Caller(UserId(token), frozenset())


class AtOnce:
    """DynamoDB that has answered before it is asked."""

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        """Return nothing at all."""
        return operation, request, repeatable


class PeerAtOnce:
    """An inventory that does so."""

    async def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Reply:
        """Return an empty reply."""
        del path, request, repeatable
        return reply_type()

    async def close(self) -> None:
        """Have nothing to close."""


@dataclass(frozen=True, slots=True)
class Told:
    """What telemetry there is for a request."""

    metrics: Metrics
    tracer: Tracer | None
    level: str

    def dynamodb(self) -> AwsCaller:
        """Return a store's caller, with all that an AWS process puts around it."""
        at_once = AtOnce()
        return at_once if self.tracer is None else MeasuredDynamoDb(at_once, self.metrics, self.tracer)

    def inventory(self) -> Peer:
        """Return an inventory's peer, likewise."""
        at_once = PeerAtOnce()
        return at_once if self.tracer is None else MeasuredPeer(at_once, self.metrics, self.tracer)

    def offer(self) -> Offer:
        """Return what takes the rows of a hold."""
        return (
            offer_to_nobody if self.tracer is None else counting_moves(offer_to_nobody, self.metrics, Fixed())
        )


def offer_to_nobody(_: Sequence[OutboxEntry]) -> None:
    """Take rows, and publish nothing."""


def told_of() -> Told:
    """Return the telemetry of a process that records none of these requests, as 99 of 100 are not."""
    return Told(Metrics(), Tracer(0.0, Fixed().now, Counter()), "INFO")


def untold_of() -> Told:
    """Return none."""
    return Told(NoMetrics(), None, "CRITICAL")


def requests_of(told: Told) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return a look at an order that is not there, and a hold: all of them but the work itself."""
    dynamodb, inventory, offer = told.dynamodb(), told.inventory(), told.offer()
    answer, entries = Answer(NOW, RESERVATION), rows()["hold"]

    async def no_order(*_: object) -> None:
        await dynamodb.call("GetItem", ITEM, repeatable=True)
        raise NotFoundError("no such order")

    async def hold(*_: object) -> Answer:
        await inventory.call(RESERVE, ReserveSeatRequest(), ReserveSeatResponse, repeatable=True)
        await dynamodb.call("TransactWriteItems", ITEMS, repeatable=True)
        offer(entries)
        return answer

    queries = dict.fromkeys(("order", "orders", "reservation", "inventory_status"), no_order)
    commands = dict.fromkeys(("hold", "confirm", "cancel", "extend"), hold)
    use_cases = SimpleNamespace(**commands, queries=SimpleNamespace(**queries))
    fixed = Fixed()
    api = Api(cast("UseCases", use_cases), fixed, Health({}), fixed, told.metrics)
    api.guards = open_guards(rates=RateLimitConfig(requests_per_second=0))  # one asks for all
    api.trace_by(told.tracer)
    look = Request("GET", "/v1/orders/ord_1", "", fixed, fixed)
    post = Request("POST", "/v1/reservations", "", fixed, fixed)

    async def answered(request: Request) -> object:
        answer = api(request)
        return answer if isinstance(answer, Response) else await answer

    return {"a look": lambda: answered(look), "a hold": lambda: answered(post)}


def rows() -> dict[str, list[OutboxEntry]]:
    """Return what a hold and an expiry leave behind."""
    late = NOW + timedelta(seconds=61)
    expired = replace(RESERVATION, status=Status.EXPIRED, version=2, updated_at=late)
    moved = {"hold": RESERVATION, "expiry": expired}
    return {name: [event_entry(reservation, TRACE_ID)] for name, reservation in moved.items()}


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
    for _ in range(CALLS):
        await work()
        await asyncio.sleep(0)  # more in one turn of the event loop would be an overload, and refused
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
        "a request's line": lambda: LINES.write(line, is_quoting=False),
        **{f"a move: {name}": lambda entries=entries: moves(entries) for name, entries in rows().items()},  # type: ignore[misc]
    }
    for name, work in pieces.items():
        show(name, [microseconds(work) for _ in range(PAIRS)])


async def measure_requests(pairs: int = PAIRS) -> dict[str, tuple[list[float], list[float]]]:
    """Return CPU us of each kind of request: told of, and untold of in the round beside it."""
    told, untold = told_of(), untold_of()
    found = {}
    for name, request in requests_of(told).items():
        works = ((request, told.level), (requests_of(untold)[name], untold.level))
        samples: tuple[list[float], list[float]] = ([], [])
        for pair in range(-1, pairs):
            turns = list(zip(works, samples, strict=True))
            for work, into in turns if pair % 2 else reversed(turns):
                into.append(await microseconds_async(*work))
        found[name] = (samples[0][1:], samples[1][1:])  # the first pair warms up
    return found


def differences(withs: Sequence[float], withouts: Sequence[float]) -> list[float]:
    """Return how much more it is with telemetry, pair by pair."""
    return [a - b for a, b in zip(withs, withouts, strict=True)]


@contextmanager
def logging_to_nowhere() -> Iterator[LineSink]:
    """Let this process log as a server does, to where nobody reads, and be on the generator's core."""
    sink = LineSink(os.open(os.devnull, os.O_WRONLY))
    configure_logs("INFO", {"process": "serve", "pid": os.getpid()}, sink)
    with pinned_to(choose_pins().generator):
        yield sink


def main() -> int:
    """Measure and print; 1 if the aim is missed."""
    with logging_to_nowhere() as sink:
        measure_pieces(Metrics())
        found = asyncio.run(measure_requests())
    for name, (withs, withouts) in found.items():
        show(f"{name}, told of, not recorded", withs)
        show(f"{name}, untold of", withouts)
        show(f"{name}: the difference, pair by pair", differences(withs, withouts))
    print(f"log lines dropped: {sink.dropped}")
    print(f"aim: {AIM_MICROSECONDS:g} us a request")
    return max(median(differences(*samples)) for samples in found.values()) > AIM_MICROSECONDS


if __name__ == "__main__":
    sys.exit(main())
