"""The four tables in memory, for reckoning: they do what is asked, and count what DynamoDB charges for it.

Nobody else writes here, so every condition holds and none is looked at. What is charged:

    a write      each KB of the larger of the item before and after; twice in a transaction
    an entry     each KB, once: what is not shown by the index costs nothing, a changed key costs two
    a read       each 4 KB of an item; of an index half of that, in proportion: pages there are shared by many
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, Final

from reservation_api.adapters.dynamodb.items import Item
from reservation_api.adapters.dynamodb.shards import word_of
from reservation_api.adapters.dynamodb.sizes import (
    OVERHEAD_BYTES,
    READ_UNIT_BYTES,
    item_bytes,
    read_units,
    write_units,
)
from reservation_api.adapters.dynamodb.tables import INDEXES, PK, SK, Index, TableNames

NAMES: Final = TableNames(*INDEXES)
"""Here tables are called by what they are."""
TRANSACTIONAL: Final = 2
"""DynamoDB writes each item of a transaction twice, to prepare and to commit."""
_EVENTUAL: Final = 0.5
_KEPT: Final = frozenset(INDEXES) - {"idempotency", "outbox"}
"""Tables whose rows stay."""


@dataclass(slots=True)
class Meter:
    """What has been charged so far: units by table and index, and bytes that stay."""

    write: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    read: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    by_status: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    """Of the indexes by status: write units by index and status, whatever its shard."""
    stored_bytes: int = 0


class MeteredTables:
    """Implements aws_wire's AwsCaller for the calls that our adapters make of DynamoDB."""

    def __init__(self) -> None:
        self.meter = Meter()
        self._rows: dict[str, dict[tuple[str, str], Item]] = {table: {} for table in astuple(NAMES)}

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        """Do one call; raises ValueError for one that no use case makes."""
        del repeatable
        match operation:
            case "TransactWriteItems":
                for item in request["TransactItems"]:
                    ((kind, write),) = item.items()
                    self._write(kind, write, TRANSACTIONAL)
                return {}
            case "DeleteItem":
                self._write("Delete", dict(request), 1)
                return {}
            case "BatchWriteItem":
                for table, deletes in request["RequestItems"].items():
                    for delete in deletes:
                        self._write("Delete", {"TableName": table, **delete["DeleteRequest"]}, 1)
                return {}
            case "GetItem":
                found = self._read(request["TableName"], request["Key"])
                return {} if found is None else {"Item": found}
            case "BatchGetItem":
                ((table, wanted),) = request["RequestItems"].items()
                rows = [self._read(table, key) for key in wanted["Keys"]]
                return {"Responses": {table: [row for row in rows if row is not None]}}
            case "Query":
                return {"Items": list(self._query(request))}
            case _:
                raise ValueError(f"no use case makes this call: {operation}")

    def _write(self, kind: str, write: Item, times: int) -> None:
        table = write["TableName"]
        key = _key_of(write["Item"] if kind == "Put" else write["Key"])
        before = self._rows[table].pop(key, None)
        after = None
        if kind == "Put":
            after = write["Item"]
        elif kind == "Update" and before is not None:
            after = _updated(before, write)
        if after is not None:
            self._rows[table][key] = after
        self.meter.write[table] += times * max(1, write_units(max(_bytes(before), _bytes(after))))
        if table in _KEPT:
            self.meter.stored_bytes += _stored(after) - _stored(before)
        for index in INDEXES[table]:
            self._write_entry(index, _entry(index, before), _entry(index, after), kept=table in _KEPT)

    def _write_entry(self, index: Index, before: Item | None, after: Item | None, *, kept: bool) -> None:
        if kept:
            self.meter.stored_bytes += _stored(after) - _stored(before)
        if before == after:
            return
        if before is not None and after is not None and _index_key(index, before) == _index_key(index, after):
            before = None  # one write in its place
        for entry in (before, after):
            if entry is not None:
                units = write_units(item_bytes(entry))
                self.meter.write[index.name] += units
                if index.hash_key == "status":
                    self.meter.by_status[index.name, word_of(entry["status"]["S"])] += units

    def _read(self, table: str, key: Item) -> Item | None:
        row = self._rows[table].get(_key_of(key))
        self.meter.read[table] += read_units(_bytes(row))
        return row

    def _query(self, request: Mapping[str, Any]) -> Iterator[Item]:
        """Yield what has the hash key; what else is asked of it, the adapters look at again themselves."""
        hash_value = request["ExpressionAttributeValues"][
            request["KeyConditionExpression"].split(" AND ")[0].split(" = ")[1]
        ]
        table, rows = request["TableName"], self._rows[request["TableName"]].values()
        if "IndexName" not in request:
            found = [row for row in rows if row[PK] == hash_value]
            self.meter.read[table] += read_units(sum(map(item_bytes, found)))
            yield from found
            return
        index = next(index for index in INDEXES[table] if index.name == request["IndexName"])
        for entry in (_entry(index, row) for row in rows):
            if entry is not None and entry[index.hash_key] == hash_value:
                self.meter.read[index.name] += _EVENTUAL * item_bytes(entry) / READ_UNIT_BYTES
                yield entry


def _key_of(item: Item) -> tuple[str, str]:
    return item[PK]["S"], item[SK]["S"] if SK in item else ""


def _bytes(item: Item | None) -> int:
    return 0 if item is None else item_bytes(item)


def _stored(item: Item | None) -> int:
    return 0 if item is None else item_bytes(item) + OVERHEAD_BYTES


def _entry(index: Index, row: Item | None) -> Item | None:
    """Return what an index shows of a row: nothing, if the row has not both of the index's keys."""
    if row is None or index.hash_key not in row or index.range_key not in row:
        return None
    shown = (PK, SK, index.hash_key, index.range_key, *index.also)
    return {name: row[name] for name in shown if name in row}


def _index_key(index: Index, entry: Item) -> tuple[Item, Item]:
    return entry[index.hash_key], entry[index.range_key]


def _updated(row: Item, update: Item) -> Item:
    """Carry out an update expression as `expressions` writes it."""
    names = update.get("ExpressionAttributeNames", {})
    settings, _, removal = update["UpdateExpression"].removeprefix("SET ").partition(" REMOVE ")
    changed = dict(row)
    for setting in settings.split(", "):
        name, value = setting.split(" = ")
        changed[names.get(name, name)] = update["ExpressionAttributeValues"][value]
    for name in filter(None, removal.split(", ")):
        changed.pop(name, None)
    return changed
