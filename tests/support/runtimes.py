"""The runtimes under contract: each opens the ports of one process on shared, durable data.

A later adapter registers itself here, and every contract, race and fault test runs over it too.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.event_log import SqliteEventLog
from reservation_api.adapters.sqlite.inventory import SqliteInventory
from reservation_api.adapters.sqlite.inventory_plan import VenuePlan
from reservation_api.adapters.sqlite.outbox import SqliteOutbox
from reservation_api.adapters.sqlite.read_model import SqliteReadModel
from reservation_api.adapters.sqlite.rows import (
    ORDER_COLUMNS,
    OUTBOX_COLUMNS,
    RESERVATION_COLUMNS,
    order_of,
    outbox_entry_of,
    reservation_of,
)
from reservation_api.adapters.sqlite.store import SqliteReservationStore
from reservation_api.adapters.sqlite.venues import load_event
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation
from reservation_api.ports.clock import Clock
from reservation_api.ports.event_bus import EventBus
from reservation_api.ports.inventory import Inventory
from reservation_api.ports.outbox import Outbox, OutboxEntry
from reservation_api.ports.read_model import ReadModel
from reservation_api.ports.store import ReservationStore


@dataclass(frozen=True, slots=True)
class Published:
    """An event as a consumer of the bus got it."""

    id: str
    source: str
    detail_type: str
    detail: str


@dataclass(frozen=True, slots=True)
class World:
    """Everything durable, read at one moment."""

    reservations: Sequence[Reservation]
    orders: Sequence[Order]
    outbox: Sequence[OutboxEntry]
    published: Sequence[Published]


@dataclass(frozen=True, slots=True)
class Ports:
    """What one process has of a runtime."""

    store: ReservationStore
    outbox: Outbox
    read_model: ReadModel
    bus: EventBus
    inventory: Inventory
    look: Callable[[], World]
    load_event: Callable[[VenuePlan], Awaitable[bool]]


OpenProcess = Callable[[Clock], Ports]
"""Opens one more process on the runtime's data."""
Runtime = Callable[[Path], AbstractAsyncContextManager[OpenProcess]]


@asynccontextmanager
async def sqlite_on_disk(folder: Path) -> AsyncIterator[OpenProcess]:
    """One database file; each process has connections and a writer of its own."""
    databases: list[Database] = []

    def open_process(clock: Clock) -> Ports:
        databases.append(Database(folder / "reservations.db", "NORMAL"))
        return sqlite_ports(databases[-1], clock)

    yield open_process
    for database in databases:
        database.close()


def sqlite_ports(database: Database, clock: Clock) -> Ports:
    return Ports(
        store=SqliteReservationStore(database),
        outbox=SqliteOutbox(database),
        read_model=SqliteReadModel(database),
        bus=SqliteEventLog(database),
        inventory=SqliteInventory(database, clock),
        look=lambda: look_at_sqlite(database),
        load_event=lambda plan: load_event(database, plan),
    )


def look_at_sqlite(database: Database) -> World:
    connection = database.open_reader()
    try:
        connection.execute("BEGIN")
        return World(
            [
                reservation_of(r)
                for r in connection.execute(f"SELECT {RESERVATION_COLUMNS} FROM reservations")
            ],
            [order_of(row) for row in connection.execute(f"SELECT {ORDER_COLUMNS} FROM orders")],
            [outbox_entry_of(row) for row in connection.execute(f"SELECT {OUTBOX_COLUMNS} FROM outbox")],
            [
                Published(*row)
                for row in connection.execute(
                    "SELECT id, source, detail_type, detail FROM event_log ORDER BY seq"
                )
            ],
        )
    finally:
        connection.close()


RUNTIMES: dict[str, Runtime] = {"sqlite": sqlite_on_disk}
