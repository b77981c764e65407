"""Each kind of write as one item of TransactWriteItems: Put, Update or Delete with the port's condition.

A record's `ttl` is compared in the condition, since DynamoDB deletes late:

    ──────── unexpired: it refuses ────────┤ ttl ├──── absent: put over it ────▶ now

So is the end of a hold:

    ──── not past: cancel, extend, confirm ────┤ hold_expires_at ├──── past: expire ────▶ now
"""

from typing import Final, assert_never

from reservation_api.adapters.dynamodb.expressions import STATUS_NAME, update_of
from reservation_api.adapters.dynamodb.items import (
    OPTIONALLY_MOVING,
    Item,
    guard_key,
    moving,
    order_item,
    record_item,
    reservation_item,
    reservation_key,
    unix_seconds,
)
from reservation_api.adapters.dynamodb.outbox_items import (
    OPTIONALLY_TRYING,
    outbox_item,
    outbox_key,
    trying,
)
from reservation_api.adapters.dynamodb.shards import StatusShards
from reservation_api.adapters.dynamodb.tables import PK, TTL, TableNames
from reservation_api.domain.reservation import Status
from reservation_api.domain.values import PaymentIntentId, ReservationId, to_iso
from reservation_api.ports.outbox import OutboxEntry
from reservation_api.ports.store import (
    AddOutboxEntry,
    CompleteRecord,
    DropPaymentGuard,
    GuardPayment,
    InsertOrder,
    InsertRecord,
    InsertReservation,
    RemoveOutboxEntry,
    UpdateReservation,
    Write,
)

_ABSENT: Final = f"attribute_not_exists({PK})"
_TTL_PASSED: Final = "#ttl <= :now"
_OWN_PENDING: Final = "(attribute_not_exists(response_snapshot) AND request_hash = :hash)"
_INSERT_RECORD: Final = f"{_ABSENT} OR {_TTL_PASSED}"
_COMPLETE_RECORD: Final = f"{_ABSENT} OR {_TTL_PASSED} OR {_OWN_PENDING}"
_TTL_NAME: Final = {"#ttl": TTL}
_ABSENT_OR_OWN: Final = f"{_ABSENT} OR reservation_id = :reservation_id"

# A row that is absent has no status, and refuses an update by that.
_AS_BEFORE: Final = "begins_with(#status, :hold) AND extensions = :extensions_before"
_NO_INTENT: Final = " AND attribute_not_exists(intent_order_id)"
_THAT_INTENT: Final = " AND intent_order_id = :intent_before"
_NOT_PAST: Final = " AND hold_expires_at > :not_past"
_PAST: Final = " AND hold_expires_at <= :past"
_AS_CLAIMED: Final = "begins_with(#status, :status_before) AND next_retry_at = :next_retry_at_before"
_ON_HOLD: Final = {"S": Status.HOLD.value}


class TransactItems:
    """Writes for these tables, with statuses in these shards."""

    def __init__(self, tables: TableNames, shards: StatusShards) -> None:
        self._tables = tables
        self._shards = shards

    def of(self, write: Write) -> Item:
        """Return the transaction's item of one write."""
        item: Item
        match write:
            case InsertRecord(record, now):
                item = self._put(self._tables.idempotency, record_item(record), _INSERT_RECORD)
                item["Put"] |= _with({":now": unix_seconds(now)}, _TTL_NAME)
            case InsertReservation(reservation):
                status = self._shards.stored(reservation.status, reservation.reservation_id)
                item = self._put(self._tables.reservations, reservation_item(reservation, status))
            case AddOutboxEntry(entry):
                status = self._shards.stored(entry.status, entry.outbox_id)
                item = self._put(self._tables.outbox, outbox_item(entry, status))
            case UpdateReservation():
                item = self._update_reservation(write)
            case CompleteRecord(record, now):
                item = self._put(self._tables.idempotency, record_item(record), _COMPLETE_RECORD)
                values = {":now": unix_seconds(now), ":hash": {"S": record.request_hash}}
                item["Put"] |= _with(values, _TTL_NAME)
            case InsertOrder(order):
                item = self._put(self._tables.orders, order_item(order))
            case GuardPayment(payment_intent_id, reservation_id):
                owner = {"S": reservation_id}
                guard = {**guard_key(payment_intent_id), "reservation_id": owner}
                item = self._put(self._tables.orders, guard, _ABSENT_OR_OWN)
                item["Put"] |= _with({":reservation_id": owner})
            case DropPaymentGuard(payment_intent_id, reservation_id):
                item = self._drop_guard(payment_intent_id, reservation_id)
            case RemoveOutboxEntry(outbox_id):
                item = {"Delete": {"TableName": self._tables.outbox, "Key": outbox_key(outbox_id)}}
            case _:
                assert_never(write)
        return item

    def replacing(self, before: OutboxEntry, after: OutboxEntry) -> Item:
        """Return the item that replaces an outbox row's state if it is as in `before`."""
        attributes = trying(after, self._shards.stored(after.status, after.outbox_id))
        expression, values = update_of(attributes, OPTIONALLY_TRYING)
        values[":status_before"] = {"S": before.status.value}
        values[":next_retry_at_before"] = {"S": to_iso(before.next_retry_at)}
        update = {
            "TableName": self._tables.outbox,
            "Key": outbox_key(before.outbox_id),
            "UpdateExpression": expression,
            "ConditionExpression": _AS_CLAIMED,
            **_with(values, STATUS_NAME),
        }
        return {"Update": update}

    def _put(self, table: str, item: Item, condition: str = _ABSENT) -> Item:
        put = {"TableName": table, "Item": item, "ConditionExpression": condition, **_TELL}
        return {"Put": put}

    def _update_reservation(self, write: UpdateReservation) -> Item:
        before, after = write.before, write.after
        attributes = moving(after, self._shards.stored(after.status, after.reservation_id))
        expression, values = update_of(attributes, OPTIONALLY_MOVING)
        values[":hold"] = _ON_HOLD
        values[":extensions_before"] = {"N": str(before.extensions)}
        condition = _AS_BEFORE
        if before.intent is None:
            condition += _NO_INTENT
        else:
            condition += _THAT_INTENT
            values[":intent_before"] = {"S": before.intent.order_id}
        if write.not_past is not None:
            condition += _NOT_PAST
            values[":not_past"] = {"S": to_iso(write.not_past)}
        if write.past is not None:
            condition += _PAST
            values[":past"] = {"S": to_iso(write.past)}
        update = {
            "TableName": self._tables.reservations,
            "Key": reservation_key(before),
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            **_with(values, STATUS_NAME),
            **_TELL,
        }
        return {"Update": update}

    def _drop_guard(self, payment_intent_id: PaymentIntentId, reservation_id: ReservationId) -> Item:
        delete = {
            "TableName": self._tables.orders,
            "Key": guard_key(payment_intent_id),
            "ConditionExpression": _ABSENT_OR_OWN,
            **_with({":reservation_id": {"S": reservation_id}}),
        }
        return {"Delete": delete}


_TELL: Final = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
"""What was found comes with the refusal, and no read is needed."""


def _with(values: Item, names: Item | None = None) -> Item:
    """Return an expression's values, and the names that stand for reserved words."""
    request: Item = {"ExpressionAttributeValues": values}
    if names is not None:
        request["ExpressionAttributeNames"] = names
    return request
