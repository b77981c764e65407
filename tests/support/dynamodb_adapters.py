"""The ports on tables of a ministack, over any caller."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from tests.support.aws_service import Budget
from tests.support.dynamodb import Tables, opened_client
from tests.support.dynamodb_faults import at_once

from reservation_api.adapters.aws_wire.errors import AwsCaller
from reservation_api.adapters.dynamodb.calls import DynamoDb
from reservation_api.adapters.dynamodb.outbox import DynamoDbOutbox
from reservation_api.adapters.dynamodb.read_model import DynamoDbReadModel
from reservation_api.adapters.dynamodb.shards import StatusShards
from reservation_api.adapters.dynamodb.store import DynamoDbReservationStore
from reservation_api.ports.store import Write

PLAIN = StatusShards()


@dataclass(frozen=True)
class Adapters:
    """One process's."""

    store: DynamoDbReservationStore
    outbox: DynamoDbOutbox
    read_model: DynamoDbReadModel

    async def write(self, *writes: Write) -> None:
        """Write in one transaction, which must not be refused."""
        assert await self.store.transact(writes) is None

    async def write_each(self, writes: Sequence[Write]) -> None:
        """Write in as many transactions."""
        for write in writes:
            await self.write(write)


def adapters(
    caller: AwsCaller, tables: Tables, shards: StatusShards = PLAIN, shortest_hold_seconds: int = 0
) -> Adapters:
    dynamodb = DynamoDb(caller, Budget(), at_once)
    return Adapters(
        DynamoDbReservationStore(dynamodb, tables.names, shards, shortest_hold_seconds),
        DynamoDbOutbox(dynamodb, tables.names, shards),
        DynamoDbReadModel(dynamodb, tables.names),
    )


def opened(stack: AsyncExitStack, tables: Tables, shards: StatusShards = PLAIN) -> Adapters:
    """Open one more process."""
    return adapters(opened_client(stack), tables, shards)
