"""The calls that the ports are made of, with their failures as ours.

Each of them may be done twice and is then as good as done once, so the wire sends it again when no answer
came: a transaction carries a token, and reads and deletes by key need none.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from reservation_api.adapters.aws_wire.client import RetryBudget
from reservation_api.adapters.aws_wire.errors import AwsCaller, AwsCallError, AwsRefusedError
from reservation_api.adapters.dynamodb.failures import (
    CANCELED,
    CONFLICT,
    Reason,
    WrongRequestError,
    failure_of,
    is_throttled,
    judgement_of,
    reasons_of,
)
from reservation_api.adapters.dynamodb.items import Item
from reservation_api.adapters.dynamodb.pacing import Pacing, Pause
from reservation_api.adapters.dynamodb.tables import PK

MAX_KEYS_PER_READ: Final = 100
MAX_DELETES_PER_WRITE: Final = 25
"""What BatchGetItem and BatchWriteItem take at a time."""

Reasons = Sequence[Mapping[str, Any]]


class DynamoDb:
    """One account's DynamoDB. Every method raises StoreUnavailableError, and WrongRequestError for a bug."""

    def __init__(
        self,
        caller: AwsCaller,
        retries: RetryBudget,
        pause: Pause = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the budget that the caller's own retries come out of: answers tell of a busy table as well."""
        self._caller = caller
        self._retries = retries
        self._pause = pause
        self._monotonic = monotonic

    async def call(self, operation: str, request: Mapping[str, Any]) -> Any:
        """Make a call that is as good done twice as once, and return its answer.

        A delete that meets a transaction on its row was not done; it waits and tries again.
        """
        pacing: Pacing | None = None  # made by the first failure
        while True:
            try:
                return await self._caller.call(operation, request, repeatable=True)
            except AwsCallError as error:
                if not isinstance(error, AwsRefusedError) or error.code != CONFLICT:
                    raise failure_of(error) from error
            pacing = pacing or self._pacing()
            await pacing.wait(CONFLICT)

    async def transact(self, items: Sequence[Item]) -> Reasons | None:
        """Write all or nothing; return None once written, or each item's reason if conditions refused it.

        If any item met another transaction, or a busy table, its condition is unknown, and so is the whole:

            ours     ─ put a ─ put b ─ cancelled: b met a conflict ─ wait ─ put a ─ put b ─ written
            theirs        ─ put b ─ put c ─ written

        """
        pacing: Pacing | None = None
        while True:
            # A cancelled try has an outcome; the next one is another request, with another token. Were a try
            # carried out late after all, this one would be refused by what it wrote, which callers take well.
            request = {"TransactItems": items, "ClientRequestToken": _new_token()}
            try:
                await self._caller.call("TransactWriteItems", request, repeatable=True)
            except AwsCallError as error:
                reasons = _reasons_of(error)
            else:
                return None
            if judgement_of(reasons) is Reason.REFUSED:
                return reasons
            pacing = pacing or self._pacing()
            await pacing.wait(_codes(reasons), is_throttled=is_throttled(reasons))

    async def get(self, table: str, key: Item) -> Item | None:
        """Read a row by its whole key, as of the last write."""
        answer = await self.call("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True})
        item: Item | None = answer.get("Item")
        return item

    async def first_of(self, table: str, pk: str) -> Item | None:
        """Read the one row under a hash key, as of the last write."""
        request = {
            "TableName": table,
            "KeyConditionExpression": f"{PK} = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "ConsistentRead": True,
            "Limit": 1,
        }
        items: list[Item] = (await self.call("Query", request))["Items"]
        return items[0] if items else None

    async def rows(self, table: str, keys: Sequence[Item]) -> Mapping[str, Item]:
        """Read rows by their whole keys, as of the last write; return those that are there, by hash key."""
        found: dict[str, Item] = {}
        unique = list({key[PK]["S"]: key for key in keys}.values())  # one key twice is an error
        for start in range(0, len(unique), MAX_KEYS_PER_READ):
            wanted = {"Keys": unique[start : start + MAX_KEYS_PER_READ], "ConsistentRead": True}
            for item in await self._read_batch(table, wanted):
                found[item[PK]["S"]] = item
        return found

    async def delete(self, table: str, keys: Sequence[Item]) -> None:
        """Delete rows by their whole keys; absent ones are no error."""
        if len(keys) == 1:
            await self.call("DeleteItem", {"TableName": table, "Key": keys[0]})
            return
        unique = list({key[PK]["S"]: key for key in keys}.values())
        for start in range(0, len(unique), MAX_DELETES_PER_WRITE):
            await self._delete_batch(table, unique[start : start + MAX_DELETES_PER_WRITE])

    def _pacing(self) -> Pacing:
        return Pacing(self._retries, self._pause, self._monotonic)

    async def _read_batch(self, table: str, wanted: Item) -> list[Item]:
        """Read what a batch asks for, asking again for what it was not given."""
        items: list[Item] = []
        pacing = self._pacing()
        while True:
            answer = await self.call("BatchGetItem", {"RequestItems": {table: wanted}})
            items += answer["Responses"].get(table, ())
            left = answer.get("UnprocessedKeys")
            if not left:
                return items
            wanted = left[table]
            await pacing.wait("keys were left unread", is_throttled=True)

    async def _delete_batch(self, table: str, keys: Sequence[Item]) -> None:
        requests = [{"DeleteRequest": {"Key": key}} for key in keys]
        pacing = self._pacing()
        while True:
            answer = await self.call("BatchWriteItem", {"RequestItems": {table: requests}})
            left = answer.get("UnprocessedItems")
            if not left:
                return
            requests = left[table]
            await pacing.wait("rows were left undeleted", is_throttled=True)


def _reasons_of(error: AwsCallError) -> Reasons:
    """Return why a transaction was cancelled; raises what any other failure is to us."""
    if not isinstance(error, AwsRefusedError) or error.code != CANCELED:
        raise failure_of(error) from error
    reasons = reasons_of(error)
    if judgement_of(reasons) is Reason.WRONG:
        wrong = WrongRequestError(f"the store refuses: {_codes(reasons)}")
        wrong.add_note("; ".join(str(reason.get("Message")) for reason in reasons))
        raise wrong from error
    return reasons


def _codes(reasons: Reasons) -> str:
    return ", ".join(sorted({reason["Code"] for reason in reasons} - {"None"}))


def _new_token() -> str:
    """Return a name that no other transaction has, whatever seeds this process's `random`."""
    return os.urandom(16).hex()
