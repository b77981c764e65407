"""The query side: reads that change nothing; each shows a subject its own only (invariant 7)."""

from collections.abc import Sequence

from reservation_api.application.loading import load_reservation
from reservation_api.domain.errors import InvalidRequestError, NotFoundError
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import EventId, OrderId, ReservationId, SeatId, UserId
from reservation_api.ports.identity import ADMIN_SCOPE, Caller
from reservation_api.ports.inventory import Availability, Inventory, InventoryStatus
from reservation_api.ports.read_model import InvalidCursorError, Page, ReadModel
from reservation_api.ports.store import ReservationStore


class Queries:
    """Reads by id are as of the last write; lists may lag behind."""

    def __init__(self, store: ReservationStore, read_model: ReadModel, inventory: Inventory) -> None:
        self._store = store
        self._read_model = read_model
        self._inventory = inventory

    async def reservation(self, subject: UserId, reservation_id: ReservationId) -> Reservation:
        """Return the subject's reservation; raises NotFoundError."""
        return await load_reservation(self._store, reservation_id, subject)

    async def owner_of(self, reservation_id: ReservationId) -> UserId:
        """Name a reservation's owner, for trusted callers only: a gateway that may speak for any subject.

        Raises NotFoundError. Nobody else may learn it, or that there is such a reservation (invariant 7).
        """
        reservation = await self._store.get_reservation(reservation_id)
        if reservation is None or reservation.status is Status.ABANDONED:
            raise NotFoundError("no such reservation")
        return reservation.user_id

    async def order(self, subject: UserId, order_id: OrderId) -> Order:
        """Return the subject's order; raises NotFoundError."""
        order = await self._store.get_order(order_id)
        if order is None or order.user_id != subject:
            raise NotFoundError("no such order")
        return order

    async def reservations(
        self, subject: UserId, status: Status | None, limit: int, after: str | None
    ) -> Page[Reservation]:
        """List the subject's reservations; raises InvalidRequestError for a bad cursor."""
        try:
            return await self._read_model.reservations_of_user(subject, status, limit, after)
        except InvalidCursorError as error:
            raise _bad_cursor() from error

    async def orders(self, subject: UserId, limit: int, after: str | None) -> Page[Order]:
        """List the subject's orders; raises InvalidRequestError for a bad cursor."""
        try:
            return await self._read_model.orders_of_user(subject, limit, after)
        except InvalidCursorError as error:
            raise _bad_cursor() from error

    async def orders_of_event(
        self, caller: Caller, event_id: EventId, limit: int, after: str | None
    ) -> Page[Order]:
        """List all orders of an event for an administrator; raises NotFoundError for anybody else."""
        if ADMIN_SCOPE not in caller.scopes:
            raise NotFoundError("no such resource")
        try:
            return await self._read_model.orders_of_event(event_id, limit, after)
        except InvalidCursorError as error:
            raise _bad_cursor() from error

    async def inventory_status(self, event_id: EventId, section: str | None) -> InventoryStatus:
        """Count an event's seats by section; raises NotFoundError."""
        return await self._inventory.status(event_id, section=section)

    async def available_seats(
        self, event_id: EventId, seat_ids: Sequence[SeatId], section: str | None
    ) -> Availability:
        """List seats that could be held now; raises NotFoundError."""
        return await self._inventory.availability(event_id, seat_ids=seat_ids, section=section)


def _bad_cursor() -> InvalidRequestError:
    return InvalidRequestError("the cursor is not one of this list's", errors=["cursor: not valid here"])
