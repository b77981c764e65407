"""The store port on DynamoDB: a command is one TransactWriteItems, and nothing is read on its happy path.

hold      record ∧ reservation absent ──▶ record, HOLD, event
confirm   HOLD ∧ not past ∧ no intent ──▶ intent, guard ──▶ CONFIRMED, order, event, record completed
cancel    HOLD ∧ not past ∧ no intent ──▶ CANCELLED, event, release, record
expire    HOLD ∧ past ∧ no intent ──────▶ EXPIRED, event, release
abandon   reservation absent ───────────▶ ABANDONED, release
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any, Final

from reservation_api.adapters.dynamodb.calls import DynamoDb, Reasons
from reservation_api.adapters.dynamodb.expired_records import ExpiredRecords
from reservation_api.adapters.dynamodb.failures import REASONS, Reason
from reservation_api.adapters.dynamodb.index_reads import PAGE_ENTRIES, Wanted, oldest
from reservation_api.adapters.dynamodb.items import (
    Item,
    is_guard,
    is_past,
    order_of,
    record_of,
    reservation_of,
)
from reservation_api.adapters.dynamodb.shards import StatusShards
from reservation_api.adapters.dynamodb.tables import PK, STATUS_CREATED_INDEX, TableNames
from reservation_api.adapters.dynamodb.writes import TransactItems
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import OrderId, RecordKey, ReservationId, to_iso
from reservation_api.ports.store import (
    CompleteRecord,
    Conflict,
    DropPaymentGuard,
    GuardPayment,
    IdempotencyRecord,
    InsertRecord,
    InsertReservation,
    UpdateReservation,
    Write,
)

_DUE = "hold_expires_at <= :now AND attribute_not_exists(intent_order_id)"
_OPEN: Final = nullcontext()
"""Keeps nothing of who is in it: one is enough for all."""


class DynamoDbReservationStore:
    """Implements ports.store.ReservationStore on four tables."""

    def __init__(
        self,
        dynamodb: DynamoDb,
        tables: TableNames,
        shards: StatusShards,
        shortest_hold_seconds: int = 0,
    ) -> None:
        """Take holds to last `shortest_hold_seconds` at least, so that younger ones need not be looked at."""
        self._dynamodb = dynamodb
        self._tables = tables
        self._shards = shards
        self._shortest_hold = timedelta(seconds=shortest_hold_seconds)
        self._items = TransactItems(tables, shards)
        self._expired_records = ExpiredRecords(dynamodb, tables.idempotency)

    def admission(self) -> AbstractAsyncContextManager[None]:
        """Let everybody in: this adapter knows of no outage before it calls; a guard around it may."""
        return _OPEN

    async def transact(self, writes: Sequence[Write]) -> Conflict | None:
        """Write with one TransactWriteItems; see the port."""
        left = list(writes)
        while left:
            reasons = await self._dynamodb.transact([self._items.of(write) for write in left])
            if reasons is None:
                return None
            conflict = _conflict_of(left, reasons)
            if conflict.refused:
                return conflict
            # Only guards that are other reservations' refused. They stay, and the rest is written without.
            left = [write for write, reason in zip(left, reasons, strict=True) if not _is_refused(reason)]
        return None

    async def get_reservation(self, reservation_id: ReservationId) -> Reservation | None:
        """Read by primary key; see the port."""
        item = await self._dynamodb.first_of(self._tables.reservations, reservation_id)
        return None if item is None else reservation_of(item)

    async def get_order(self, order_id: OrderId) -> Order | None:
        """Read by primary key; see the port."""
        item = await self._dynamodb.first_of(self._tables.orders, order_id)
        return None if item is None or is_guard(item) else order_of(item)

    async def find_record(self, key: RecordKey, now: datetime) -> IdempotencyRecord | None:
        """Read by primary key; see the port."""
        item = await self._dynamodb.get(self._tables.idempotency, {PK: {"S": key}})
        record = None if item is None else record_of(item)
        return None if record is None or is_past(record.ttl, now) else record

    async def due_holds(self, now: datetime, limit: int) -> Sequence[Reservation]:
        """Read the index of holds from the oldest on; see the port."""

        def judge(item: Item) -> Reservation | None:
            hold = reservation_of(item)
            is_due = hold.status is Status.HOLD and hold.intent is None and hold.hold_expires_at <= now
            return hold if is_due else None

        queries = [self._due_query(status, now) for status in self._shards.all_of(Status.HOLD)]
        wanted = Wanted(self._tables.reservations, "hold_expires_at", judge, limit, among=PAGE_ENTRIES)
        return sorted(await oldest(self._dynamodb, queries, wanted), key=lambda hold: hold.hold_expires_at)

    async def purge_records(self, now: datetime, limit: int) -> int:
        """Scan for records past their `ttl`; see the port."""
        return await self._expired_records.purge(now, limit)

    def _due_query(self, status: str, now: datetime) -> Item:
        return {
            "TableName": self._tables.reservations,
            "IndexName": STATUS_CREATED_INDEX,
            "KeyConditionExpression": "#status = :status AND created_at <= :began_by",
            "FilterExpression": _DUE,
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {
                ":status": {"S": status},
                ":began_by": {"S": to_iso(now - self._shortest_hold)},
                ":now": {"S": to_iso(now)},
            },
        }


def _is_refused(reason: Mapping[str, Any]) -> bool:
    return REASONS[reason["Code"]] is Reason.REFUSED


def _conflict_of(writes: Sequence[Write], reasons: Reasons) -> Conflict:
    """Say what stood in the way; a guard that is not ours to drop does not."""
    refused: set[type[Write]] = set()
    record: IdempotencyRecord | None = None
    reservation: Reservation | None = None
    payment_owner: ReservationId | None = None
    for write, reason in zip(writes, reasons, strict=True):
        if not _is_refused(reason) or isinstance(write, DropPaymentGuard):
            continue
        refused.add(type(write))
        item = reason.get("Item")
        match write:
            case _ if item is None:
                pass  # nothing was found: only an update is refused by that
            case InsertRecord() | CompleteRecord():
                record = record_of(item)
            case InsertReservation() | UpdateReservation():
                reservation = reservation_of(item)
            case GuardPayment():
                payment_owner = ReservationId(item["reservation_id"]["S"])
            case _:
                pass
    return Conflict(frozenset(refused), record, reservation, payment_owner)
