"""Ending a hold as one job of the database: sell its seats, or give them back; then forget it."""

import sqlite3
from datetime import datetime, timedelta
from typing import assert_never

from reservation_api.adapters.sqlite.inventory_holds import (
    HeldSeat,
    HoldStatus,
    decode_seats,
    end_hold,
    lapse,
    places_of,
)
from reservation_api.adapters.sqlite.inventory_rows import FREE, SOLD, change_held
from reservation_api.domain.values import EventId, ReservationId, to_iso
from reservation_api.ports.inventory import CommitOutcome, CommitSeats, ReleaseOutcome, ReleaseSeats

ENDED_HOLDS_KEPT = timedelta(hours=1)
"""So long an id that is over is remembered, to refuse requests that were delayed.

Longer than the longest hold and its grace (design section 5: 300 s and 60 s) by far: a request that
is still older asks for an expiry that has passed, and is refused for that.
"""


def commit(connection: sqlite3.Connection, request: CommitSeats, now: datetime) -> CommitOutcome:
    """Sell the seats of a hold that has not expired."""
    now_text = to_iso(now)
    row = connection.execute(
        "SELECT status, seats, expires_at FROM inventory_holds WHERE reservation_id = ?",
        (request.reservation_id,),
    ).fetchone()
    if row is None:
        _insert_tombstone(connection, request.reservation_id, request.event_id, now_text)
        return CommitOutcome.HOLD_EXPIRED
    status, seats_text, expires_at = row
    if status in (HoldStatus.RELEASED, HoldStatus.LAPSED):
        return CommitOutcome.HOLD_EXPIRED
    if status == HoldStatus.ACTIVE and expires_at <= now_text:
        # Lapsed here and now, so that a process with a slower clock can not answer otherwise.
        lapse(connection, [(request.reservation_id, seats_text)], now_text)
        return CommitOutcome.HOLD_EXPIRED
    seats = decode_seats(seats_text)
    if not _same_seats(request, seats):
        return CommitOutcome.SEATS_CONFLICT
    if status == HoldStatus.ACTIVE:
        _sell(connection, request.reservation_id, seats)
    return CommitOutcome.SOLD


def release(connection: sqlite3.Connection, request: ReleaseSeats, now: datetime) -> ReleaseOutcome:
    """Free the seats of a hold, and close its id for good, also when it was never used."""
    now_text = to_iso(now)
    row = connection.execute(
        "SELECT status, seats FROM inventory_holds WHERE reservation_id = ?", (request.reservation_id,)
    ).fetchone()
    if row is None:
        _insert_tombstone(connection, request.reservation_id, request.event_id, now_text)
        return ReleaseOutcome.NOT_FOUND
    match HoldStatus(row[0]):
        case HoldStatus.ACTIVE:
            change_held(connection, places_of(decode_seats(row[1])), FREE)
            end_hold(connection, request.reservation_id, HoldStatus.RELEASED, now_text)
            return ReleaseOutcome.RELEASED
        case HoldStatus.RELEASED | HoldStatus.LAPSED:
            return ReleaseOutcome.ALREADY_RELEASED
        case HoldStatus.COMMITTED:
            return ReleaseOutcome.FAILED
        case never:
            assert_never(never)


def purge_ended(connection: sqlite3.Connection, now: datetime, limit: int) -> int:
    """Delete up to `limit` holds that ended longer ago than ENDED_HOLDS_KEPT; return how many went."""
    return connection.execute(
        "DELETE FROM inventory_holds WHERE reservation_id IN ("
        "SELECT reservation_id FROM inventory_holds"
        " WHERE ended_at < ? AND status IN ('RELEASED', 'LAPSED') ORDER BY ended_at LIMIT ?)",
        (to_iso(now - ENDED_HOLDS_KEPT), limit),
    ).rowcount


def _same_seats(request: CommitSeats, seats: tuple[HeldSeat, ...]) -> bool:
    return sorted(request.seat_ids) == sorted(seat.seat_id for seat in seats)


def _sell(connection: sqlite3.Connection, reservation_id: ReservationId, seats: tuple[HeldSeat, ...]) -> None:
    change_held(connection, places_of(seats), SOLD)
    connection.execute(
        "UPDATE inventory_holds SET status = 'COMMITTED' WHERE reservation_id = ?", (reservation_id,)
    )


def _insert_tombstone(
    connection: sqlite3.Connection, reservation_id: ReservationId, event_id: EventId, now: str
) -> None:
    """Close an id that is not known: its reserve may still be on its way."""
    connection.execute(
        "INSERT INTO inventory_holds"
        " (reservation_id, event_id, status, seats, expires_at, seen_keys, ended_at)"
        " VALUES (?, ?, 'RELEASED', '[]', ?, '[]', ?)",
        (reservation_id, event_id, now, now),
    )
