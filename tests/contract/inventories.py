"""The inventories that the contract suite runs over.

An adapter registers itself by one more entry in INVENTORIES: a function of an empty directory that gives
an async context manager. Its inventory must take the time from the clock of the InventoryUnderTest.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from tests.contract.grpc_inventories import over_grpc
from tests.support.clock import FakeClock
from tests.support.databases import opened_database

from reservation_api.adapters.sqlite.inventory import SqliteInventory
from reservation_api.adapters.sqlite.venues import VenuePlan, load_event
from reservation_api.domain.values import EventId, SeatId
from reservation_api.ports.inventory import (
    Availability,
    CommitOutcome,
    CommitSeats,
    Inventory,
    InventoryStatus,
    ReleaseOutcome,
    ReleaseSeats,
    ReserveSeats,
    SeatHold,
)


@dataclass(frozen=True, slots=True)
class InventoryUnderTest:
    inventory: Inventory
    load_event: Callable[[VenuePlan], Awaitable[object]]
    clock: FakeClock


class Alternating:
    """Sends each call to the next of several inventories: what one process did, the other must know."""

    def __init__(self, inventories: Sequence[Inventory]) -> None:
        self._next = cycle(inventories)

    def admission(self) -> AbstractAsyncContextManager[None]:
        return next(self._next).admission()

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        return await next(self._next).reserve(request)

    async def commit(self, request: CommitSeats) -> CommitOutcome:
        return await next(self._next).commit(request)

    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        return await next(self._next).release(request)

    async def availability(
        self, event_id: EventId, *, seat_ids: Sequence[SeatId] = (), section: str | None = None
    ) -> Availability:
        return await next(self._next).availability(event_id, seat_ids=seat_ids, section=section)

    async def status(self, event_id: EventId, *, section: str | None = None) -> InventoryStatus:
        return await next(self._next).status(event_id, section=section)


@asynccontextmanager
async def one_process(directory: Path) -> AsyncIterator[InventoryUnderTest]:
    clock = FakeClock()
    database = opened_database(directory / "inventory.db")
    try:
        yield InventoryUnderTest(
            SqliteInventory(database, clock), lambda plan: load_event(database, plan), clock
        )
    finally:
        database.close()


@asynccontextmanager
async def two_processes(directory: Path) -> AsyncIterator[InventoryUnderTest]:
    async with one_process(directory) as first:
        database = opened_database(directory / "inventory.db")
        try:
            both = Alternating([first.inventory, SqliteInventory(database, first.clock)])
            yield InventoryUnderTest(both, first.load_event, first.clock)
        finally:
            database.close()


INVENTORIES: dict[str, Callable[[Path], AbstractAsyncContextManager[InventoryUnderTest]]] = {
    "sqlite": one_process,
    "sqlite-two-processes": two_processes,
    "grpc": over_grpc(one_process),
}
