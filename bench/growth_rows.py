"""Fill the embedded store with reservations of the past, straight into its file.

One reservation is written as the adapter writes it; SQLite repeats that row with other ids. Ids are spread
over all their space, so that new holds land between old ones everywhere in the index.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.server import EVENT_ID, QTY, SMALL_EVENT_ID
from reservation_api.adapters.sqlite.rows import RESERVATION_COLUMNS, reservation_row
from reservation_api.adapters.sqlite.venues import Grid, grid_plan, load_event
from reservation_api.bootstrap import open_database
from reservation_api.config import load
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import (
    EventId,
    Money,
    OrderId,
    PaymentIntentId,
    RecordKey,
    ReservationId,
    Seat,
    SeatId,
    UserId,
)

ROWS_A_BATCH = 250_000
ID_SPACE = 2**32
OWNERS = 1_000_000
CACHE_KIBIBYTES = 1_000_000
PAST = datetime(2026, 1, 1, tzinfo=UTC)
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
_VARYING = {
    "reservation_id": "printf('rsv_%08x%024x', i * {step}, i)",
    "user_id": "printf('past-%08x', (i * 2654435761) % {owners})",
    "idempotency_key": "printf('%064x', i)",
    "order_id": "printf('ord_%032x', i)",
    "payment_intent_id": "printf('pi_%d', i)",
}


def prepare(data_dir: Path, events: dict[str, Grid]) -> Path:
    """Make the file in this directory, these events on sale; return it."""
    config = load({"APP_DATA_DIR": str(data_dir)})
    database = open_database(config)

    async def put_on_sale() -> None:
        for event_id, grid in events.items():
            await load_event(database, grid_plan(EventId(event_id), "Benchmark", "KRW", grid))

    try:
        asyncio.run(put_on_sale())
    finally:
        database.close()
    return config.store.database_file


def fill(file: Path, rows: int) -> None:
    """Add reservations; nobody else may have the file open."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        # A crash now costs a file that is made again; indexes that are made at the end are sorted, not grown.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIBIBYTES}"):
            connection.execute(f"PRAGMA {pragma}")
        indexes = _indexes(connection)
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        for first in range(0, rows, ROWS_A_BATCH):
            last = min(rows, first + ROWS_A_BATCH) - 1
            _add(connection, first, last, rows)
        for _, statement in indexes:
            connection.execute(statement)
        connection.execute("PRAGMA journal_mode = WAL")


def _indexes(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    query = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'reservations' AND sql <> ''"
    )
    return list(connection.execute(query))


def _add(connection: sqlite3.Connection, first: int, last: int, rows: int) -> None:
    columns = [column.strip() for column in RESERVATION_COLUMNS.split(",")]
    row = dict(zip(columns, reservation_row(sold()), strict=True))
    places = {"step": ID_SPACE // rows, "owners": OWNERS}
    values = [_VARYING[column].format(**places) if column in _VARYING else "?" for column in columns]
    fixed = [value for column, value in row.items() if column not in _VARYING]
    connection.execute("BEGIN")
    connection.execute(
        f"INSERT INTO reservations ({RESERVATION_COLUMNS}) {_NUMBERS} SELECT {', '.join(values)} FROM n",
        (first, last, *fixed),
    )
    connection.execute("COMMIT")


def sold() -> Reservation:
    """Return a reservation of the past."""
    return Reservation(
        reservation_id=ReservationId("rsv_0"),
        event_id=EventId("evt_past"),
        user_id=UserId("past"),
        status=Status.CONFIRMED,
        seats=tuple(_seats()),
        total_amount=Money(QTY * 50_000, "KRW"),
        hold_expires_at=PAST + timedelta(seconds=60),
        record_key=RecordKey("0" * 64),
        created_at=PAST,
        updated_at=PAST,
        version=2,
        order_id=OrderId("ord_0"),
        payment_intent_id=PaymentIntentId("pi_0"),
    )


def _seats() -> Iterator[Seat]:
    for number in range(1, QTY + 1):
        yield Seat(SeatId(f"A-1-{number}"), "A", "1", str(number), Money(50_000, "KRW"))


STADIUM_GRID = Grid({"A": 50_000, "B": 50_000}, rows=1000, seats_per_row=50)
HALL_GRID = Grid({"A": 50_000, "B": 50_000}, rows=5, seats_per_row=50)
EVENTS = {EVENT_ID: STADIUM_GRID, SMALL_EVENT_ID: HALL_GRID}
"""What `bench.server` puts on sale by commands."""
