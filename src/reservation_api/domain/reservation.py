"""The reservation and its state machine.

    (none) ──hold──▶ HOLD ──confirm──▶ CONFIRMED
       │               ├────cancel───▶ CANCELLED
       │               └────expire───▶ EXPIRED
       └──abandon──▶ ABANDONED      an id that will never be used; no subject sees it

HOLD moves once and never back (invariant 2). While a confirm intent stands, only its own outcome moves it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from reservation_api.domain.errors import HoldExpiredError, WrongStateError
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
    to_iso,
    total_price,
)

NOTHING = Money(0, "XXX")
"""The price of no seats; XXX is ISO 4217's word for no currency."""


class Status(StrEnum):
    """The document's statuses, and ABANDONED for an id that must never be committed."""

    HOLD = "HOLD"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    ABANDONED = "ABANDONED"


@dataclass(frozen=True, slots=True)
class HoldPolicy:
    """How long seats may be held (design section 5); every duration in seconds."""

    hold_seconds: int = 60
    grace_seconds: int = 60
    """The inventory keeps the seats this much longer than we do, so that a late confirm finds them."""
    max_hold_seconds: int = 300
    """From creation, extensions included."""
    max_extensions: int = 2

    @property
    def grace(self) -> timedelta:
        """The grace as a duration."""
        return timedelta(seconds=self.grace_seconds)


@dataclass(frozen=True, slots=True)
class ConfirmIntent:
    """A confirm under way: it fences the reservation until the inventory has answered."""

    order_id: OrderId
    """Made with the intent and unique to it, so it also tells this attempt from an earlier one."""
    payment_intent_id: PaymentIntentId
    record_key: RecordKey
    request_hash: str
    trace_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Reservation:
    """Seats of one event held for one subject, and what became of them."""

    reservation_id: ReservationId
    event_id: EventId
    user_id: UserId
    status: Status
    seats: tuple[Seat, ...]
    total_amount: Money
    hold_expires_at: datetime
    record_key: RecordKey
    created_at: datetime
    updated_at: datetime
    version: int
    """How many events this reservation has caused; consumers order by it."""
    extensions: int = 0
    intent: ConfirmIntent | None = None
    order_id: OrderId | None = None
    payment_intent_id: PaymentIntentId | None = None
    reservation_token: str | None = None

    @property
    def qty(self) -> int:
        """The number of seats."""
        return len(self.seats)

    @property
    def seat_ids(self) -> tuple[SeatId, ...]:
        """The seats' ids, in the order in which they were held."""
        return tuple(seat.seat_id for seat in self.seats)

    def is_live(self, now: datetime) -> bool:
        """Tell whether the reservation keeps its seats from others (design section 2)."""
        return self.status is Status.CONFIRMED or (self.status is Status.HOLD and now < self.hold_expires_at)

    def check_movable(self, now: datetime) -> None:
        """Raise WrongStateError or HoldExpiredError unless the subject may move it at `now`."""
        if self.status is Status.EXPIRED:
            raise HoldExpiredError("the hold has expired", hold_expires_at=to_iso(self.hold_expires_at))
        if self.status is not Status.HOLD:
            raise WrongStateError(f"the reservation is {self.status}", status=self.status.value)
        if self.intent is not None:
            raise WrongStateError("a confirm of this reservation is under way", status=self.status.value)
        if now >= self.hold_expires_at:
            raise HoldExpiredError("the hold has expired", hold_expires_at=to_iso(self.hold_expires_at))

    def with_intent(self, intent: ConfirmIntent) -> "Reservation":
        """Fence the hold for a confirm; raises WrongStateError or HoldExpiredError."""
        self.check_movable(intent.created_at)
        return replace(self, intent=intent, updated_at=intent.created_at)

    def confirmed(self, now: datetime) -> "Reservation":
        """Sell the seats to the intent that stands."""
        intent = self._standing_intent()
        return self._moved(Status.CONFIRMED, now, intent.payment_intent_id, intent.order_id)

    def payment_refused(self, now: datetime) -> "Reservation":
        """Drop the intent and stay on HOLD: the subject may pay otherwise."""
        self._standing_intent()
        return replace(self, intent=None, updated_at=now)

    def seats_gone(self, now: datetime) -> "Reservation":
        """Expire under a standing intent; the payment stays on it, so that it can be refunded."""
        intent = self._standing_intent()
        return self._moved(Status.EXPIRED, now, intent.payment_intent_id)

    def cancelled(self, now: datetime) -> "Reservation":
        """Give the seats back; raises WrongStateError or HoldExpiredError."""
        self.check_movable(now)
        return self._moved(Status.CANCELLED, now)

    def expired(self, now: datetime) -> "Reservation":
        """End a hold whose time is over; raises WrongStateError if it is not, or an intent stands."""
        if self.status is not Status.HOLD or self.intent is not None or now < self.hold_expires_at:
            raise WrongStateError("the hold is not due to expire", status=self.status.value)
        return self._moved(Status.EXPIRED, now)

    def extension_target(self, seconds: int, now: datetime, policy: HoldPolicy) -> datetime:
        """Say until when the hold may last if extended; raises WrongStateError or HoldExpiredError."""
        self.check_movable(now)
        if self.extensions >= policy.max_extensions:
            raise WrongStateError("the hold has been extended as often as it may", status=self.status.value)
        cap = self.created_at + timedelta(seconds=policy.max_hold_seconds)
        return min(self.hold_expires_at + timedelta(seconds=seconds), cap)

    def extended(self, until: datetime, now: datetime) -> "Reservation":
        """Move the end of the hold to `until`; raises WrongStateError if that is no later."""
        self.check_movable(now)
        if until <= self.hold_expires_at:
            raise WrongStateError("the hold can not be made to last longer", status=self.status.value)
        return replace(self, hold_expires_at=until, extensions=self.extensions + 1, updated_at=now)

    def _standing_intent(self) -> ConfirmIntent:
        if self.status is not Status.HOLD or self.intent is None:
            raise WrongStateError("no confirm is under way", status=self.status.value)
        return self.intent

    def _moved(
        self,
        status: Status,
        now: datetime,
        payment_intent_id: PaymentIntentId | None = None,
        order_id: OrderId | None = None,
    ) -> "Reservation":
        return replace(
            self,
            status=status,
            intent=None,
            version=self.version + 1,
            updated_at=now,
            order_id=order_id,
            payment_intent_id=payment_intent_id,
        )


@dataclass(frozen=True, slots=True)
class NewHold:
    """What a hold is made of before it is a reservation."""

    reservation_id: ReservationId
    event_id: EventId
    user_id: UserId
    record_key: RecordKey
    reservation_token: str | None = None


def held(
    hold: NewHold,
    seats: tuple[Seat, ...],
    now: datetime,
    hold_expires_at: datetime,
    began_at: datetime | None = None,
) -> Reservation:
    """Begin a reservation; its price is that of the seats now (invariant 2).

    A retried hold began when the inventory first kept its seats, which is before now.
    """
    return Reservation(
        reservation_id=hold.reservation_id,
        event_id=hold.event_id,
        user_id=hold.user_id,
        status=Status.HOLD,
        seats=seats,
        total_amount=total_price(seats),
        hold_expires_at=hold_expires_at,
        record_key=hold.record_key,
        created_at=began_at or now,
        updated_at=now,
        version=1,
        reservation_token=hold.reservation_token,
    )


def abandoned(hold: NewHold, now: datetime) -> Reservation:
    """Occupy an id for good, so that no twin request can commit it any more."""
    return Reservation(
        reservation_id=hold.reservation_id,
        event_id=hold.event_id,
        user_id=hold.user_id,
        status=Status.ABANDONED,
        seats=(),
        total_amount=NOTHING,
        hold_expires_at=now,
        record_key=hold.record_key,
        created_at=now,
        updated_at=now,
        version=0,
        reservation_token=hold.reservation_token,
    )
