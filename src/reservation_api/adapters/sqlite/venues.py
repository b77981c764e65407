"""Loading venues into the built-in inventory, and listing what is loaded.

What a plan may contain is in inventory_plan.py, which files can be read in inventory_plan_files.py.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import msgspec

from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.inventory_plan import (
    Grid,
    RowPlan,
    SeatPlan,
    SectionPlan,
    VenueError,
    VenuePlan,
    demo_plan,
    grid_plan,
)
from reservation_api.adapters.sqlite.inventory_plan_files import EventDetails, read_plan
from reservation_api.adapters.sqlite.inventory_rows import BLOCKED, FREE, longest_run
from reservation_api.domain.values import EventId

__all__ = [
    "EventDetails",
    "EventSummary",
    "Grid",
    "RowPlan",
    "SeatPlan",
    "SectionPlan",
    "VenueError",
    "VenuePlan",
    "demo_plan",
    "grid_plan",
    "list_events",
    "load_event",
    "read_plan",
]

MAX_LISTED_EVENTS = 1_000
"""One listing shows no more."""


@dataclass(frozen=True, slots=True)
class EventSummary:
    """An event that is loaded."""

    event_id: EventId
    name: str
    currency: str
    seats: int
    """How many there are, sold and blocked ones included."""


async def load_event(database: Database, plan: VenuePlan) -> bool:
    """Put an event on sale: all of it or nothing; return False if just this plan was loaded before.

    Raises VenueError if the event was loaded from another plan (its seats may be sold already),
    StoreUnavailableError if the file can not be written.
    """
    digest = hashlib.sha256(msgspec.json.encode(plan)).hexdigest()
    loaded = await database.write(lambda connection: _load(connection, plan, digest))
    if isinstance(loaded, VenueError):
        raise loaded
    return loaded


async def list_events(database: Database) -> tuple[EventSummary, ...]:
    """List the events that are loaded by id, at most MAX_LISTED_EVENTS."""
    rows = await database.read(
        lambda connection: connection.execute(
            "SELECT event_id, name, currency, seats FROM inventory_events ORDER BY event_id LIMIT ?",
            (MAX_LISTED_EVENTS,),
        ).fetchall()
    )
    return tuple(EventSummary(*row) for row in rows)


def _load(connection: sqlite3.Connection, plan: VenuePlan, digest: str) -> bool | VenueError:
    known = connection.execute(
        "SELECT plan_digest FROM inventory_events WHERE event_id = ?", (plan.event_id,)
    ).fetchone()
    if known is not None:
        return False if known[0] == digest else VenueError([f"event {plan.event_id} exists, and differs"])
    connection.execute(
        "INSERT INTO inventory_events (event_id, name, currency, seats, plan_digest) VALUES (?, ?, ?, ?, ?)",
        (plan.event_id, plan.name, plan.currency, plan.seat_count, digest),
    )
    (last_row_id,) = connection.execute("SELECT ifnull(max(row_id), 0) FROM inventory_rows").fetchone()
    connection.executemany(
        "INSERT INTO inventory_rows (row_id, event_id, section, row, position,"
        " min_price, max_price, states, free, longest_run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        _row_values(plan, last_row_id + 1),
    )
    connection.executemany(
        "INSERT INTO inventory_seats (event_id, seat_id, row_id, place, number, price)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        _seat_values(plan, last_row_id + 1),
    )
    return True


def _rows(plan: VenuePlan) -> Iterator[tuple[str, RowPlan]]:
    """List (section, row) from best to worst."""
    return ((section.section, row) for section in plan.sections for row in section.rows)


def _row_values(plan: VenuePlan, first_row_id: int) -> Iterator[tuple[str | int, ...]]:
    for position, (section, row) in enumerate(_rows(plan)):
        states = "".join(BLOCKED if seat.blocked else FREE for seat in row.seats)
        prices = [seat.price for seat in row.seats]
        yield (
            *(first_row_id + position, plan.event_id, section, row.row, position),
            *(min(prices), max(prices), states, states.count(FREE), longest_run(states)),
        )


def _seat_values(plan: VenuePlan, first_row_id: int) -> Iterator[tuple[str | int, ...]]:
    for row_id, (_, row) in zip(count(first_row_id), _rows(plan), strict=False):
        for place, seat in enumerate(row.seats):
            yield (plan.event_id, seat.seat_id, row_id, place, seat.number, seat.price)
