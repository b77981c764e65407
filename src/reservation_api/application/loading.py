"""Loading what a command is about, for its owner only."""

from reservation_api.domain.errors import NotFoundError
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import ReservationId, UserId
from reservation_api.ports.store import ReservationStore

MAX_RACES = 4
"""How often a command decides anew because another changed the reservation between its read and its write."""


async def load_reservation(
    store: ReservationStore, reservation_id: ReservationId, subject: UserId
) -> Reservation:
    """Return the subject's reservation; raises NotFoundError for another's too (invariant 7)."""
    reservation = await store.get_reservation(reservation_id)
    if reservation is None or reservation.user_id != subject or reservation.status is Status.ABANDONED:
        raise NotFoundError("no such reservation")
    return reservation
