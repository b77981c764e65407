"""The read side on DynamoDB: an index names the rows of a page, the table tells them as they are now.

`after` is where in its index the last row of a page was found.
"""

import heapq
from collections.abc import Sequence
from typing import Final

import msgspec

from reservation_api.adapters.dynamodb.calls import DynamoDb
from reservation_api.adapters.dynamodb.index_reads import IndexScan
from reservation_api.adapters.dynamodb.items import Item, order_of, reservation_of
from reservation_api.adapters.dynamodb.shards import word_of
from reservation_api.adapters.dynamodb.tables import (
    EVENT_CREATED_INDEX,
    PK,
    SK,
    USER_CREATED_INDEX,
    USER_STATUS_INDEX,
    TableNames,
)
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import EventId, UserId, from_iso, to_iso
from reservation_api.ports.read_model import InvalidCursorError, Page

_LISTED: Final = frozenset(status.value for status in Status) - {Status.ABANDONED.value}
_FIRST_LISTED: Final = min(_LISTED)
_LAST_LISTED: Final = max(_LISTED)
"""In the order of their texts; ABANDONED comes before them all."""
_BEHIND_SHARDS: Final = "~"
"""HOLD, HOLD#00 … HOLD#99 are all up to `HOLD~`, and nothing else is."""
_MAX_KEY_BYTES: Final = 1024
"""Of a sort key; a longer one in a cursor would be refused as malformed."""

_Position = tuple[str, str, str]
"""Of a reservation: status, `created_at`, id. Of an order: `created_at`, id, reservation id."""
_Place = tuple[str, str, str, str]
"""A reservation's position, and its event: where an entry of the index stands, and what its row's key is."""


class DynamoDbReadModel:
    """Implements ports.read_model.ReadModel on the indexes by user and by event."""

    def __init__(self, dynamodb: DynamoDb, tables: TableNames) -> None:
        self._dynamodb = dynamodb
        self._tables = tables

    async def reservations_of_user(
        self, user_id: UserId, status: Status | None, limit: int, after: str | None
    ) -> Page[Reservation]:
        """Look through a user's entries for the page's; see the port.

        Without a status, a row that has moved since its entry was written is shown as it is now. Moves go to
        later pages only: it may be seen there once more, which is better than not at all.
        """
        if status is Status.ABANDONED:
            return Page([], None)
        before = None if after is None else _reservation_position(after, status)
        last = before[0] if before is not None else _LAST_LISTED if status is None else status.value
        first = _FIRST_LISTED if status is None else status.value
        places = await self._newest(self._entries(user_id, first, last), limit + 1, before)
        shown = places[:limit]
        rows = await self._dynamodb.rows(
            self._tables.reservations, [{PK: {"S": place[2]}, SK: {"S": place[3]}} for place in shown]
        )
        items = [row for row in map(reservation_of, rows.values()) if status in {None, row.status}]
        items.sort(key=_position_of, reverse=True)
        return Page(items, _cursor(places[limit - 1][:3]) if len(places) > limit else None)

    async def orders_of_user(self, user_id: UserId, limit: int, after: str | None) -> Page[Order]:
        """Walk the index of users; see the port."""
        return await self._orders(USER_CREATED_INDEX, ("user_id", user_id), limit, after)

    async def orders_of_event(self, event_id: EventId, limit: int, after: str | None) -> Page[Order]:
        """Walk the index of events; see the port."""
        return await self._orders(EVENT_CREATED_INDEX, ("event_id", event_id), limit, after)

    async def _newest(self, entries: IndexScan, count: int, before: _Position | None) -> list[_Place]:
        """Return the first `count` places of a list that the index has in the order of statuses only."""
        newest: list[_Place] = []
        while entries.has_more_pages:
            page = [_place_of(entry) for entry in await entries.next_page()]
            behind = (place for place in page if before is None or place[:3] < before)
            newest = heapq.nlargest(count, (*newest, *behind))
            # Whatever follows is of a status that is no later in the list's order than this page's last.
            if page and len(newest) == count and newest[-1][0] > page[-1][0]:
                break
        return newest

    def _entries(self, user_id: UserId, first: str, last: str) -> IndexScan:
        query: Item = {
            "TableName": self._tables.reservations,
            "IndexName": USER_STATUS_INDEX,
            "KeyConditionExpression": "user_id = :user_id AND #status BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {
                ":user_id": {"S": user_id},
                ":first": {"S": first},
                ":last": {"S": last + _BEHIND_SHARDS},
            },
            "ScanIndexForward": False,
        }
        return IndexScan(self._dynamodb, query)

    async def _orders(self, index: str, owner: tuple[str, str], limit: int, after: str | None) -> Page[Order]:
        attribute, value = owner
        query: Item = {
            "TableName": self._tables.orders,
            "IndexName": index,
            "KeyConditionExpression": f"{attribute} = :owner",
            "ExpressionAttributeValues": {":owner": {"S": value}},
            "ScanIndexForward": False,
        }
        if after is not None:
            created_at, order_id, reservation_id = _position(after)
            _check_instant(created_at)
            query["ExclusiveStartKey"] = {
                attribute: {"S": value},
                "created_at": {"S": created_at},
                PK: {"S": order_id},
                SK: {"S": reservation_id},
            }
        entries = await IndexScan(self._dynamodb, query, page_entries=limit + 1).take(limit + 1)
        shown = entries[:limit]
        rows = await self._dynamodb.rows(
            self._tables.orders, [{PK: entry[PK], SK: entry[SK]} for entry in shown]
        )
        orders = [order_of(rows[pk]) for pk in (entry[PK]["S"] for entry in shown) if pk in rows]
        more = len(entries) > limit
        return Page(orders, _cursor(_order_position(shown[-1])) if more else None)


def _place_of(entry: Item) -> _Place:
    return word_of(entry["status"]["S"]), entry["created_at"]["S"], entry[PK]["S"], entry[SK]["S"]


def _position_of(reservation: Reservation) -> _Position:
    return reservation.status.value, to_iso(reservation.created_at), reservation.reservation_id


def _order_position(entry: Item) -> _Position:
    return entry["created_at"]["S"], entry[PK]["S"], entry[SK]["S"]


def _cursor(position: Sequence[str]) -> str:
    return msgspec.json.encode(position).decode()


def _reservation_position(after: str, status: Status | None) -> _Position:
    position = _position(after)
    if position[0] not in _LISTED or status not in {None, position[0]}:
        raise InvalidCursorError("a position of another list")
    _check_instant(position[1])
    return position


def _position(after: str) -> _Position:
    try:
        position: _Position = msgspec.json.decode(after, type=_Position)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise InvalidCursorError("not a position") from error
    if not all(0 < len(part.encode()) <= _MAX_KEY_BYTES for part in position):
        raise InvalidCursorError("no row is there")
    return position


def _check_instant(text: str) -> None:
    try:
        from_iso(text)
    except ValueError as error:
        raise InvalidCursorError("not an instant") from error
