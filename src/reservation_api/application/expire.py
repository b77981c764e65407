"""Expire holds whose time is over: one conditional transaction each, by any number of workers."""

import asyncio
from datetime import datetime

from reservation_api.application.outbox_entries import Offer, event_entry, release_of
from reservation_api.application.tracing import new_trace_id
from reservation_api.domain.reservation import Reservation
from reservation_api.ports.clock import Clock
from reservation_api.ports.store import AddOutboxEntry, ReservationStore, UpdateReservation

BATCH_SIZE = 100
"""Holds read at a time; all of a batch are written at once and share the store's commits."""


class Expire:
    """Move due holds to EXPIRED and leave their events and releases to the relay."""

    def __init__(self, store: ReservationStore, clock: Clock, offer: Offer) -> None:
        self._store = store
        self._clock = clock
        self._offer = offer

    async def run_once(self) -> int:
        """Expire up to BATCH_SIZE holds; return how many were due. Raises StoreUnavailableError."""
        now = self._clock.now()
        due = await self._store.due_holds(now, BATCH_SIZE)
        outcomes = await asyncio.gather(*(self._expire(hold, now) for hold in due), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return len(due)

    async def _expire(self, reservation: Reservation, now: datetime) -> None:
        after = reservation.expired(now)
        trace_id = new_trace_id()
        entries = (event_entry(after, trace_id), release_of(after, "expired", trace_id))
        # Point of no return; a conflict means that the hold was confirmed, cancelled, extended or expired.
        conflict = await self._store.transact(
            [
                UpdateReservation(reservation, after, past=now),
                *(AddOutboxEntry(entry) for entry in entries),
            ]
        )
        if conflict is None:
            self._offer(entries)
