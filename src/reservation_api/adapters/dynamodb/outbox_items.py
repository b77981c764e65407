"""Outbox rows to items and back."""

from typing import Final

from reservation_api.adapters.dynamodb.items import Item, optional
from reservation_api.adapters.dynamodb.shards import word_of
from reservation_api.adapters.dynamodb.tables import PK, SK
from reservation_api.domain.values import OutboxId, from_iso, to_iso
from reservation_api.ports.outbox import (
    RESERVATION_AGGREGATE,
    OutboxEntry,
    OutboxStatus,
    OutboxType,
    aggregate_of,
)


def outbox_key(outbox_id: OutboxId) -> Item:
    """Return the key of an outbox row, which its id is enough for."""
    return {PK: {"S": outbox_id}, SK: {"S": f"{RESERVATION_AGGREGATE}#{aggregate_of(outbox_id)}"}}


def outbox_item(entry: OutboxEntry, status: str) -> Item:
    """Write an outbox row with its status as it is stored (document section 1.4)."""
    return {
        **outbox_key(entry.outbox_id),
        "type": {"S": entry.type},
        "aggregate_type": {"S": entry.aggregate_type},
        "aggregate_id": {"S": entry.aggregate_id},
        "payload": {"S": entry.payload},
        "trace_id": {"S": entry.trace_id},
        "created_at": {"S": to_iso(entry.created_at)},
        **trying(entry, status),
    }


def trying(entry: OutboxEntry, status: str) -> Item:
    """Write what an attempt may change; without `last_error` while there is none."""
    item = {
        "status": {"S": status},
        "attempts": {"N": str(entry.attempts)},
        "next_retry_at": {"S": to_iso(entry.next_retry_at)},
        "updated_at": {"S": to_iso(entry.updated_at)},
    }
    if entry.last_error is not None:
        item["last_error"] = {"S": entry.last_error}
    return item


OPTIONALLY_TRYING: Final = ("last_error",)
"""What `trying` may leave out."""


def outbox_entry_of(item: Item) -> OutboxEntry:
    """Read what `outbox_item` wrote."""
    return OutboxEntry(
        outbox_id=OutboxId(item[PK]["S"]),
        type=OutboxType(item["type"]["S"]),
        aggregate_id=item["aggregate_id"]["S"],
        payload=item["payload"]["S"],
        trace_id=item["trace_id"]["S"],
        created_at=from_iso(item["created_at"]["S"]),
        updated_at=from_iso(item["updated_at"]["S"]),
        next_retry_at=from_iso(item["next_retry_at"]["S"]),
        status=OutboxStatus(word_of(item["status"]["S"])),
        attempts=int(item["attempts"]["N"]),
        last_error=optional(item, "last_error", str),
        aggregate_type=item["aggregate_type"]["S"],
    )
