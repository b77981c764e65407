"""Reserving as one job of the database: all the seats or none, and one answer for each reservation id.

Refusals are returned, not raised: a job that raises undoes its whole batch, and a sale is full of refusals.
"""

import sqlite3
from datetime import datetime
from typing import NamedTuple

import msgspec

from reservation_api.adapters.sqlite.inventory_choice import Choice, find_best, find_wanted, hold_seats
from reservation_api.adapters.sqlite.inventory_holds import (
    HeldSeat,
    HoldStatus,
    decode_seats,
    encode_seats,
    lapse,
    lapse_due,
    lapse_holders,
)
from reservation_api.adapters.sqlite.inventory_rows import FREE
from reservation_api.domain.errors import (
    InvalidRequestError,
    InventoryUnavailableError,
    NotFoundError,
    RefusedError,
    SeatsTakenError,
    SoldOutError,
)
from reservation_api.domain.values import (
    MAX_SEATS_PER_RESERVATION,
    from_iso,
    to_iso,
    whole_milliseconds,
)
from reservation_api.ports.inventory import HoldEndedError, ReserveSeats, SeatHold

Refusal = RefusedError | HoldEndedError

MAX_KEYS_PER_HOLD = 16
"""Keys remembered for a hold; one more key changes nothing. The domain allows 2 extensions."""

_KEYS = msgspec.json.Decoder(list[str])

# One look at everything that is asked before seats are looked at: the hold, the event, and whether any
# of the event's holds are due.
_KNOWN = """
SELECT
  status, seats, expires_at, seen_keys,
  (SELECT currency FROM inventory_events WHERE event_id = ifnull(hold.event_id, :event_id)) AS currency,
  EXISTS (SELECT 1 FROM inventory_holds
          WHERE event_id = :event_id AND status = 'ACTIVE' AND expires_at <= :now) AS due
FROM (SELECT 1) LEFT JOIN inventory_holds AS hold ON reservation_id = :reservation_id
"""


class _Known(NamedTuple):
    status: HoldStatus | None
    """None for an id that is not known."""
    seats: str
    expires_at: str
    seen_keys: str
    currency: str | None
    """None for an event that is not known."""
    due: int


def check_request(request: ReserveSeats) -> None:
    """Raise InvalidRequestError for a request that no inventory could serve."""
    faults = []
    if not 1 <= request.qty <= MAX_SEATS_PER_RESERVATION:
        faults.append(f"qty: must be 1 to {MAX_SEATS_PER_RESERVATION}")
    if request.seat_ids and len(request.seat_ids) != request.qty:
        faults.append("seat_ids: must be as many as qty")
    if len(set(request.seat_ids)) != len(request.seat_ids):
        faults.append("seat_ids: names a seat twice")
    if faults:
        raise InvalidRequestError("these seats can not be reserved", errors=faults)


def reserve(connection: sqlite3.Connection, request: ReserveSeats, now: datetime) -> SeatHold | Refusal:
    """Hold the seats for the reservation id, or say why not."""
    now_text = to_iso(now)
    row = connection.execute(
        _KNOWN, {"reservation_id": request.reservation_id, "event_id": request.event_id, "now": now_text}
    ).fetchone()
    known = _Known(*row)
    if known.status is not None:
        return _answer_known(connection, request, known, now_text)
    if known.currency is None:
        return NotFoundError(f"there is no event {request.event_id}")
    expires_at = whole_milliseconds(request.expires_at)
    if expires_at <= now:
        # Too late to be of use; and so no request can use an id that was over and then forgotten.
        return HoldEndedError("the hold would be over before it begins")
    choice = _choose(connection, request, now_text, due=bool(known.due))
    if not isinstance(choice, Choice):
        return choice
    hold_seats(connection, choice)
    _insert_hold(connection, request, choice.seats, expires_at)
    return _reply(choice.seats, known.currency, expires_at)


def _answer_known(
    connection: sqlite3.Connection, request: ReserveSeats, known: _Known, now: str
) -> SeatHold | Refusal:
    if known.status != HoldStatus.ACTIVE:
        return HoldEndedError(f"the hold is {known.status}")
    if known.expires_at <= now:
        lapse(connection, [(request.reservation_id, known.seats)], now)
        return HoldEndedError("the hold has expired")
    if known.currency is None:
        raise InventoryUnavailableError(f"the event of hold {request.reservation_id} is gone")
    expires_at = _extend(connection, request, known)
    return _reply(decode_seats(known.seats), known.currency, from_iso(expires_at))


def _extend(connection: sqlite3.Connection, request: ReserveSeats, known: _Known) -> str:
    """Move the expiry out, never in, and only for a key that is new; return the expiry that counts."""
    keys = _KEYS.decode(known.seen_keys)
    if request.idempotency_key in keys or len(keys) == MAX_KEYS_PER_HOLD:
        return known.expires_at
    expires_at = max(known.expires_at, to_iso(whole_milliseconds(request.expires_at)))
    connection.execute(
        "UPDATE inventory_holds SET expires_at = ?, seen_keys = ? WHERE reservation_id = ?",
        (expires_at, _encode_keys(*keys, request.idempotency_key), request.reservation_id),
    )
    return expires_at


def _choose(
    connection: sqlite3.Connection, request: ReserveSeats, now: str, *, due: bool
) -> Choice | Refusal:
    """Lapse what is due, then choose among what is free."""
    none_left = not due or lapse_due(connection, request.event_id, now)
    if request.seat_ids:
        return _choose_wanted(connection, request, now, none_left=none_left)
    choice = find_best(connection, request.event_id, request.qty)
    if len(choice.seats) < request.qty:
        # More holds may be due only after a call that freed at least LAPSED_PER_CALL seats: not here.
        return SoldOutError("too few seats are free", remaining=len(choice.seats))
    return choice


def _choose_wanted(
    connection: sqlite3.Connection, request: ReserveSeats, now: str, *, none_left: bool
) -> Choice | Refusal:
    choice = find_wanted(connection, request.event_id, request.seat_ids)
    if len(choice.seats) < request.qty:
        return _unknown_seats(request, choice)
    taken = _taken(choice)
    if taken and not none_left and lapse_holders(connection, request.event_id, taken, now):
        choice = find_wanted(connection, request.event_id, request.seat_ids)
        taken = _taken(choice)
    if taken:
        return SeatsTakenError("seats are taken", conflicts=[seat.seat_id for seat in taken])
    return choice


def _taken(choice: Choice) -> list[HeldSeat]:
    return [seat for seat in choice.seats if choice.letter(seat) != FREE]


def _unknown_seats(request: ReserveSeats, choice: Choice) -> InvalidRequestError:
    known = {seat.seat_id for seat in choice.seats}
    faults = [f"seat_ids: unknown seat {seat_id}" for seat_id in request.seat_ids if seat_id not in known]
    return InvalidRequestError("the event has no such seats", errors=faults)


def _insert_hold(
    connection: sqlite3.Connection, request: ReserveSeats, seats: tuple[HeldSeat, ...], expires_at: datetime
) -> None:
    connection.execute(
        "INSERT INTO inventory_holds (reservation_id, event_id, status, seats, expires_at, seen_keys)"
        " VALUES (?, ?, 'ACTIVE', ?, ?, ?)",
        (
            request.reservation_id,
            request.event_id,
            encode_seats(seats),
            to_iso(expires_at),
            _encode_keys(request.idempotency_key),
        ),
    )


def _encode_keys(*keys: str) -> str:
    return msgspec.json.encode(keys).decode()


def _reply(seats: tuple[HeldSeat, ...], currency: str, expires_at: datetime) -> SeatHold:
    return SeatHold(tuple(seat.as_seat(currency) for seat in seats), expires_at)
