"""Finish a confirm whose intent stands: for the request that began it, its retries, and the recovery worker.

T1  intent set ──────────── crash or time-out here leaves the intent standing
    CommitReservation        same id, same key, each time
T2  point of no return       one of all that got here wins; the others find its record
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from reservation_api.application.command import Answer, Refusal, record_for, refusal_error
from reservation_api.application.outbox_entries import Offer, event_entry, recovery_id, release_of
from reservation_api.domain.errors import (
    HoldExpiredError,
    PaymentRefusedError,
    StoreUnavailableError,
)
from reservation_api.domain.order import order_of
from reservation_api.domain.reservation import ConfirmIntent, Reservation
from reservation_api.domain.values import to_iso
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import CommitOutcome, CommitSeats, Inventory
from reservation_api.ports.outbox import OutboxEntry
from reservation_api.ports.store import (
    AddOutboxEntry,
    CompleteRecord,
    Conflict,
    DropPaymentGuard,
    InsertOrder,
    RemoveOutboxEntry,
    ReservationStore,
    UpdateReservation,
    Write,
)


@dataclass(frozen=True, slots=True)
class _Ending:
    """What an outcome of the commit means for the rows."""

    after: Reservation
    answer: Answer
    entries: tuple[OutboxEntry, ...] = ()
    more: tuple[Write, ...] = ()


class FinishConfirm:
    """Commit the seats of a standing intent and write down what came of it."""

    def __init__(self, store: ReservationStore, inventory: Inventory, clock: Clock, offer: Offer) -> None:
        self._store = store
        self._inventory = inventory
        self._clock = clock
        self._offer = offer

    def admission(self) -> AbstractAsyncContextManager[None]:
        """Hold the right to the inventory's answer; raises InventoryUnavailableError when entered in vain."""
        return self._inventory.admission()

    async def __call__(self, reservation: Reservation, intent: ConfirmIntent) -> Answer | None:
        """Return the answer, or None if somebody else finished this intent first.

        Raises PaymentRefusedError or HoldExpiredError when that is the outcome (it is on record then),
        and UnavailableError when the outcome is unknown: the intent stands, and a worker tries again.
        """
        outcome = await self._inventory.commit(_commit_request(reservation, intent))
        ending = _ending_of(outcome, reservation, intent, self._clock.now())
        if not await self._write(reservation, intent, ending):
            return None
        self._offer(ending.entries)
        if ending.answer.refusal is not None:
            raise refusal_error(ending.answer.refusal)
        return ending.answer

    async def _write(self, reservation: Reservation, intent: ConfirmIntent, ending: _Ending) -> bool:
        now = ending.after.updated_at
        record = record_for(intent.record_key, intent.request_hash, ending.answer, now)
        moves: list[Write] = [
            UpdateReservation(reservation, ending.after),
            *ending.more,
            *(AddOutboxEntry(entry) for entry in ending.entries),
            RemoveOutboxEntry(recovery_id(reservation.reservation_id, intent.order_id)),
        ]
        # Point of no return.
        conflict = await self._store.transact([CompleteRecord(record, now), *moves])
        if conflict is not None and conflict.refused == {CompleteRecord}:
            # Recovery took longer than the record lives, and the key means another request by now.
            conflict = await self._store.transact(moves)
        return _was_written(conflict)


def _was_written(conflict: Conflict | None) -> bool:
    if conflict is None:
        return True
    if UpdateReservation in conflict.refused:
        return False
    raise StoreUnavailableError(
        f"the store refused what nobody else writes: {sorted(map(str, conflict.refused))}"
    )


def _commit_request(reservation: Reservation, intent: ConfirmIntent) -> CommitSeats:
    return CommitSeats(
        reservation_id=reservation.reservation_id,
        event_id=reservation.event_id,
        user_id=reservation.user_id,
        seat_ids=reservation.seat_ids,
        payment_intent_id=intent.payment_intent_id,
        idempotency_key=f"{reservation.reservation_id}:confirm:{intent.order_id}",
    )


def _ending_of(
    outcome: CommitOutcome, reservation: Reservation, intent: ConfirmIntent, now: datetime
) -> _Ending:
    match outcome:
        case CommitOutcome.SOLD:
            after = reservation.confirmed(now)
            order = order_of(after)
            answer = Answer(as_of=now, reservation=after, order=order)
            return _Ending(after, answer, (event_entry(after, intent.trace_id),), (InsertOrder(order),))
        case CommitOutcome.PAYMENT_REFUSED:
            after = reservation.payment_refused(now)
            refusal = Refusal(PaymentRefusedError.code, "the payment was refused", intent.trace_id)
            drop = DropPaymentGuard(intent.payment_intent_id, reservation.reservation_id)
            return _Ending(after, Answer(as_of=now, refusal=refusal), more=(drop,))
        case CommitOutcome.HOLD_EXPIRED | CommitOutcome.SEATS_CONFLICT:
            return _seats_gone(reservation, intent, now)
        case _:
            assert_never(outcome)


def _seats_gone(reservation: Reservation, intent: ConfirmIntent, now: datetime) -> _Ending:
    """End the hold; the payment's guard stays, and the event carries it, so that it is refunded once."""
    after = reservation.seats_gone(now)
    refusal = Refusal(
        HoldExpiredError.code,
        "the seats are gone; the payment will be refunded",
        intent.trace_id,
        {"hold_expires_at": to_iso(reservation.hold_expires_at)},
    )
    entries = (event_entry(after, intent.trace_id), release_of(after, "seats gone", intent.trace_id))
    return _Ending(after, Answer(as_of=now, refusal=refusal), entries)
