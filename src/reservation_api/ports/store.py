"""The store: one atomic, conditional write per command, and reads by key.

A transaction is a list of writes, each with its own condition. Either all conditions hold and all writes
are durable, or nothing is written and the Conflict says what was found instead (invariant 3).
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation
from reservation_api.domain.values import OrderId, OutboxId, PaymentIntentId, RecordKey, ReservationId
from reservation_api.ports.outbox import OutboxEntry


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """What a command with this key was, and what it was answered."""

    key: RecordKey
    request_hash: str
    response_snapshot: str | None
    """None while the command is under way (a confirm whose intent stands)."""
    ttl: int
    """Unix seconds; from this second on the record counts as absent, deleted or not."""


@dataclass(frozen=True, slots=True)
class InsertReservation:
    """The id is absent."""

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class UpdateReservation:
    """Still as in `before`: on HOLD, with the same number of extensions and the same intent or none.

    With `not_past`: and `hold_expires_at` is later than that instant.
    With `past`: and `hold_expires_at` is at that instant or earlier.
    """

    before: Reservation
    after: Reservation
    not_past: datetime | None = None
    past: datetime | None = None


@dataclass(frozen=True, slots=True)
class InsertRecord:
    """The key is absent, or its `ttl` has passed at `now`."""

    record: IdempotencyRecord
    now: datetime


@dataclass(frozen=True, slots=True)
class CompleteRecord:
    """As InsertRecord, or the record is pending with the same request hash."""

    record: IdempotencyRecord
    now: datetime


@dataclass(frozen=True, slots=True)
class InsertOrder:
    """The order id is absent."""

    order: Order


@dataclass(frozen=True, slots=True)
class GuardPayment:
    """No other reservation has this payment intent (absent, or this reservation's)."""

    payment_intent_id: PaymentIntentId
    reservation_id: ReservationId


@dataclass(frozen=True, slots=True)
class DropPaymentGuard:
    """No condition; removes the guard if it is this reservation's."""

    payment_intent_id: PaymentIntentId
    reservation_id: ReservationId


@dataclass(frozen=True, slots=True)
class AddOutboxEntry:
    """The outbox id is absent."""

    entry: OutboxEntry


@dataclass(frozen=True, slots=True)
class RemoveOutboxEntry:
    """No condition."""

    outbox_id: OutboxId


Write = (
    InsertReservation
    | UpdateReservation
    | InsertRecord
    | CompleteRecord
    | InsertOrder
    | GuardPayment
    | DropPaymentGuard
    | AddOutboxEntry
    | RemoveOutboxEntry
)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why nothing was written: each refused condition, with the row that was found."""

    refused: frozenset[type[Write]]
    record: IdempotencyRecord | None = None
    """The unexpired record that refused InsertRecord or CompleteRecord."""
    reservation: Reservation | None = None
    """The row that refused InsertReservation or UpdateReservation."""
    payment_owner: ReservationId | None = None
    """The reservation that the payment intent already pays for."""


class ReservationStore(Protocol):
    """Every method raises StoreUnavailableError: after a `transact`, perhaps written, perhaps not."""

    def admission(self) -> AbstractAsyncContextManager[None]:
        """Hold the right to one call, asked for before seats are taken at the inventory.

        Entering raises StoreUnavailableError at once if the store is not to be called now. Whoever holds the
        inventory's admission as well asks for that one first, or two could wait for each other.
        """
        ...

    async def transact(self, writes: Sequence[Write]) -> Conflict | None:
        """Write all or nothing; return None once it is durable, or all the conditions that refused it."""
        ...

    async def get_reservation(self, reservation_id: ReservationId) -> Reservation | None:
        """Return the reservation as of the last committed write, abandoned ones included."""
        ...

    async def get_order(self, order_id: OrderId) -> Order | None:
        """Return the order as of the last committed write."""
        ...

    async def find_record(self, key: RecordKey, now: datetime) -> IdempotencyRecord | None:
        """Return the record as of the last committed write, unless its `ttl` has passed at `now`."""
        ...

    async def due_holds(self, now: datetime, limit: int) -> Sequence[Reservation]:
        """Return holds past `hold_expires_at` without an intent, oldest first; may lag behind writes.

        If there are more than `limit`, some of the oldest: workers beside each other are given others.
        """
        ...

    async def purge_records(self, now: datetime, limit: int) -> int:
        """Delete up to `limit` records whose `ttl` has passed; return how many went."""
        ...
