"""Recover a half-done confirm: commit again with the same id and key until there is an answer."""

from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.domain.errors import RefusedError
from reservation_api.domain.values import OrderId, ReservationId
from reservation_api.ports.store import ReservationStore


class Recover:
    """Finish the intent that a recovery row names, if it still stands."""

    def __init__(self, store: ReservationStore, finish: FinishConfirm) -> None:
        self._store = store
        self._finish = finish

    async def __call__(self, reservation_id: ReservationId, order_id: OrderId) -> None:
        """Return once the intent stands no more; raises UnavailableError while the outcome is unknown."""
        reservation = await self._store.get_reservation(reservation_id)
        if reservation is None or reservation.intent is None or reservation.intent.order_id != order_id:
            return
        try:
            await self._finish(reservation, reservation.intent)
        except RefusedError:
            return  # refused is an outcome too, and it is on record
