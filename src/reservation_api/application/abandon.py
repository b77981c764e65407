"""Abandon a hold that must not be committed: never by releasing the seats directly.

    request A   ReserveSeat(id) ─────── abandon: put terminal row (id absent) + release row
    its twin B      ReserveSeat(id) ── commit: put HOLD row (id absent)

One of the two rows gets the id. If B wins, its seats stay; if A wins, B finds the id taken and goes on
with another. A direct release would free seats that B is about to call its own.
"""

from reservation_api.application.outbox_entries import Offer, ReleasePayload, release_entry
from reservation_api.domain.reservation import NewHold, abandoned
from reservation_api.domain.values import SeatId
from reservation_api.ports.clock import Clock
from reservation_api.ports.store import AddOutboxEntry, InsertReservation, ReservationStore


class Abandon:
    """Give up an id and the seats that the inventory holds for it."""

    def __init__(self, store: ReservationStore, clock: Clock, offer: Offer) -> None:
        self._store = store
        self._clock = clock
        self._offer = offer

    async def __call__(self, hold: NewHold, seat_ids: tuple[SeatId, ...], trace_id: str) -> bool:
        """Occupy the id if it is absent, and leave the release to the relay; tell whether it was absent.

        Raises StoreUnavailableError; the inventory's own expiry frees the seats then.
        """
        now = self._clock.now()
        payload = ReleasePayload(hold.event_id, seat_ids, "abandoned")
        release = release_entry(hold.reservation_id, payload, trace_id, now)
        # Point of no return.
        conflict = await self._store.transact(
            [InsertReservation(abandoned(hold, now)), AddOutboxEntry(release)]
        )
        if conflict is None:
            self._offer([release])
        return conflict is None
