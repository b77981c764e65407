"""The store of a running service as another process sees it: the test's own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.support.invariants import check_settled
from tests.support.processes import START_SECONDS, wait_until
from tests.support.runtimes import World, look_at_sqlite

from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.inventory import SqliteInventory
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.bootstrap import open_database
from reservation_api.config import load
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import EventId
from reservation_api.ports.outbox import OutboxEntry


def look(environment: Mapping[str, str]) -> World:
    """Read everything durable, at one moment."""
    with _opened(environment) as database:
        return look_at_sqlite(database)


def wait_until_settled(environment: Mapping[str, str], seconds: float = START_SECONDS) -> None:
    """Return once workers have no more to do, and no hold will give them any."""

    def left() -> list[Reservation | OutboxEntry]:
        world = look(environment)
        return [*(r for r in world.reservations if r.status is Status.HOLD), *world.outbox]

    wait_until(lambda: not left(), lambda: f"left: {left()}", seconds)


async def check_settled_store(
    environment: Mapping[str, str], event_id: str, inventory_environment: Mapping[str, str] | None = None
) -> World:
    """Check all invariants of a store on which nothing happens any more; return what is in it.

    Without an environment of its own, the inventory is in the same file.
    """
    clock = SystemClock()
    world = look(environment)
    with _opened(inventory_environment or environment) as database:
        inventory = SqliteInventory(database, clock)
        await check_settled(world, clock.now(), inventory, event_id)
        counted = await inventory.status(EventId(event_id))
    live = sum(r.qty for r in world.reservations if r.status is Status.HOLD)
    assert sum(section.held for section in counted.sections) == live, "seats held for nobody"
    check_each_move_has_one_event(world)
    return world


def check_each_move_has_one_event(world: World) -> None:
    """Compare the event log with the moves: none is missing, none is there twice, none is of nothing."""
    moves = [f"{r.reservation_id}.{n}" for r in world.reservations for n in range(1, r.version + 1)]
    assert sorted(event.id for event in world.published) == sorted(moves)


@contextmanager
def _opened(environment: Mapping[str, str]) -> Iterator[Database]:
    database = open_database(load(environment))
    try:
        yield database
    finally:
        database.close()
