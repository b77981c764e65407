"""The event side's queues, and what operators do with queues, archive and tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from reservation_api.adapters.aws_operations.archive import EventBridgeArchive
from reservation_api.adapters.aws_operations.backups import DynamoDbBackups
from reservation_api.adapters.aws_operations.client import open_client
from reservation_api.adapters.aws_wire.client import AwsClient, ClientOptions
from reservation_api.adapters.aws_wire.credentials import CredentialChain, default_chain
from reservation_api.adapters.aws_wire.endpoint import EVENTBRIDGE, SQS, AwsService, endpoint_of
from reservation_api.adapters.aws_wire.settings import AwsWireSettings
from reservation_api.adapters.eventbridge.bus import EventBridgeBus
from reservation_api.adapters.resilience.retry_budget import RetryBudget
from reservation_api.adapters.resilience.settings import RetryBudgetSettings
from reservation_api.adapters.sqs.queue import SqsQueue, find_queue
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.bootstrap.told import told
from reservation_api.config.tree import AwsConfig, Config, ConfigError
from reservation_api.ports.clock import Clock
from reservation_api.ports.event_bus import EventBus
from reservation_api.ports.operations import Backups, EventArchive
from reservation_api.ports.queue import MAX_WAIT_SECONDS, Queue

_ANSWER_SECONDS = 5.0
_PATIENT = AwsWireSettings(
    read_seconds=MAX_WAIT_SECONDS + _ANSWER_SECONDS,
    total_seconds=MAX_WAIT_SECONDS + 2 * _ANSWER_SECONDS,
    pool_size=16,
)
"""A long poll says nothing until there is a message."""


@dataclass(frozen=True, slots=True)
class DeadLetterBox:
    """The dead-letter queue, and the bus that its events go back to."""

    queue: Queue
    bus: EventBus


@asynccontextmanager
async def open_queue(config: Config, queue: str) -> AsyncIterator[Queue]:
    """Open a queue by its URL, or by its name in this account.

    Raises ConfigError without an AWS runtime, EventBusUnavailableError for a name that no queue has.
    """
    aws = aws_of(config)
    client = _client(aws, SQS, aws.sqs_endpoint)
    try:
        yield SqsQueue(client, queue if "/" in queue else await find_queue(client, queue))
    finally:
        await client.close()


@asynccontextmanager
async def open_dead_letters(config: Config, queue: str | None) -> AsyncIterator[DeadLetterBox]:
    """Open a dead-letter queue, by default that of the bus; raises as `open_queue` does."""
    aws = aws_of(config)
    client = _client(aws, EVENTBRIDGE, aws.eventbridge.endpoint)
    try:
        async with open_queue(config, queue or f"{aws.bus_name}-dlq") as opened:
            yield DeadLetterBox(opened, EventBridgeBus(client, aws.bus_name))
    finally:
        await client.close()


def open_archive(config: Config) -> EventArchive:
    """Open EventBridge's control plane; raises ConfigError, OperationFailedError."""
    aws = aws_of(config)
    return EventBridgeArchive(open_client("events", aws.region, aws.eventbridge.endpoint))


def open_backups(config: Config) -> Backups:
    """Open DynamoDB's control plane; raises ConfigError, OperationFailedError."""
    aws = aws_of(config)
    return DynamoDbBackups(open_client("dynamodb", aws.region, aws.dynamodb.endpoint))


def system_clock() -> Clock:
    """Return the clock that names and validates what operators do."""
    return SystemClock()


def aws_of(config: Config) -> AwsConfig:
    """Return the AWS runtime's settings; raises ConfigError if there are none."""
    if config.aws is None:
        raise ConfigError(["this is for the AWS runtime, and no APP_DYNAMODB_TABLES_* is set"])
    return config.aws


def _client(aws: AwsConfig, service: AwsService, url: str | None) -> AwsClient:
    return AwsClient(
        told(lambda: endpoint_of(service, aws.region, url)),
        CredentialChain(default_chain(aws.region)),
        SystemClock(),
        RetryBudget(service.name, RetryBudgetSettings()),
        ClientOptions(settings=_PATIENT),
    )
