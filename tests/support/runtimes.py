"""The runtimes under contract: each opens the ports of one process on shared, durable data.

A later adapter registers itself here, and every contract, race and fault test runs over it too.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.aws_service import Budget
from tests.support.databases import opened_database
from tests.support.dynamodb import Tables, empty_tables, opened_client
from tests.support.dynamodb_faults import BehindIndexes, BusyTables, LaggingIndexes, at_once

from reservation_api.adapters.dynamodb.calls import DynamoDb
from reservation_api.adapters.dynamodb.outbox import DynamoDbOutbox
from reservation_api.adapters.dynamodb.read_model import DynamoDbReadModel
from reservation_api.adapters.dynamodb.shards import StatusShards
from reservation_api.adapters.dynamodb.store import DynamoDbReservationStore
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
from reservation_api.application.outbox_entries import FAST_PATH_SECONDS
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import HoldPolicy, Reservation
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
        databases.append(opened_database(folder / "reservations.db"))
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


@asynccontextmanager
async def dynamodb(folder: Path) -> AsyncIterator[OpenProcess]:
    """Four tables, and a file for inventory and bus; each process has connections of its own."""
    tables = empty_tables("test")
    async with AsyncExitStack() as stack:

        def open_process(clock: Clock) -> Ports:
            beside = sqlite_ports(_opened_file(folder, stack), clock)
            return dynamodb_ports(DynamoDb(opened_client(stack), Budget()), tables, StatusShards(), beside)

        yield open_process


@asynccontextmanager
async def dynamodb_under_load(folder: Path) -> AsyncIterator[OpenProcess]:
    """At its worst: shards, indexes that lag, transactions that meet, batches left half done."""
    tables, copies = empty_tables("test"), empty_tables("test-copies")
    indexes = LaggingIndexes(tables.names, copies.names, lag=4)
    async with AsyncExitStack() as stack:

        def open_process(clock: Clock) -> Ports:
            beside = sqlite_ports(_opened_file(folder, stack), clock)
            caller = BusyTables(BehindIndexes(opened_client(stack), indexes))
            return dynamodb_ports(DynamoDb(caller, Budget(), at_once), tables, StatusShards(2), beside)

        yield open_process


def _opened_file(folder: Path, stack: AsyncExitStack) -> Database:
    database = opened_database(folder / "reservations.db")
    stack.callback(database.close)
    return database


def dynamodb_ports(dynamodb: DynamoDb, tables: Tables, shards: StatusShards, beside: Ports) -> Ports:
    """Return the ports on these tables, and the rest from beside them."""
    names = tables.names

    def look() -> World:
        published = beside.look().published
        return World(tables.reservations(), tables.orders(), tables.outbox(), published)

    return replace(
        beside,
        store=DynamoDbReservationStore(dynamodb, names, shards, HoldPolicy().hold_seconds),
        outbox=DynamoDbOutbox(dynamodb, names, shards, FAST_PATH_SECONDS),
        read_model=DynamoDbReadModel(dynamodb, names),
        look=look,
    )


RUNTIMES: dict[str, Runtime] = {
    "sqlite": sqlite_on_disk,
    "dynamodb": dynamodb,
    "dynamodb under load": dynamodb_under_load,
}
UNDER_FAULTS = {name: RUNTIMES[name] for name in RUNTIMES if name != "dynamodb"}
"""Those that the longest tests run over: a DynamoDB under load meets all that another one does."""
EVERY_CASE = frozenset({"sqlite", os.environ.get("EVERY_CASE", "")})
"""Of those, the ones that every case is tried on. The others take ten times as long, and are tried on some:
`EVERY_CASE="dynamodb under load" pytest tests/integration/test_every_await.py` tries them on all."""
