"""Looking at seats without touching them, as one reading job of the database.

Nothing is written here, so holds that are due still have their letters: they are taken as free.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from reservation_api.adapters.sqlite.inventory_holds import decode_seats
from reservation_api.adapters.sqlite.inventory_rows import BLOCKED, FREE, HELD, SOLD, with_letter
from reservation_api.domain.errors import InvalidRequestError, NotFoundError
from reservation_api.domain.values import EventId, Money, Seat, SeatId, to_iso
from reservation_api.ports.inventory import MAX_LISTED_SEATS, Availability, InventoryStatus, SectionStatus


@dataclass(frozen=True, slots=True)
class Asked:
    """Which seats somebody wants to know about."""

    event_id: EventId
    section: str | None = None
    seat_ids: tuple[SeatId, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    row_id: int
    section: str
    name: str
    min_price: int
    max_price: int
    states: str
    """Holds that are due count as free here."""


@dataclass(frozen=True, slots=True)
class _View:
    """An event, or one section of it, as of one instant; rows from best to worst."""

    name: str
    currency: str
    rows: tuple[_Row, ...]


def status(connection: sqlite3.Connection, asked: Asked, now: datetime) -> InventoryStatus:
    """Count seats by section, best section first; raises NotFoundError."""
    with _snapshot(connection):
        view = _view(connection, asked, now)
    sections: dict[str, list[_Row]] = {}
    for row in view.rows:
        sections.setdefault(row.section, []).append(row)
    counted = tuple(_count(section, rows, view.currency) for section, rows in sections.items())
    return InventoryStatus(asked.event_id, view.name, counted)


def availability(connection: sqlite3.Connection, asked: Asked, now: datetime) -> Availability:
    """List free seats, of those asked for or the best; raises NotFoundError, InvalidRequestError."""
    if len(asked.seat_ids) > MAX_LISTED_SEATS:
        raise InvalidRequestError(
            "too many seats in one question", errors=[f"seat_ids: at most {MAX_LISTED_SEATS}"]
        )
    with _snapshot(connection):
        view = _view(connection, asked, now)
        seats = _asked_free(connection, asked, view) if asked.seat_ids else _best_free(connection, view)
    free = {seat.seat_id for seat in seats}
    return Availability(
        available_seats=tuple(seats),
        unavailable_seat_ids=tuple(seat_id for seat_id in asked.seat_ids if seat_id not in free),
        remaining=sum(row.states.count(FREE) for row in view.rows),
    )


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Let several queries see one state of the file: between two, a due hold's seats may be resold."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _view(connection: sqlite3.Connection, asked: Asked, now: datetime) -> _View:
    event = connection.execute(
        "SELECT name, currency FROM inventory_events WHERE event_id = ?", (asked.event_id,)
    ).fetchone()
    if event is None:
        raise NotFoundError(f"there is no event {asked.event_id}")
    due = _due_places(connection, asked.event_id, now)
    rows = tuple(
        _Row(row_id, section, row, min_price, max_price, with_letter(states, due.get(row_id, ()), FREE))
        for row_id, section, row, min_price, max_price, states in connection.execute(
            "SELECT row_id, section, row, min_price, max_price, states FROM inventory_rows"
            " WHERE event_id = :event_id AND (:section IS NULL OR section = :section) ORDER BY position",
            {"event_id": asked.event_id, "section": asked.section},
        )
    )
    if not rows:
        raise NotFoundError(f"event {asked.event_id} has no section {asked.section}")
    name, currency = event
    return _View(name, currency, rows)


def _due_places(connection: sqlite3.Connection, event_id: EventId, now: datetime) -> dict[int, list[int]]:
    places: dict[int, list[int]] = {}
    for (seats,) in connection.execute(
        "SELECT seats FROM inventory_holds WHERE event_id = ? AND status = 'ACTIVE' AND expires_at <= ?",
        (event_id, to_iso(now)),
    ):
        for seat in decode_seats(seats):
            places.setdefault(seat.row_id, []).append(seat.place)
    return places


def _count(section: str, rows: list[_Row], currency: str) -> SectionStatus:
    states = "".join(row.states for row in rows)
    return SectionStatus(
        section=section,
        total=len(states),
        available=states.count(FREE),
        held=states.count(HELD),
        sold=states.count(SOLD),
        blocked=states.count(BLOCKED),
        min_price=Money(min(row.min_price for row in rows), currency),
        max_price=Money(max(row.max_price for row in rows), currency),
    )


def _asked_free(connection: sqlite3.Connection, asked: Asked, view: _View) -> list[Seat]:
    rows = {row.row_id: row for row in view.rows}
    seats = []
    for seat_id in asked.seat_ids:
        found = connection.execute(
            "SELECT row_id, place, number, price FROM inventory_seats WHERE event_id = ? AND seat_id = ?",
            (asked.event_id, seat_id),
        ).fetchone()
        row = rows.get(found[0]) if found is not None else None
        if row is not None and row.states[found[1]] == FREE:
            price = Money(found[3], view.currency)
            seats.append(Seat(seat_id, row.section, row.name, found[2], price))
    return seats


def _best_free(connection: sqlite3.Connection, view: _View) -> list[Seat]:
    seats: list[Seat] = []
    for row in view.rows:
        if FREE in row.states:
            seats += _free_of_row(connection, row, view.currency)
        if len(seats) >= MAX_LISTED_SEATS:
            break
    return seats[:MAX_LISTED_SEATS]


def _free_of_row(connection: sqlite3.Connection, row: _Row, currency: str) -> list[Seat]:
    found = connection.execute(
        "SELECT place, seat_id, number, price FROM inventory_seats WHERE row_id = ? ORDER BY place",
        (row.row_id,),
    )
    return [
        Seat(seat_id, row.section, row.name, number, Money(price, currency))
        for place, seat_id, number, price in found
        if row.states[place] == FREE
    ]
