"""Cancel a hold: one transaction; the relay gives the seats back."""

from reservation_api.application.command import Answer, Command, answer_once, record_of, recorded_or_under_way
from reservation_api.application.loading import MAX_RACES, load_reservation
from reservation_api.application.outbox_entries import Offer, event_entry, release_of
from reservation_api.domain.errors import UnavailableError
from reservation_api.domain.values import ReservationId
from reservation_api.ports.clock import Clock
from reservation_api.ports.store import AddOutboxEntry, InsertRecord, ReservationStore, UpdateReservation


class Cancel:
    """End a hold at its owner's wish."""

    def __init__(self, store: ReservationStore, clock: Clock, offer: Offer) -> None:
        self._store = store
        self._clock = clock
        self._offer = offer

    async def __call__(self, command: Command, reservation_id: ReservationId) -> Answer:
        """Return the CANCELLED reservation; its seats are normally free at once.

        Else within 5 s while a worker runs.

        Raises NotFoundError, WrongStateError, HoldExpiredError, IdempotencyMismatchError, UnavailableError.
        """
        return await answer_once(
            command, self._store, self._clock, lambda: self._cancel(command, reservation_id)
        )

    async def _cancel(self, command: Command, reservation_id: ReservationId) -> Answer:
        for _ in range(MAX_RACES):
            reservation = await load_reservation(self._store, reservation_id, command.subject)
            now = self._clock.now()
            after = reservation.cancelled(now)
            answer = Answer(as_of=now, reservation=after)
            entries = (event_entry(after, command.trace_id), release_of(after, "cancelled", command.trace_id))
            # Point of no return.
            conflict = await self._store.transact(
                [
                    InsertRecord(record_of(command, answer, now), now),
                    UpdateReservation(reservation, after, not_past=now),
                    *(AddOutboxEntry(entry) for entry in entries),
                ]
            )
            if conflict is None:
                self._offer(entries)
                return answer
            if conflict.record is not None:
                return recorded_or_under_way(conflict.record, command)
        raise UnavailableError("other commands keep changing this reservation")
