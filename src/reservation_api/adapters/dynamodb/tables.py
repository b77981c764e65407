"""The four tables: names of keys and indexes, and what each index shows, in this one place.

The document (section 1) binds the names. An index shows no more than what its readers choose rows by: each
is a hint, and the rows themselves are read from the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

PK: Final = "pk"
SK: Final = "sk"
TTL: Final = "ttl"
"""Of the idempotency table: what DynamoDB deletes records by, some time later."""

USER_STATUS_INDEX: Final = "user-status-index"
STATUS_CREATED_INDEX: Final = "status-created-index"
USER_CREATED_INDEX: Final = "user-created-index"
EVENT_CREATED_INDEX: Final = "event-created-index"
OUTBOX_STATUS_INDEX: Final = "status-created_at-index"


@dataclass(frozen=True, slots=True)
class TableNames:
    """What the tables are called in this environment."""

    reservations: str
    orders: str
    idempotency: str
    outbox: str


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index: its keys, and what it shows besides the keys of index and table."""

    name: str
    hash_key: str
    range_key: str
    also: tuple[str, ...] = ()


INDEXES: Final[Mapping[str, tuple[Index, ...]]] = {
    "reservations": (
        Index(USER_STATUS_INDEX, "user_id", "status", also=("created_at",)),
        Index(STATUS_CREATED_INDEX, "status", "created_at", also=("hold_expires_at", "intent_order_id")),
    ),
    "orders": (
        Index(USER_CREATED_INDEX, "user_id", "created_at"),
        Index(EVENT_CREATED_INDEX, "event_id", "created_at"),
    ),
    "idempotency": (),
    "outbox": (Index(OUTBOX_STATUS_INDEX, "status", "created_at", also=("type", "next_retry_at")),),
}
"""By the field of TableNames."""


def create_table_requests(names: TableNames) -> Sequence[Mapping[str, Any]]:
    """Return CreateTable's requests, for development and tests; Terraform makes the tables elsewhere.

    Without the TTL of the idempotency table: rows past it count as absent, deleted or not.
    """
    tables = zip(INDEXES.items(), astuple(names), strict=True)
    return [_create_table(name, kind, indexes) for (kind, indexes), name in tables]


def _create_table(name: str, kind: str, indexes: Sequence[Index]) -> Mapping[str, Any]:
    keys = [PK] if kind == "idempotency" else [PK, SK]
    attributes = {*keys, *(key for index in indexes for key in (index.hash_key, index.range_key))}
    request: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _schema(*keys),
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in sorted(attributes)],
    }
    if indexes:
        request["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index.name,
                "KeySchema": _schema(index.hash_key, index.range_key),
                "Projection": _projection(index),
            }
            for index in indexes
        ]
    return request


def _schema(*keys: str) -> list[Mapping[str, str]]:
    return [
        {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
    ]


def _projection(index: Index) -> Mapping[str, Any]:
    if not index.also:
        return {"ProjectionType": "KEYS_ONLY"}
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.also)}
