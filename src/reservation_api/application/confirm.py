"""Confirm a hold: an intent fences seats, key and payment before the inventory sells (design section 3)."""

import secrets
from dataclasses import dataclass

from reservation_api.application.command import Answer, Command, answer_once, record_of, recorded_answer
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.application.loading import MAX_RACES, load_reservation
from reservation_api.application.outbox_entries import recovery_entry
from reservation_api.domain.errors import PaymentAlreadyUsedError, UnavailableError
from reservation_api.domain.reservation import ConfirmIntent, Reservation
from reservation_api.domain.values import OrderId, PaymentIntentId, ReservationId
from reservation_api.ports.clock import Clock
from reservation_api.ports.payment import PaymentClaim, PaymentVerifier
from reservation_api.ports.store import (
    AddOutboxEntry,
    Conflict,
    GuardPayment,
    InsertRecord,
    ReservationStore,
    UpdateReservation,
)


@dataclass(frozen=True, slots=True)
class Payment:
    """Which reservation a subject pays for, and with what."""

    reservation_id: ReservationId
    payment_intent_id: PaymentIntentId


class Confirm:
    """Turn a paid hold into an order."""

    def __init__(
        self, store: ReservationStore, payments: PaymentVerifier, clock: Clock, finish: FinishConfirm
    ) -> None:
        self._store = store
        self._payments = payments
        self._clock = clock
        self._finish = finish

    async def __call__(self, command: Command, payment: Payment) -> Answer:
        """Return the order and the CONFIRMED reservation.

        Raises NotFoundError, WrongStateError, HoldExpiredError, PaymentRefusedError,
        PaymentAlreadyUsedError, IdempotencyMismatchError, and UnavailableError while nobody knows: the
        intent stands then, and a retry or a worker finishes it.
        """
        return await answer_once(command, self._store, self._clock, lambda: self._confirm(command, payment))

    async def _confirm(self, command: Command, payment: Payment) -> Answer:
        reservation = await load_reservation(self._store, payment.reservation_id, command.subject)
        verified = False
        for _ in range(MAX_RACES):
            intent = reservation.intent
            if intent is not None and _is_own(intent, command):
                async with self._finish.admission():
                    return await self._finish_or_replay(reservation, intent, command)
            reservation.check_movable(self._clock.now())
            if not verified:
                await self._payments.verify(_claim(reservation, payment))
                verified = True
            # First the right to an answer: an open breaker must refuse before anything is written.
            async with self._finish.admission():
                fenced = reservation.with_intent(self._new_intent(command, payment))
                conflict = await self._fence(reservation, fenced, command)
                if conflict is None and fenced.intent is not None:
                    return await self._finish_or_replay(fenced, fenced.intent, command)
            reservation = await load_reservation(self._store, payment.reservation_id, command.subject)
            if conflict is not None:
                answer = _answer_of(conflict, command)
                if answer is not None:
                    return answer
        raise UnavailableError("other commands keep changing this reservation")

    def _new_intent(self, command: Command, payment: Payment) -> ConfirmIntent:
        now = self._clock.now()
        return ConfirmIntent(
            order_id=OrderId(f"ord_{int(now.timestamp() * 1000):012x}{secrets.token_hex(8)}"),
            payment_intent_id=payment.payment_intent_id,
            record_key=command.record_key,
            request_hash=command.request_hash,
            trace_id=command.trace_id,
            created_at=now,
        )

    async def _fence(
        self, reservation: Reservation, fenced: Reservation, command: Command
    ) -> Conflict | None:
        """Set the intent, with its recovery row, its pending record and the payment's guard, or nothing."""
        intent = fenced.intent
        if intent is None:
            raise ValueError("a fence is an intent")
        now = intent.created_at
        return await self._store.transact(
            [
                InsertRecord(record_of(command, None, now), now),
                UpdateReservation(reservation, fenced, not_past=now),
                GuardPayment(intent.payment_intent_id, reservation.reservation_id),
                AddOutboxEntry(recovery_entry(fenced, intent.order_id, command.trace_id)),
            ]
        )

    async def _finish_or_replay(
        self, reservation: Reservation, intent: ConfirmIntent, command: Command
    ) -> Answer:
        answer = await self._finish(reservation, intent)
        if answer is not None:
            return answer
        record = await self._store.find_record(command.record_key, self._clock.now())
        answer = None if record is None else recorded_answer(record, command)
        if answer is None:
            raise UnavailableError("this confirm was finished elsewhere; ask again")
        return answer


def _is_own(intent: ConfirmIntent, command: Command) -> bool:
    return intent.record_key == command.record_key and intent.request_hash == command.request_hash


def _claim(reservation: Reservation, payment: Payment) -> PaymentClaim:
    return PaymentClaim(
        payment.payment_intent_id, reservation.reservation_id, reservation.user_id, reservation.total_amount
    )


def _answer_of(conflict: Conflict, command: Command) -> Answer | None:
    """Return the answer on record; None: decide anew. Raises the refusal that the conflict amounts to."""
    if conflict.record is not None:
        return recorded_answer(conflict.record, command)
    if GuardPayment in conflict.refused and UpdateReservation not in conflict.refused:
        raise PaymentAlreadyUsedError("this payment intent pays for another reservation")
    return None
