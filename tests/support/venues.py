"""Small venues drawn as text, and commands for their seats."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from reservation_api.adapters.sqlite.venues import RowPlan, SeatPlan, SectionPlan, VenuePlan
from reservation_api.domain.values import EventId, PaymentIntentId, ReservationId, SeatId, UserId
from reservation_api.ports.inventory import CommitSeats, ReleaseSeats, ReserveSeats, SeatHold

EVENT = EventId("evt_1")
PRICES = {"A": 120_000, "B": 80_000}
HOLD = timedelta(seconds=120)


def venue(sections: Mapping[str, Sequence[str]], event_id: str = EVENT) -> VenuePlan:
    """Draw each row as text: `.` a seat, `B` a blocked one; the third seat of A's first row is A-1-3."""
    return VenuePlan(
        EventId(event_id),
        f"The event {event_id}",
        "KRW",
        tuple(
            SectionPlan(section, tuple(_row(section, str(n), row) for n, row in enumerate(rows, 1)))
            for section, rows in sections.items()
        ),
    )


def _row(section: str, row: str, drawn: str) -> RowPlan:
    return RowPlan(
        row,
        tuple(
            SeatPlan(SeatId(f"{section}-{row}-{n}"), str(n), PRICES.get(section, 50_000), letter == "B")
            for n, letter in enumerate(drawn, 1)
        ),
    )


def wanted(
    reservation: str,
    seats: str | int,
    expires_at: datetime,
    *,
    key: str = "hold:0",
    event_id: str = EVENT,
) -> ReserveSeats:
    """Ask for seats by id (`"A-1-1 A-1-2"`) or, by a number, for the best available."""
    seat_ids = ids(seats) if isinstance(seats, str) else ()
    return ReserveSeats(
        ReservationId(reservation),
        EventId(event_id),
        UserId("user"),
        seat_ids,
        len(seat_ids) if isinstance(seats, str) else seats,
        expires_at,
        f"{reservation}:{key}",
    )


def sale(reservation: str, seats: str, *, event_id: str = EVENT) -> CommitSeats:
    return CommitSeats(
        ReservationId(reservation),
        EventId(event_id),
        UserId("user"),
        ids(seats),
        PaymentIntentId("pi_1"),
        f"{reservation}:confirm:0",
    )


def return_of(reservation: str, seats: str = "", *, event_id: str = EVENT) -> ReleaseSeats:
    return ReleaseSeats(
        ReservationId(reservation), EventId(event_id), ids(seats), "cancelled", f"{reservation}:release:0"
    )


def ids(seats: str) -> tuple[SeatId, ...]:
    return tuple(SeatId(seat_id) for seat_id in seats.split())


def names(hold: SeatHold) -> str:
    """Name the seats of a hold as `wanted` takes them."""
    return " ".join(seat.seat_id for seat in hold.seats)
