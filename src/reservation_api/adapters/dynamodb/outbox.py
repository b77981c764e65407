"""The outbox port on DynamoDB."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from reservation_api.adapters.dynamodb.calls import DynamoDb
from reservation_api.adapters.dynamodb.index_reads import PAGE_ENTRIES, Wanted, oldest
from reservation_api.adapters.dynamodb.items import Item
from reservation_api.adapters.dynamodb.outbox_items import outbox_entry_of, outbox_key
from reservation_api.adapters.dynamodb.shards import StatusShards
from reservation_api.adapters.dynamodb.tables import OUTBOX_STATUS_INDEX, TableNames
from reservation_api.adapters.dynamodb.writes import TransactItems
from reservation_api.domain.values import OutboxId, to_iso
from reservation_api.ports.outbox import OutboxEntry, OutboxStatus, OutboxType

_IN_STATUS = "#status = :status"
_OLD_ENOUGH = " AND created_at <= :made_by"
_DUE = "#type = :type AND next_retry_at <= :now"


class DynamoDbOutbox:
    """Implements ports.outbox.Outbox on the outbox table."""

    def __init__(
        self, dynamodb: DynamoDb, tables: TableNames, shards: StatusShards, shortest_wait_seconds: int = 0
    ) -> None:
        """Take new rows to wait for `shortest_wait_seconds` at least, so that younger ones need no look."""
        self._shortest_wait = timedelta(seconds=shortest_wait_seconds)
        self._dynamodb = dynamodb
        self._table = tables.outbox
        self._shards = shards
        self._items = TransactItems(tables, shards)

    async def due(self, kind: OutboxType, now: datetime, limit: int) -> Sequence[OutboxEntry]:
        """Read the index of pending rows, past those of other types or not due yet; see the port."""

        def judge(item: Item) -> OutboxEntry | None:
            entry = outbox_entry_of(item)
            is_due = entry.status is OutboxStatus.PENDING and entry.next_retry_at <= now
            return entry if is_due else None  # its type never changes: the index is right about it

        due = {
            "KeyConditionExpression": _IN_STATUS + _OLD_ENOUGH,
            "FilterExpression": _DUE,
            "ExpressionAttributeNames": {"#status": "status", "#type": "type"},
        }
        values = {
            ":type": {"S": kind.value},
            ":now": {"S": to_iso(now)},
            ":made_by": {"S": to_iso(now - self._shortest_wait)},
        }
        queries = [self._query(status, due, values) for status in self._shards.all_of(OutboxStatus.PENDING)]
        wanted = Wanted(self._table, "next_retry_at", judge, limit, among=PAGE_ENTRIES)
        return await oldest(self._dynamodb, queries, wanted)

    async def update(self, before: OutboxEntry, after: OutboxEntry) -> bool:
        """Compare and set one row; see the port.

        A transaction of one, since its token lets it be sent again when the answer was lost: a claim that is
        won and not heard of leaves the row to nobody until it is over.
        """
        return await self._dynamodb.transact([self._items.replacing(before, after)]) is None

    async def remove(self, outbox_ids: Sequence[OutboxId]) -> None:
        """Delete by primary key; see the port."""
        if outbox_ids:
            await self._dynamodb.delete(self._table, [outbox_key(outbox_id) for outbox_id in outbox_ids])

    async def get(self, outbox_id: OutboxId) -> OutboxEntry | None:
        """Read by primary key; see the port."""
        item = await self._dynamodb.get(self._table, outbox_key(outbox_id))
        return None if item is None else outbox_entry_of(item)

    async def list(self, status: OutboxStatus, limit: int) -> Sequence[OutboxEntry]:
        """Read the index of rows in one status; see the port."""

        def judge(item: Item) -> OutboxEntry | None:
            entry = outbox_entry_of(item)
            return entry if entry.status is status else None

        listed = {"KeyConditionExpression": _IN_STATUS, "ExpressionAttributeNames": {"#status": "status"}}
        queries = [self._query(stored, listed, {}) for stored in self._shards.all_of(status)]
        return await oldest(self._dynamodb, queries, Wanted(self._table, "created_at", judge, limit))

    def _query(self, status: str, conditions: Item, values: Item) -> Item:
        return {
            "TableName": self._table,
            "IndexName": OUTBOX_STATUS_INDEX,
            "ExpressionAttributeValues": {":status": {"S": status}, **values},
            **conditions,
        }
