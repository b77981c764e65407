"""The read side: lists for subjects and administrators, from indexes that may lag behind writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import EventId, UserId

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list."""

    items: Sequence[T]
    next: str | None
    """Where the next page begins, as `after` of the next call; None at the end."""


class InvalidCursorError(Exception):
    """`after` is not what an earlier page returned."""


class ReadModel(Protocol):
    """Every method raises StoreUnavailableError, and InvalidCursorError for a bad `after`.

    Walking all pages yields each row that was there throughout exactly once.
    """

    async def reservations_of_user(
        self, user_id: UserId, status: Status | None, limit: int, after: str | None
    ) -> Page[Reservation]:
        """List a subject's reservations, never abandoned ones; newest first within a status."""
        ...

    async def orders_of_user(self, user_id: UserId, limit: int, after: str | None) -> Page[Order]:
        """List a subject's orders, newest first."""
        ...

    async def orders_of_event(self, event_id: EventId, limit: int, after: str | None) -> Page[Order]:
        """List an event's orders, newest first."""
        ...
