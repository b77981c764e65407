"""Holds as they are stored: who has which seats until when, and how that ended.

    reserve ──▶ ACTIVE ──commit───▶ COMMITTED     sold, for good
                  ├──────release──▶ RELEASED
                  └──────lapse────▶ LAPSED        `expires_at` passed and somebody looked

An ACTIVE hold's seats have the letter H: whoever ends it changes the letters in the same transaction.
So two processes whose clocks differ may disagree on when a hold ends, never on whether it has ended.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from reservation_api.adapters.sqlite.inventory_rows import FREE, PlacesByRow, change_held
from reservation_api.domain.values import Money, ReservationId, Seat, SeatId

LAPSED_PER_CALL = 100
"""So many holds that are due are ended by one call, some 10 microseconds each: more would make it wait."""


class HoldStatus(StrEnum):
    """What has become of a hold."""

    ACTIVE = "ACTIVE"
    RELEASED = "RELEASED"
    LAPSED = "LAPSED"
    COMMITTED = "COMMITTED"


class HeldSeat(msgspec.Struct, frozen=True, array_like=True):
    """A seat of a hold as it is stored: where its letter is, and the seat with its price when held."""

    row_id: int
    place: int
    seat_id: SeatId
    section: str
    row: str
    number: str
    price: int

    def as_seat(self, currency: str) -> Seat:
        """Return the seat in the domain's words."""
        return Seat(self.seat_id, self.section, self.row, self.number, Money(self.price, currency))


DueHold = tuple[ReservationId, str]
"""A reservation id with its stored seats."""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(tuple[HeldSeat, ...])


def encode_seats(seats: Sequence[HeldSeat]) -> str:
    """Write seats as they are stored."""
    return _ENCODER.encode(seats).decode()


def decode_seats(text: str) -> tuple[HeldSeat, ...]:
    """Read seats as they are stored."""
    return _DECODER.decode(text)


def places_of(seats: Iterable[HeldSeat]) -> PlacesByRow:
    """Group seats by row."""
    places: dict[int, list[int]] = {}
    for seat in seats:
        places.setdefault(seat.row_id, []).append(seat.place)
    return places


def end_hold(
    connection: sqlite3.Connection, reservation_id: ReservationId, status: HoldStatus, ended_at: str
) -> None:
    """Mark a hold as over; its seats' letters are the caller's part."""
    connection.execute(
        "UPDATE inventory_holds SET status = ?, ended_at = ? WHERE reservation_id = ?",
        (status, ended_at, reservation_id),
    )


def lapse(connection: sqlite3.Connection, holds: Sequence[DueHold], now: str) -> None:
    """Free the seats of holds that are due, and mark them as lapsed."""
    seats = [seat for _, text in holds for seat in decode_seats(text)]
    change_held(connection, places_of(seats), FREE)
    for reservation_id, _ in holds:
        end_hold(connection, reservation_id, HoldStatus.LAPSED, now)


def lapse_due(connection: sqlite3.Connection, event_id: str, now: str) -> bool:
    """Lapse an event's oldest due holds, at most LAPSED_PER_CALL; return whether none is left."""
    due: list[DueHold] = connection.execute(
        "SELECT reservation_id, seats FROM inventory_holds"
        " WHERE event_id = ? AND status = 'ACTIVE' AND expires_at <= ? ORDER BY expires_at LIMIT ?",
        (event_id, now, LAPSED_PER_CALL),
    ).fetchall()
    lapse(connection, due, now)
    return len(due) < LAPSED_PER_CALL


def lapse_holders(connection: sqlite3.Connection, event_id: str, seats: Iterable[HeldSeat], now: str) -> bool:
    """Lapse the due holds that have one of these seats, however many holds are due; return whether any did.

    Reads every due hold of the event: only for when more were due than one call lapses.
    """
    holders: dict[ReservationId, DueHold] = {}
    for seat in seats:
        found: DueHold | None = connection.execute(
            "SELECT reservation_id, seats FROM inventory_holds"
            " WHERE event_id = ? AND status = 'ACTIVE' AND expires_at <= ? AND instr(seats, ?) LIMIT 1",
            (event_id, now, f'[{seat.row_id},{seat.place},"'),  # no text has it: JSON escapes quotes
        ).fetchone()
        if found is not None:
            holders[found[0]] = found
    lapse(connection, list(holders.values()), now)
    return bool(holders)
