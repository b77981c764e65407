"""What DynamoDB does under load, and no stand-in for it: indexes lag, transactions meet, batches stop."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import astuple
from itertools import count
from typing import Any

from reservation_api.adapters.aws_wire.errors import AwsCaller, AwsRefusedError
from reservation_api.adapters.dynamodb.items import Item
from reservation_api.adapters.dynamodb.tables import PK, SK, TableNames

Rows = Sequence[tuple[str, Item]]
"""Tables and keys."""


async def at_once(seconds: float) -> None:
    """Wait for nothing, as a pause between tries."""
    await asyncio.sleep(0)


class LaggingIndexes:
    """Indexes that show rows as they were some calls ago: they are those of other tables, which follow.

    It keeps what all processes of a runtime share. New rows show at once unless `new_rows_too`.
    """

    def __init__(
        self, names: TableNames, copies: TableNames, lag: int, *, new_rows_too: bool = False
    ) -> None:
        self.copies = dict(zip(astuple(names), astuple(copies), strict=True))
        self._lag = lag
        self._new_rows_too = new_rows_too
        self._events: deque[Rows] = deque()
        self._turn = asyncio.Lock()

    async def follow(self, caller: AwsCaller, put: Rows, changed: Rows) -> None:
        """Count one more call: what was put shows at once, what was changed `lag` calls later."""
        async with self._turn:
            self._events.append([*put, *changed] if self._new_rows_too else changed)
            due = [] if self._new_rows_too else list(put)
            while len(self._events) > self._lag:
                due += self._events.popleft()
            if due:
                await self._copy(caller, due)

    async def _copy(self, caller: AwsCaller, rows: Rows) -> None:
        """Show rows as they are now, and show no more of those that are gone."""
        for table, key in {(table, str(key)): (table, key) for table, key in rows}.values():
            answer = await caller.call(
                "GetItem", {"TableName": table, "Key": key, "ConsistentRead": True}, repeatable=True
            )
            operation, what = ("PutItem", "Item") if "Item" in answer else ("DeleteItem", "Key")
            request = {"TableName": self.copies[table], what: answer.get("Item", key)}
            await caller.call(operation, request, repeatable=True)


class BehindIndexes:
    """An AwsCaller of one process whose index queries go to indexes that lag."""

    def __init__(self, caller: AwsCaller, indexes: LaggingIndexes) -> None:
        self._caller = caller
        self._indexes = indexes

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        if "IndexName" in request:
            await self._indexes.follow(self._caller, [], [])
            request = {**request, "TableName": self._indexes.copies[request["TableName"]]}
        answer = await self._caller.call(operation, request, repeatable=repeatable)
        put, changed = written(operation, request)
        if put or changed:
            await self._indexes.follow(self._caller, put, changed)
        return answer


def written(operation: str, request: Mapping[str, Any]) -> tuple[Rows, Rows]:
    """Return the rows that a request puts, and those that it changes or deletes."""
    put: list[tuple[str, Item]] = []
    changed: list[tuple[str, Item]] = []
    match operation:
        case "TransactWriteItems":
            for item in request["TransactItems"]:
                ((kind, write),) = item.items()
                key = key_of(write["Item"]) if kind == "Put" else write["Key"]
                (put if kind == "Put" else changed).append((write["TableName"], key))
        case "BatchWriteItem":
            for table, writes in request["RequestItems"].items():
                changed += [(table, write["DeleteRequest"]["Key"]) for write in writes]
        case "DeleteItem":
            changed.append((request["TableName"], request["Key"]))
    return put, changed


def key_of(item: Item) -> Item:
    return {name: item[name] for name in (PK, SK) if name in item}


class BusyTables:
    """An AwsCaller whose every third transaction meets another, and every second batch is left half done."""

    def __init__(self, caller: AwsCaller) -> None:
        self._caller = caller
        self._transactions = count(1)
        self._batches = count(1)

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        if operation == "TransactWriteItems" and next(self._transactions) % 3 == 0:
            codes = ["TransactionConflict", *["ConditionalCheckFailed"] * (len(request["TransactItems"]) - 1)]
            raise cancelled(*codes)
        if operation in {"BatchGetItem", "BatchWriteItem"} and next(self._batches) % 2 == 0:
            return await self._half_of(operation, request)
        return await self._caller.call(operation, request, repeatable=repeatable)

    async def _half_of(self, operation: str, request: Mapping[str, Any]) -> Any:
        ((table, wanted),) = request["RequestItems"].items()
        reads = operation == "BatchGetItem"
        things = wanted["Keys"] if reads else wanted
        now, later = things[::2], things[1::2]

        def some(chosen: Sequence[Item]) -> Any:
            return {table: {**wanted, "Keys": chosen} if reads else chosen}

        answer = await self._caller.call(operation, {"RequestItems": some(now)}, repeatable=True)
        left = "UnprocessedKeys" if reads else "UnprocessedItems"
        return {**answer, left: some(later) if later else {}}


class SentTwice:
    """An AwsCaller that sends all that may be repeated twice, as the wire does when an answer was lost."""

    def __init__(self, caller: AwsCaller) -> None:
        self._caller = caller

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        if repeatable:
            await self._caller.call(operation, request, repeatable=repeatable)
        return await self._caller.call(operation, request, repeatable=repeatable)


class AfterEachScan:
    """An AwsCaller that lets something happen between what a scan has seen and what comes of it."""

    def __init__(self, caller: AwsCaller, happen: Callable[[], Awaitable[object]]) -> None:
        self._caller = caller
        self._happen = happen

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        answer = await self._caller.call(operation, request, repeatable=repeatable)
        if operation == "Scan":
            await self._happen()
        return answer


class SmallPages:
    """An AwsCaller whose queries and scans have pages of two."""

    def __init__(self, caller: AwsCaller) -> None:
        self._caller = caller
        self.pages = 0

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        if operation in {"Query", "Scan"}:
            self.pages += 1
            request = {**request, "Limit": 2}
        return await self._caller.call(operation, request, repeatable=repeatable)


def cancelled(*codes: str, items: Mapping[int, Item] | None = None) -> AwsRefusedError:
    """Return the error of a cancelled transaction with a code for each of its items, and what was found."""
    found = items or {}
    reasons = [
        {"Code": code, **({"Item": found[index]} if index in found else {})}
        for index, code in enumerate(codes)
    ]
    body = {"CancellationReasons": reasons, "message": f"Transaction cancelled [{', '.join(codes)}]"}
    return AwsRefusedError("TransactWriteItems", 400, "TransactionCanceledException", body)
