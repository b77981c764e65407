"""The inventory: who may have which seat; what our safety asks of it is in each docstring."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from reservation_api.domain.values import (
    EventId,
    Money,
    PaymentIntentId,
    ReservationId,
    Seat,
    SeatId,
    UserId,
)


class HoldEndedError(Exception):
    """The reservation id is known, and its hold is released, expired or sold: it holds nothing any more."""


@dataclass(frozen=True, slots=True)
class ReserveSeats:
    """Hold seats for a reservation id, or make its hold last longer."""

    reservation_id: ReservationId
    event_id: EventId
    user_id: UserId
    seat_ids: tuple[SeatId, ...]
    """The wanted seats; empty: the best available `qty`, adjacent first."""
    qty: int
    expires_at: datetime
    """When the inventory may give the seats to others: our `hold_expires_at` plus the grace."""
    idempotency_key: str
    """`{reservation_id}:{operation}:{n}`; a repeated key never changes the hold."""


@dataclass(frozen=True, slots=True)
class SeatHold:
    """Seats that the inventory keeps for a reservation id until `expires_at`."""

    seats: tuple[Seat, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CommitSeats:
    """Sell the seats that a reservation id holds."""

    reservation_id: ReservationId
    event_id: EventId
    user_id: UserId
    seat_ids: tuple[SeatId, ...]
    payment_intent_id: PaymentIntentId
    idempotency_key: str


class CommitOutcome(Enum):
    """What came of a commit; the same for every repetition with one id and key."""

    SOLD = "sold"
    PAYMENT_REFUSED = "payment_refused"
    HOLD_EXPIRED = "hold_expired"
    SEATS_CONFLICT = "seats_conflict"


@dataclass(frozen=True, slots=True)
class ReleaseSeats:
    """Give back the seats that a reservation id holds."""

    reservation_id: ReservationId
    event_id: EventId
    seat_ids: tuple[SeatId, ...]
    reason: str
    idempotency_key: str


class ReleaseOutcome(Enum):
    """What came of a release. After any but FAILED the id holds nothing, now and for good."""

    RELEASED = "released"
    ALREADY_RELEASED = "already_released"
    NOT_FOUND = "not_found"
    FAILED = "failed"
    """The seats are sold to this reservation: they can not be released."""


@dataclass(frozen=True, slots=True)
class SectionStatus:
    """How many seats of a section are in which state, and what they cost."""

    section: str
    total: int
    available: int
    held: int
    sold: int
    blocked: int
    min_price: Money
    max_price: Money


@dataclass(frozen=True, slots=True)
class InventoryStatus:
    """An event's seats, counted by section."""

    event_id: EventId
    name: str
    sections: tuple[SectionStatus, ...]


@dataclass(frozen=True, slots=True)
class Availability:
    """Which seats could be held at this moment."""

    available_seats: tuple[Seat, ...]
    """At most `MAX_LISTED_SEATS`, best first."""
    unavailable_seat_ids: tuple[SeatId, ...]
    """Of the seats that were asked for by id: those held, sold, blocked or unknown."""
    remaining: int
    """All free seats of the section, or of the event when none was named."""


MAX_LISTED_SEATS = 500
"""One answer lists no more seats than this: a section of a stadium, within 64 KiB."""


class Inventory(Protocol):
    """Every method raises InventoryUnavailableError when the outcome is unknown."""

    def admission(self) -> AbstractAsyncContextManager[None]:
        """Hold the right to one commit or reserve, asked for before anything is written (design section 3).

        Entering raises InventoryUnavailableError at once if the inventory is not to be called now. A commit
        made outside is made all the same: whoever recovers a confirm paces itself.
        """
        ...

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        """Hold all the seats or none.

        A known id answers with its hold and never takes other seats; with another key and a later
        `expires_at` its expiry may move out, and the reply's `expires_at` is the one that counts.

        Raises SeatsTakenError (`conflicts`), SoldOutError (`remaining`), NotFoundError for an unknown
        event, InvalidRequestError for an unknown seat, HoldEndedError for an id that is over.
        """
        ...

    async def commit(self, request: CommitSeats) -> CommitOutcome:
        """Sell all the seats or none; safe to repeat."""
        ...

    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        """Free the seats that this id holds, and no others; safe to repeat; the id can not be used again."""
        ...

    async def availability(
        self, event_id: EventId, *, seat_ids: Sequence[SeatId] = (), section: str | None = None
    ) -> Availability:
        """List free seats; raises NotFoundError for an unknown event or section."""
        ...

    async def status(self, event_id: EventId, *, section: str | None = None) -> InventoryStatus:
        """Count an event's seats; raises NotFoundError for an unknown event or section."""
        ...
