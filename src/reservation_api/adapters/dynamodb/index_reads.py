"""Rows found through an index by status, over all its shards, oldest first.

An index lags: it shows rows that have moved on since, and lacks rows that are new. So it only names rows;
each is read from its table and judged anew, and those that it lacks are named a moment later.

    shard 0   page ─ page ─ …  ┐
    shard 1   page ─ …         ├─ oldest named first ─ read from the table ─ judged ─ up to `limit`
    shard n   page ─ page ─ …  ┘

Workers beside each other would all be given the same oldest rows, and all but one lose each. So rows that are
to be worked on are chosen at random among the oldest, where there are more of them than one batch.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from reservation_api.adapters.dynamodb.calls import MAX_KEYS_PER_READ, DynamoDb
from reservation_api.adapters.dynamodb.items import Item
from reservation_api.adapters.dynamodb.tables import PK, SK

T = TypeVar("T")
_log = logging.getLogger(__name__)

PAGE_ENTRIES: Final = 500
"""Entries are some 200 bytes: a page is 100 KB and costs 13 read units. Fewer would make an outage's backlog
slow to page through, more would read what nobody asked for."""


class IndexScan:
    """One Query, read a page at a time and no further than asked."""

    def __init__(self, dynamodb: DynamoDb, query: Item, page_entries: int = PAGE_ENTRIES) -> None:
        self._dynamodb = dynamodb
        self._query = {**query, "Limit": page_entries}
        self._entries: deque[Item] = deque()
        self.has_more_pages = True

    async def take(self, count: int, at_most: int | None = None) -> list[Item]:
        """Return the next `count` entries, or fewer at the end; up to `at_most` if they are read already."""
        at_most = count if at_most is None else at_most
        while len(self._entries) < count and self.has_more_pages:
            self._entries.extend(await self.next_page())
        return [self._entries.popleft() for _ in range(min(at_most, len(self._entries)))]

    async def next_page(self) -> Sequence[Item]:
        """Return a page, which may be empty before the end: what a filter drops has been read."""
        answer = await self._dynamodb.call("Query", self._query)
        start = answer.get("LastEvaluatedKey")
        self.has_more_pages = start is not None
        self._query = {**self._query, "ExclusiveStartKey": start}
        entries: Sequence[Item] = answer["Items"]
        return entries


@dataclass(frozen=True, slots=True)
class Wanted(Generic[T]):
    """Which rows are wanted."""

    table: str
    age: str
    """The attribute that tells the oldest, shown by the index."""
    judge: Callable[[Item], T | None]
    """Reads a row as it is now; None: not wanted, or not any more."""
    limit: int
    among: int = 0
    """How many of the oldest named rows to choose from at random; 0: the oldest themselves."""


async def oldest(dynamodb: DynamoDb, queries: Sequence[Item], wanted: Wanted[T]) -> list[T]:
    """Return up to `limit` rows that the queries name and that are still wanted."""
    scans = [IndexScan(dynamodb, query, _page_entries(query, wanted.limit)) for query in queries]
    named: list[Item] = []
    found: dict[str, T] = {}
    while len(found) < wanted.limit:
        missing = wanted.limit - len(found)
        # While much is written the oldest entries are of rows that have just gone: one by one they would be
        # chased to the end of the index, which moves as fast.
        count = max(missing, MAX_KEYS_PER_READ)
        among = max(count, wanted.among)
        taken = await asyncio.gather(*(scan.take(missing, among) for scan in scans))
        named += [entry for entries in taken for entry in entries]
        if not named:
            break
        named.sort(key=lambda entry: str(entry[wanted.age]["S"]))
        places = _choose(count, min(among, len(named)))
        found |= await _judged(dynamodb, wanted, [named[place] for place in places])
        for place in reversed(places):
            del named[place]
    rows = list(found.values())
    return (
        [rows[place] for place in _choose(wanted.limit, len(rows))] if wanted.among else rows[: wanted.limit]
    )


def _choose(count: int, among: int) -> Sequence[int]:
    """Return so many places at random, in their order."""
    return sorted(random.sample(range(among), min(count, among)))


def _page_entries(query: Item, limit: int) -> int:
    """Ask for little more than is wanted, unless a filter drops nobody knows how much of it."""
    if "FilterExpression" in query:
        return PAGE_ENTRIES
    return min(max(limit, MAX_KEYS_PER_READ), PAGE_ENTRIES)


async def _judged(dynamodb: DynamoDb, wanted: Wanted[T], named: Sequence[Item]) -> dict[str, T]:
    keys = [{PK: entry[PK], SK: entry[SK]} for entry in named]
    rows = await dynamodb.rows(wanted.table, keys)
    judged = {pk: _judge(wanted, rows[pk]) for pk in (key[PK]["S"] for key in keys) if pk in rows}
    return {pk: row for pk, row in judged.items() if row is not None}


def _judge(wanted: Wanted[T], row: Item) -> T | None:
    """Pass over a row that can not be read (a newer version's, or a broken one): the others must not wait."""
    try:
        return wanted.judge(row)
    except (KeyError, ValueError) as error:
        _log.error("a row of %s can not be read: %s: %r", wanted.table, row[PK]["S"], error)
        return None
