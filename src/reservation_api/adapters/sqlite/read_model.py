"""The read side on SQLite; `after` is the sort key of the last row shown, so pages stay put under inserts."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.rows import (
    ORDER_COLUMNS,
    RESERVATION_COLUMNS,
    Row,
    order_of,
    reservation_of,
)
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import EventId, UserId, to_iso
from reservation_api.ports.read_model import InvalidCursorError, Page

T = TypeVar("T")

_HIGHEST = "\U0010ffff"
"""Sorts after every status, instant and id: where a descending list begins."""
_RESERVATIONS = (
    f"SELECT {RESERVATION_COLUMNS} FROM reservations"
    " WHERE user_id = ? AND status <> 'ABANDONED' AND (status, created_at, reservation_id) < (?, ?, ?)"
    " ORDER BY status DESC, created_at DESC, reservation_id DESC LIMIT ?"
)
_RESERVATIONS_IN_STATUS = (
    f"SELECT {RESERVATION_COLUMNS} FROM reservations"
    " WHERE user_id = ? AND status = ? AND status <> 'ABANDONED' AND (created_at, reservation_id) < (?, ?)"
    " ORDER BY created_at DESC, reservation_id DESC LIMIT ?"
)
_ORDERS_OF_USER = (
    f"SELECT {ORDER_COLUMNS} FROM orders WHERE user_id = ? AND (created_at, order_id) < (?, ?)"
    " ORDER BY created_at DESC, order_id DESC LIMIT ?"
)
_ORDERS_OF_EVENT = _ORDERS_OF_USER.replace("user_id = ?", "event_id = ?")


class SqliteReadModel:
    """Implements ports.read_model.ReadModel on one Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reservations_of_user(
        self, user_id: UserId, status: Status | None, limit: int, after: str | None
    ) -> Page[Reservation]:
        """Walk the index of users; see the port."""
        if status is None:
            rows = await self._select(_RESERVATIONS, (user_id, *_position(after, 3), limit + 1))
            return _page(rows, limit, reservation_of, _reservation_position)
        where = (user_id, status.value, *_position(after, 2), limit + 1)
        rows = await self._select(_RESERVATIONS_IN_STATUS, where)
        return _page(rows, limit, reservation_of, lambda item: _reservation_position(item)[1:])

    async def orders_of_user(self, user_id: UserId, limit: int, after: str | None) -> Page[Order]:
        """Walk the index of users; see the port."""
        rows = await self._select(_ORDERS_OF_USER, (user_id, *_position(after, 2), limit + 1))
        return _page(rows, limit, order_of, _order_position)

    async def orders_of_event(self, event_id: EventId, limit: int, after: str | None) -> Page[Order]:
        """Walk the index of events; see the port."""
        rows = await self._select(_ORDERS_OF_EVENT, (event_id, *_position(after, 2), limit + 1))
        return _page(rows, limit, order_of, _order_position)

    async def _select(self, query: str, parameters: tuple[object, ...]) -> list[Row]:
        return await self._database.read(lambda connection: connection.execute(query, parameters).fetchall())


def _reservation_position(reservation: Reservation) -> list[str]:
    return [reservation.status.value, to_iso(reservation.created_at), reservation.reservation_id]


def _order_position(order: Order) -> list[str]:
    return [to_iso(order.created_at), order.order_id]


def _position(after: str | None, width: int) -> Sequence[str]:
    if after is None:
        return [_HIGHEST] * width
    try:
        position = msgspec.json.decode(after, type=list[str])
    except msgspec.DecodeError as error:
        raise InvalidCursorError("not a position") from error
    if len(position) != width:
        raise InvalidCursorError("a position of another list")
    return position


def _page(
    rows: list[Row], limit: int, read: Callable[[Row], T], position: Callable[[T], list[str]]
) -> Page[T]:
    items = [read(row) for row in rows[:limit]]
    more = len(rows) > limit
    return Page(items, msgspec.json.encode(position(items[-1])).decode() if more else None)
