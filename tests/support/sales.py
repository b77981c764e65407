"""A process that sells one row of seats, and what tests ask it again and again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.clock import FakeClock
from tests.support.process import EVENT, Process
from tests.support.runtimes import sqlite_on_disk

from reservation_api.adapters.sqlite.inventory_plan import Grid, grid_plan
from reservation_api.application.command import Answer
from reservation_api.domain.reservation import Reservation
from reservation_api.ports.outbox import OutboxType


@asynccontextmanager
async def selling(seats: int, folder: Path, clock: FakeClock) -> AsyncIterator[Process]:
    """Put so many seats of EVENT on sale, at 1,000 won each."""
    async with sqlite_on_disk(folder) as open_process:
        ports = open_process(clock)
        grid = Grid(prices={"A": 1000}, rows=1, seats_per_row=seats)
        await ports.load_event(grid_plan(EVENT, "Test", "KRW", grid))
        yield Process(ports, clock)


def of(answer: Answer) -> Reservation:
    assert answer.reservation is not None
    return answer.reservation


async def free_seats(process: Process) -> int:
    return (await process.ports.inventory.availability(EVENT)).remaining


async def relay(process: Process, kind: OutboxType = OutboxType.RELEASE_SEATS) -> None:
    """Let a worker find what the fast path has left."""
    process.offered.clear()
    assert isinstance(process.clock, FakeClock)
    process.clock.advance(5)
    await process.relay.run_once(kind)
