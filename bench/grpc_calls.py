"""What an inventory in another process costs, in CPU: `python -m bench.grpc_calls`.

A call        ReserveSeat, of the process that asks: gRPC's own stub, our client, and our client behind the
              guard as the service is wired. A canned server answers at once; the real one looks for seats.
A whole hold  over HTTP, of the process that serves it: with the built-in inventory, and with the real one
              over gRPC, whose own CPU is a column of its own.

Rounds of all of them alternate, so that whoever else uses the machine disturbs them alike. The process that
is measured has the first core; whoever answers or asks it shares the second.
"""

import asyncio
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import grpc
import grpc.aio
import uvloop

from bench import machine
from bench.cpu import Pins, choose_pins, core_time, pinned_to, tree_cpu
from bench.identity import make_identity
from bench.markdown import table
from bench.measure import MICROSECONDS, RESULTS, SETTLE_SECONDS, Reading
from bench.measure import measure as measure_once
from bench.quota import Place
from bench.server import (
    EVENT_ID,
    HOST,
    PROGRAM,
    QTY,
    SEATS,
    Inventory,
    ServerFailedError,
    embedded,
    running,
    running_inventory,
)
from bench.workloads import Pace, Session
from reservation_api.bootstrap import build
from reservation_api.bootstrap.grpc_peers import connect_inventory
from reservation_api.config import load
from reservation_api.domain.errors import InventoryUnavailableError
from reservation_api.domain.values import EventId, ReservationId, UserId
from reservation_api.ports.inventory import ReserveSeats
from reservation_proto.common.v1 import types_pb2 as types
from reservation_proto.reservation.v1 import inventory_pb2 as wire

PATH = "/reservation.v1.InventoryService/ReserveSeat"
CANNED = "a canned server"
CALLERS = 64
DEADLINE_SECONDS = 5.0
"""No call of a measurement should end by it; those of the service itself keep their 250 ms."""
HOLD = timedelta(seconds=120)
WARM_UP_SECONDS = 2.0
DESIGN = (
    ("grpc.aio, a call, answered by nginx (64 at once, 3.13)", "51"),
    ("the same on 3.11", "53"),
    ("grpc.aio, a call, answered by a grpc.aio server", "140"),
    ("that server, a call", "181 to 210"),
    ("a whole hold: granian, gRPC, DynamoDB's slim client, TLS; both canned", "135 to 137"),
)
"""CPU us; measured for the design, in another state of the machine."""

Call = Callable[[ReserveSeats], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Settings:
    """How much to measure."""

    calls: int
    rate_per_second: float
    seconds: float
    repeats: int

    @property
    def pace(self) -> Pace:
        """Return the load over HTTP."""
        return Pace(self.rate_per_second, self.seconds)

    @property
    def faults(self) -> list[str]:
        """Say why this can not be measured."""
        over_http = QTY * self.rate_per_second * (WARM_UP_SECONDS + self.repeats * self.seconds)
        needed = max(over_http, QTY * self.calls * (self.repeats + 1))
        return [f"{needed:,.0f} seats would be held, and there are {SEATS:,}"] if needed > SEATS else []


# The canned server


def _answer_alike(told: Connection) -> None:
    """Be the canned server's process."""
    seats = [types.Seat(id=f"A-1-{n}", section="A", row="1", number=str(n)) for n in range(1, QTY + 1)]
    for seat in seats:
        seat.price.CopyFrom(types.Money(amount=50_000, currency="KRW"))
    reply = wire.ReserveSeatResponse(
        reserved_seats=seats, hold_expires_at=datetime.now(UTC) + HOLD, status=wire.HOLD_STATUS_ACTIVE
    ).SerializeToString()

    async def answer(_: bytes, __: Any) -> bytes:
        return reply

    class Handler(grpc.GenericRpcHandler):
        def service(self, _: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
            return grpc.unary_unary_rpc_method_handler(answer)

    async def serve() -> None:
        server = grpc.aio.server(handlers=[Handler()])
        told.send(server.add_insecure_port(f"{HOST}:0"))
        await server.start()
        await server.wait_for_termination()

    uvloop.run(serve())


@contextmanager
def canned_inventory(core: int | None) -> Iterator[Inventory]:
    """Start a server that answers every ReserveSeat with the same seats, and end it."""
    spawning = get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_answer_alike, args=(theirs,), daemon=True)
    with pinned_to(core):
        process.start()
    try:
        yield Inventory(process.pid or 0, f"{HOST}:{ours.recv()}")
    finally:
        process.terminate()
        process.join()


# A call


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to, in CPU us a call."""

    asking: float
    answering: float
    others_share: float
    """Of the time of the asking core: used by other processes."""


@dataclass(slots=True)
class Subject:
    """A way to ask an inventory, and what each round came to."""

    name: str
    answered_by: str
    inventory: Inventory
    call: Call
    rounds: list[Round] = field(default_factory=list)

    async def run_round(self, requests: Iterator[ReserveSeats], core: int | None) -> None:
        """Make the calls, so many at once; other tasks of this process would be counted, too."""
        total = 0

        async def ask() -> None:
            nonlocal total
            for request in requests:
                await self.call(request)
                total += 1

        began, core_before, answering = time.monotonic(), core_time(core), tree_cpu(self.inventory.pid)
        asking = time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(ask())
        used = time.process_time() - asking
        others = core_time(core).busy - core_before.busy - used
        each = MICROSECONDS / total
        answered = (tree_cpu(self.inventory.pid) - answering).total
        share = max(0.0, others) / (time.monotonic() - began)
        self.rounds.append(Round(used * each, answered * each, share))


async def measure_calls(canned: Inventory, real: Inventory, settings: Settings, pins: Pins) -> list[Subject]:
    """Measure every way to ask, in turns; raises InventoryUnavailableError if one is not answered."""
    word, numbers = secrets.token_hex(4), count(1)

    def request() -> ReserveSeats:
        reservation_id = ReservationId(f"rsv_{word}_{next(numbers)}")
        expires_at = datetime.now(UTC) + HOLD
        key = f"{reservation_id}:hold:0"
        return ReserveSeats(reservation_id, EventId(EVENT_ID), UserId("bench"), (), QTY, expires_at, key)

    async with AsyncExitStack() as stack:
        subjects = [
            Subject("gRPC's own stub, one channel", CANNED, canned, await _stub(stack, canned)),
            Subject("our client, two channels", CANNED, canned, _client(stack, canned)),
            Subject("our client, guarded", CANNED, canned, _guarded(stack, canned)),
            Subject("our client, guarded", "inventory serve", real, _guarded(stack, real)),
        ]
        for number in range(settings.repeats + 1):
            for subject in subjects if number % 2 else reversed(subjects):
                await subject.run_round((request() for _ in range(settings.calls)), pins.server)
        for subject in subjects:
            del subject.rounds[0]  # it connects
        return subjects


async def _stub(stack: AsyncExitStack, inventory: Inventory) -> Call:
    """Ask as any program would: one channel, messages made and read, nothing checked."""
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(inventory.address))
    stub: Any = channel.unary_unary(
        PATH, wire.ReserveSeatRequest.SerializeToString, wire.ReserveSeatResponse.FromString
    )

    async def call(request: ReserveSeats) -> object:
        message = wire.ReserveSeatRequest(
            reservation_id=request.reservation_id, event_id=request.event_id, quantity=request.qty
        )
        return await stub(message, timeout=DEADLINE_SECONDS)

    return call


def _client(stack: AsyncExitStack, inventory: Inventory) -> Call:
    client, _ = connect_inventory(inventory.address, DEADLINE_SECONDS)
    stack.push_async_callback(client.close)
    return client.reserve


def _guarded(stack: AsyncExitStack, inventory: Inventory) -> Call:
    """Wire it as the service does, with every default but the time limit."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="reservation-bench-"))
    milliseconds = str(round(DEADLINE_SECONDS * 1000))
    settings = {
        "APP_DATA_DIR": folder,
        "INVENTORY_GRPC_ADDRESS": inventory.address,
        "APP_INVENTORY_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": milliseconds,
    }
    service = build(load(settings))
    stack.push_async_callback(service.close)
    return service.inventory.reserve


# A whole hold


@dataclass(slots=True)
class Way:
    """A server, the inventory that it asks if that is another process, and what each round came to."""

    name: str
    session: Session
    inventory: Inventory | None
    rounds: list[Reading] = field(default_factory=list)
    answering: list[float] = field(default_factory=list)
    """CPU us a hold of the other process."""

    async def run_round(self, pace: Pace, pins: Pins) -> None:
        """Hold at this pace."""
        before = self._cpu_seconds()
        taken = await measure_once(self.session, "hold", pace, pins)
        used = self._cpu_seconds() - before
        self.rounds.append(taken)
        self.answering.append(used * MICROSECONDS / max(1, taken.expected))

    @property
    def bad(self) -> list[Reading]:
        """Return the rounds whose answers were not holds."""
        return [one for one in self.rounds if not one.is_valid]

    def _cpu_seconds(self) -> float:
        return 0.0 if self.inventory is None else tree_cpu(self.inventory.pid).total


async def measure_holds(ways: Sequence[Way], settings: Settings, pins: Pins) -> None:
    """Measure every way, in turns."""
    for way in ways:
        await way.session.run("hold", Pace(settings.rate_per_second, WARM_UP_SECONDS))
    await asyncio.sleep(SETTLE_SECONDS)
    for _ in range(settings.repeats):
        for way in ways:
            await way.run_round(settings.pace, pins)
            click.echo(f"{way.name}: {way.rounds[-1].microseconds:.0f} us", err=True)


def measure(settings: Settings, program: Path) -> tuple[list[Subject], list[Way]]:
    """Start what is needed and measure; raises ServerFailedError, InventoryUnavailableError."""
    pins = choose_pins()
    with (
        canned_inventory(pins.generator) as canned,
        running_inventory(Place(pins.generator), program) as real,
        pinned_to(pins.server),
    ):
        subjects = uvloop.run(measure_calls(canned, real, settings, pins))
    with ExitStack() as stack:
        place, identity = Place(pins.server), make_identity()
        inventory = stack.enter_context(running_inventory(Place(pins.generator), program))
        there = {"INVENTORY_GRPC_ADDRESS": inventory.address}
        built_in = stack.enter_context(running(place, embedded(identity, program)))
        asking = stack.enter_context(running(place, replace(embedded(identity, program, **there), events={})))
        stack.enter_context(pinned_to(pins.generator))
        ways = [
            Way("the built-in inventory", Session(built_in), None),
            Way("an inventory over gRPC", Session(asking), inventory),
        ]
        uvloop.run(measure_holds(ways, settings, pins))
    return subjects, ways


# Rendering


def render(settings: Settings, subjects: Sequence[Subject], ways: Sequence[Way]) -> str:
    """Write the report as Markdown."""
    parts = [
        f"# What an inventory over gRPC costs, {datetime.now(UTC):%Y-%m-%d %H:%M UTC}",
        *(f"**Not valid: {way.name}: {one.statuses}.**" for way in ways for one in way.bad),
        f"## A ReserveSeat of {QTY} seats, {CALLERS} at once: CPU us a call",
        _calls(subjects),
        f"## A hold of {QTY} seats over HTTP, {settings.rate_per_second:g} a second: CPU us a request",
        _holds(ways),
        "## Measured for the design, in another state of the machine",
        table(("what", "CPU us"), DESIGN),
        "## Where and how",
        table(("what", "value"), [*machine.facts(), *_conditions(settings)]),
    ]
    return "\n\n".join(parts) + "\n"


def _calls(subjects: Sequence[Subject]) -> str:
    head = ("asked by", "answered by", "who asks", "lowest to highest", "who answers", "others")
    rows = []
    for subject in subjects:
        asking, answering, others = zip(*map(astuple, subject.rounds), strict=True)
        figures = (_figure(asking), _spread(asking), f"{statistics.median(answering):.0f}")
        rows.append((subject.name, subject.answered_by, *figures, f"{statistics.median(others):.0%}"))
    return table(head, rows)


def _holds(ways: Sequence[Way]) -> str:
    head = ("with", "service", "lowest to highest", "inventory's process", "p95 ms", "others")
    rows = []
    for way in ways:
        figures = [one.microseconds for one in way.rounds]
        answering = "none" if way.inventory is None else f"{statistics.median(way.answering):.0f}"
        p95 = statistics.median(one.latency.p95 for one in way.rounds)
        others = statistics.median(one.others for one in way.rounds)
        rows.append((way.name, _figure(figures), _spread(figures), answering, f"{p95:.1f}", f"{others:.0%}"))
    return table(head, rows)


def _conditions(settings: Settings) -> Iterator[tuple[str, str]]:
    yield "Repeats", f"{settings.repeats}, all in turns; the median counts"
    yield "A round", f"{settings.calls:,} calls; {settings.seconds:g} s of holds"
    yield "Others", "what other processes used of the first core"


def _figure(values: Sequence[float]) -> str:
    return f"**{statistics.median(values):.0f}**"


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):.0f} to {max(values):.0f}"


@click.command()
@click.option("--calls", default=5000, show_default=True, help="Of each way to ask in each repeat.")
@click.option("--rate", default=500.0, show_default=True, help="Holds a second over HTTP.")
@click.option("--seconds", default=5.0, show_default=True, help="Of holds in each repeat.")
@click.option("--repeats", default=5, show_default=True)
@click.option("--program", type=click.Path(path_type=Path), default=PROGRAM, help="Another build to measure.")
def main(calls: int, rate: float, seconds: float, repeats: int, program: Path) -> None:
    """Measure calls and holds; print the report and write bench/results/grpc_calls.md."""
    settings = Settings(calls, rate, seconds, repeats)
    if settings.faults:
        raise click.UsageError("; ".join(settings.faults))
    try:
        subjects, ways = measure(settings, program)
    except* (ServerFailedError, InventoryUnavailableError, OSError) as errors:
        raise click.ClickException("; ".join(map(str, errors.exceptions))) from errors
    text = render(settings, subjects, ways)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "grpc_calls.md").write_text(text)
    click.echo(text)
    if any(way.bad for way in ways):
        raise click.ClickException("the service did not do what was measured")


if __name__ == "__main__":
    main()
