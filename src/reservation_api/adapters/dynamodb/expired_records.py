"""Deleting idempotency records past their `ttl`, for tables where DynamoDB does not do it by itself.

A table that has its TTL (document section 1.3) needs none of this, and has too many records to look through.
"""

import asyncio
from datetime import datetime
from typing import Final

from reservation_api.adapters.dynamodb.calls import DynamoDb
from reservation_api.adapters.dynamodb.items import Item, unix_seconds
from reservation_api.adapters.dynamodb.tables import PK, TTL

MAX_PAGES: Final = 10
"""Of 1 MB each. A purge goes on where the last one ended, and begins anew at the end of the table."""
DELETES_AT_ONCE: Final = 25
"""Commands want connections too."""

_TTL_PASSED: Final = "#ttl <= :now"
_TTL_NAME: Final = {"#ttl": TTL}


class ExpiredRecords:
    """The records past their `ttl`, and how far the last purge has come."""

    def __init__(self, dynamodb: DynamoDb, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._start: Item | None = None

    async def purge(self, now: datetime, limit: int) -> int:
        """Delete up to `limit` of them; return how many went."""
        gone = 0
        for _ in range(MAX_PAGES):
            page = await self._page(now)
            keys = page["Items"][: limit - gone]
            for first in range(0, len(keys), DELETES_AT_ONCE):
                some = keys[first : first + DELETES_AT_ONCE]
                gone += sum(await asyncio.gather(*(self._delete(key, now) for key in some)))
            self._start = page.get("LastEvaluatedKey")
            if self._start is None or gone >= limit:
                break
        return gone

    async def _page(self, now: datetime) -> Item:
        request: Item = {
            "TableName": self._table,
            "ProjectionExpression": PK,
            "FilterExpression": _TTL_PASSED,
            "ExpressionAttributeNames": _TTL_NAME,
            "ExpressionAttributeValues": {":now": unix_seconds(now)},
        }
        if self._start is not None:
            request["ExclusiveStartKey"] = self._start
        page: Item = await self._dynamodb.call("Scan", request)
        return page

    async def _delete(self, key: Item, now: datetime) -> bool:
        """Delete a record unless another command has put its own over it since it was seen."""
        delete = {
            "TableName": self._table,
            "Key": key,
            "ConditionExpression": _TTL_PASSED,
            "ExpressionAttributeNames": _TTL_NAME,
            "ExpressionAttributeValues": {":now": unix_seconds(now)},
        }
        return await self._dynamodb.transact([{"Delete": delete}]) is None
