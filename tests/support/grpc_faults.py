"""One process of the service whose inventory is behind the wire, and everything that goes wrong there.

Process ── guard ── client ── FaultProxy ── relay ── server ── the inventory's own database
                              bytes: Network  calls: Answers    real sockets; one event loop
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import Enum
from math import inf
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
from google.protobuf.message import Message
from tests.support.clock import FakeClock
from tests.support.fault_proxy import FaultProxy
from tests.support.grpc_peers import PATIENT_SECONDS, Retries, ScriptedPeer, connected, listening, served
from tests.support.invariants import check_always, check_settled
from tests.support.process import EVENT, Process
from tests.support.runtimes import World, sqlite_on_disk

from reservation_api.adapters.grpc_inventory.inventory import SERVICE, GrpcInventory
from reservation_api.adapters.grpc_inventory.peer import CONNECTIONS, DEADLINE_SECONDS, CallContext
from reservation_api.adapters.resilience.admission import Admission
from reservation_api.adapters.resilience.bulkhead import Bulkhead
from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.inventory import GuardedInventory
from reservation_api.adapters.resilience.settings import BulkheadSettings, CircuitBreakerSettings
from reservation_api.adapters.sqlite.inventory_plan import Grid, grid_plan
from reservation_api.domain.errors import InventoryUnavailableError
from reservation_api.ports.inventory import Inventory
from reservation_proto.reservation.v1 import inventory_pb2 as wire

SEATS = 6
SECONDS_TO_FINISH = 10
PLENTY_OF_RETRIES = 1_000
"""What may be repeated is repeated: a fault that lasts strikes both tries."""
RECONNECT_TRIES = 10_000
"""A refused try takes about a millisecond; a client connects again after 0.1 to 2 s."""

MESSAGES: dict[str, tuple[type[Message], type[Message]]] = {
    "ReserveSeat": (wire.ReserveSeatRequest, wire.ReserveSeatResponse),
    "CommitReservation": (wire.CommitReservationRequest, wire.CommitReservationResponse),
    "ReleaseHold": (wire.ReleaseHoldRequest, wire.ReleaseHoldResponse),
    "GetInventoryStatus": (wire.GetInventoryStatusRequest, wire.GetInventoryStatusResponse),
}
"""What each method is asked and answers."""


class Answers(Enum):
    """What becomes of calls that arrive."""

    RIGHT = "answered as the inventory does"
    EXHAUSTED = "refused with RESOURCE_EXHAUSTED before anything is done"
    INTERNAL = "carried out, and answered INTERNAL"
    MALFORMED = "carried out, and answered with bytes that are no message"
    WRONG_SEATS = "carried out, and answered with other seats than were asked for"


Forward = Callable[[bytes], Awaitable[bytes]]


class Relay:
    """Passes calls on to the server behind it, or does not; it keeps what it was asked."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.answers = Answers.RIGHT
        self.asked: list[tuple[str, str]] = []
        """Method and idempotency key of every call that arrived, questions aside."""
        self.seconds_left: list[float] = []
        """How long each call might take when it arrived."""
        self.peer = ScriptedPeer({method: self._script(channel, method) for method in MESSAGES})

    def keys(self, method: str) -> list[str]:
        return [key for asked, key in self.asked if asked == method]

    def _script(self, channel: grpc.aio.Channel, method: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
        forward = cast("Forward", channel.unary_unary(f"{SERVICE}/{method}"))
        request_type, reply_type = MESSAGES[method]

        async def script(request: bytes, context: Any) -> bytes:
            self.seconds_left.append(context.time_remaining() or inf)
            key = getattr(request_type.FromString(request), "idempotency_key", None)
            if key is not None:
                self.asked.append((method, key))
            if self.answers is Answers.EXHAUSTED:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls")
            reply = await forward(request)
            if self.answers is Answers.INTERNAL:
                await context.abort(grpc.StatusCode.INTERNAL, "internal error")
            return self._told(reply, reply_type)

        return script

    def _told(self, reply: bytes, reply_type: type[Message]) -> bytes:
        if self.answers is Answers.MALFORMED:
            return b"\xff" + reply
        if self.answers is Answers.WRONG_SEATS:
            return with_other_seats(reply_type.FromString(reply)).SerializeToString()
        return reply


def with_other_seats(reply: Message) -> Message:
    """Name seats further on in the row: real ones at real prices, but not those that were asked for."""
    for name in ("reserved_seats", "sold_seats", "released_seats"):
        for seat in getattr(reply, name, ()):
            row, _, number = seat.id.rpartition("-")
            seat.id = f"{row}-{int(number) + SEATS // 2}"
    return reply


class ManualTime:
    """The breaker's seconds; they pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Patience:
    """How long calls may take: the product's deadline only while a fault is to make it pass.

    The deadline is real time, and a busy machine must not turn an answer into none.
    """

    seconds: float = PATIENT_SECONDS


@dataclass
class Wired:
    """A process and its inventory, with the wire between them."""

    process: Process
    truth: Inventory
    """The inventory's own side, past the wire."""
    proxy: FaultProxy
    relay: Relay
    client: GrpcInventory
    breaker: CircuitBreaker
    clock: FakeClock
    breaker_time: ManualTime
    patience: Patience
    retries: Retries

    @property
    def world(self) -> World:
        """Everything durable of the service."""
        return self.process.ports.look()

    async def seats(self) -> tuple[int, int]:
        """Count the seats held and sold, as the inventory itself knows them."""
        sections = (await self.truth.status(EVENT)).sections
        return sum(section.held for section in sections), sum(section.sold for section in sections)

    def runs_out_of_patience(self) -> None:
        """Let calls take no longer than in production from now on."""
        self.patience.seconds = DEADLINE_SECONDS
        self.relay.seconds_left.clear()

    def check_deadlines(self) -> None:
        """No call that arrived since may take longer; the wire has three digits, rounded up."""
        longest = max(self.relay.seconds_left, default=0.0)
        assert longest <= self.patience.seconds * 1.1, f"{longest} s for a call"

    async def heals(self) -> None:
        """Undo every fault; return when the client is connected again, which is no matter of fake time."""
        self.patience.seconds = PATIENT_SECONDS
        self.relay.answers = Answers.RIGHT
        await self.proxy.heals()
        self.retries.allowed = 0  # a second try would hide that one of the connections is down
        await self._connects()
        self.retries.allowed = PLENTY_OF_RETRIES

    async def _connects(self) -> None:
        in_a_row = 0
        for _ in range(RECONNECT_TRIES):
            try:
                await self.client.status(EVENT)
                in_a_row += 1
            except InventoryUnavailableError:
                in_a_row = 0
            if in_a_row == CONNECTIONS:
                return
        raise AssertionError("the client does not connect again")


@asynccontextmanager
async def wired(
    folders: Sequence[Path], breaks_at: CircuitBreakerSettings | None = None
) -> AsyncIterator[Wired]:
    """Open all of it, with an event of SEATS seats; the inventory's folder and the service's are two."""
    clock, patience, breaker_time = FakeClock(), Patience(), ManualTime()
    breaker = CircuitBreaker("inventory", breaks_at or CircuitBreakerSettings(), breaker_time)
    context, retries = CallContext(seconds_left=lambda: patience.seconds), Retries(PLENTY_OF_RETRIES)
    async with (
        _inventory_of_its_own(folders[0], clock) as (truth, server),
        grpc.aio.insecure_channel(server) as channel,
        listening((relay := Relay(channel)).peer) as port,
        FaultProxy(port) as proxy,
        connected(f"127.0.0.1:{proxy.port}", retries=retries, context=context) as client,
        sqlite_on_disk(folders[1]) as open_process,
    ):
        ports = replace(open_process(clock), inventory=_guarded(client, breaker))
        process = Process(ports, clock)
        yield Wired(process, truth, proxy, relay, client, breaker, clock, breaker_time, patience, retries)


@asynccontextmanager
async def _inventory_of_its_own(folder: Path, clock: FakeClock) -> AsyncIterator[tuple[Inventory, str]]:
    async with sqlite_on_disk(folder) as open_process:
        truth = open_process(clock)
        grid = Grid(prices={"A": 1000}, rows=1, seats_per_row=SEATS)
        await truth.load_event(grid_plan(EVENT, "Test", "KRW", grid))
        async with served(truth.inventory, clock) as address:
            yield truth.inventory, address


def _guarded(client: GrpcInventory, breaker: CircuitBreaker) -> GuardedInventory:
    admission = Admission(breaker, Bulkhead("inventory", BulkheadSettings()))
    return GuardedInventory(cast("Inventory", client), admission)


async def finish_by_workers(wires: Wired, seconds: int = SECONDS_TO_FINISH) -> None:
    """Let time pass in steps; the workers alone finish every intent and every release."""
    wires.process.offered.clear()
    for _ in range(seconds):
        wires.clock.advance(1)
        await wires.process.run_workers()
        check_always(wires.world, wires.clock.now())
    assert not wires.world.outbox
    # A hold that was never written may have its seats at the inventory until that lets them go.
    if wires.world.reservations:
        await check_settled(wires.world, wires.clock.now(), wires.truth, EVENT)
