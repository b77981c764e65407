"""The meters beside a DynamoDB: the same requests over a real wire, charged by what the tables then hold."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import astuple
from math import ceil
from typing import Any, Final

import pytest
from tests.support.dynamodb import Tables, empty_tables, opened_client

from reservation_api.adapters.aws_wire.errors import AwsCaller
from reservation_api.adapters.dynamodb.items import Item
from reservation_api.adapters.dynamodb.sizes import item_bytes
from reservation_api.adapters.dynamodb.tables import INDEXES, TableNames
from reservation_api.adapters.eventbridge.metered_bus import MeteredEventBus
from reservation_api.application.capacity.tariff import PLANNED
from reservation_api.bootstrap.rehearsal import Aws, Rehearsal, rehearsed

SEATS: Final = 2
WRITES: Final = frozenset({"TransactWriteItems", "DeleteItem", "BatchWriteItem"})
Rows = dict[tuple[str, str], Item]


class Watched:
    """Passes calls on, and compares all tables and all indexes before and after each that writes."""

    def __init__(self, caller: AwsCaller, tables: Tables) -> None:
        self._caller = caller
        self._tables = tables
        self._kinds = dict(zip(astuple(tables.names), INDEXES, strict=True))
        self.write: dict[str, float] = defaultdict(float)
        self.read: dict[str, float] = defaultdict(float)
        self.is_watching = False

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        if not self.is_watching:
            return await self._caller.call(operation, request, repeatable=repeatable)
        before = self._everything() if operation in WRITES else {}
        answer = await self._caller.call(operation, request, repeatable=repeatable)
        if operation in WRITES:
            times = 2 if operation == "TransactWriteItems" else 1
            self._charge_writes(before, self._everything(), times)
        else:
            self._charge_reads(operation, request, answer)
        return answer

    def _everything(self) -> dict[str, Rows]:
        found = {}
        for table, kind in self._kinds.items():
            found[kind] = self._scan({"TableName": table})
            for index in INDEXES[kind]:
                found[index.name] = self._scan({"TableName": table, "IndexName": index.name})
        return found

    def _scan(self, request: Item) -> Rows:
        items = self._tables.call("Scan", request)["Items"]
        return {(item["pk"]["S"], item.get("sk", {"S": ""})["S"]): item for item in items}

    def _charge_writes(self, before: dict[str, Rows], after: dict[str, Rows], times: int) -> None:
        for name, rows in after.items():
            for key in rows.keys() | before[name].keys():
                old, new = before[name].get(key), rows.get(key)
                if old != new:
                    self.write[name] += times * units(old, new) if name in INDEXES else entry_units(old, new)

    def _charge_reads(self, operation: str, request: Mapping[str, Any], answer: Any) -> None:
        if operation == "BatchGetItem":
            for table, rows in answer["Responses"].items():
                self.read[self._kinds[table]] += sum(ceil(item_bytes(row) / 4096) for row in rows)
            return
        items = answer["Items"] if operation == "Query" else [answer.get("Item", {})]
        size = sum(map(item_bytes, items))
        if "IndexName" in request:
            self.read[request["IndexName"]] += size / 4096 / 2
        else:
            self.read[self._kinds[request["TableName"]]] += max(1, ceil(size / 4096))


def units(old: Item | None, new: Item | None) -> int:
    return ceil(max(item_bytes(row) for row in (old, new) if row is not None) / 1024)


def entry_units(old: Item | None, new: Item | None) -> int:
    """An entry that goes elsewhere is written twice, one that stays in its place once."""
    if old is None or new is None or keys_of(old) == keys_of(new):
        return units(old, new)
    return units(old, None) + units(None, new)


def keys_of(entry: Item) -> list[Item | None]:
    """The keys of our indexes that change: a status. `created_at` and the owner never do."""
    return [entry.get("status")]


@pytest.fixture(scope="module")
def names() -> TableNames:
    return empty_tables("metered").names


@pytest.mark.timeout(300)
async def test_each_request_is_charged_as_the_meters_say(names: TableNames) -> None:
    predicted = await rehearsed(SEATS)
    assert predicted.keys() == set(PLANNED)
    async with AsyncExitStack() as stack:
        watched, bus = Watched(opened_client(stack), empty_tables("metered")), MeteredEventBus()
        seen = set()
        for name, make in Rehearsal(Aws(watched, names, bus), SEATS).steps():
            watched.is_watching = name is not None
            watched.write, watched.read = defaultdict(float), defaultdict(float)
            published = bus.meter.events
            await make()
            if name is None:
                continue
            assert watched.write == predicted[name].write, name
            read = {table: round(units, 3) for table, units in watched.read.items() if units}
            assert read == predicted[name].read, name
            assert bus.meter.events - published == predicted[name].events, name
            seen.add(name)
    assert seen == predicted.keys()
