"""Ids, money, seats and instants: the words all other modules are written in."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import NewType

ReservationId = NewType("ReservationId", str)
EventId = NewType("EventId", str)
UserId = NewType("UserId", str)
SeatId = NewType("SeatId", str)
OrderId = NewType("OrderId", str)
PaymentIntentId = NewType("PaymentIntentId", str)
OutboxId = NewType("OutboxId", str)
RecordKey = NewType("RecordKey", str)
"""An idempotency record's key: a digest over subject and Idempotency-Key; no two subjects share one."""

MAX_SEATS_PER_RESERVATION = 10
"""Design section 5: `qty` is 1 to 10."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of an ISO 4217 currency (KRW has no minor unit: 1 is one won)."""

    amount: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        """Add two amounts of one currency; raises ValueError for two currencies."""
        if other.currency != self.currency:
            raise ValueError(f"can not add {other.currency} to {self.currency}")
        return Money(self.amount + other.amount, self.currency)


@dataclass(frozen=True, slots=True)
class Seat:
    """A seat as sold: where it is, and its price at the moment it was held."""

    seat_id: SeatId
    section: str
    row: str
    number: str
    price: Money


def total_price(seats: tuple[Seat, ...]) -> Money:
    """Sum the seats' prices; raises ValueError for no seats or mixed currencies."""
    if not seats:
        raise ValueError("no seats, no price")
    total = seats[0].price
    for seat in seats[1:]:
        total += seat.price
    return total


@lru_cache(maxsize=4096)
def to_iso(instant: datetime) -> str:
    """Write an aware UTC instant as `YYYY-MM-DDTHH:MM:SS.mmmZ`: fixed width, so text order is time order.

    Each of a request's few instants is written several times: into rows, events and answers.
    """
    return instant.isoformat(timespec="milliseconds")[:-6] + "Z"


def from_iso(text: str) -> datetime:
    """Read what `to_iso` wrote; raises ValueError for anything else that is not an ISO 8601 instant."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"an instant without a time zone: {text}")
    return instant


def whole_milliseconds(instant: datetime) -> datetime:
    """Cut an instant to the precision that is stored, so that what is compared is what was written."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    beyond = instant.microsecond % 1000
    return instant.replace(microsecond=instant.microsecond - beyond) if beyond else instant
