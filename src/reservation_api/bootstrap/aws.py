"""The AWS runtime: four DynamoDB tables and an EventBridge bus; the inventory is a peer."""

import ssl
from dataclasses import asdict, dataclass
from functools import partial
from time import monotonic

from reservation_api.adapters.aws_wire.client import AwsClient, ClientOptions
from reservation_api.adapters.aws_wire.credentials import CredentialChain, default_chain
from reservation_api.adapters.aws_wire.endpoint import DYNAMODB, EVENTBRIDGE, AwsService, endpoint_of
from reservation_api.adapters.aws_wire.pool import tls_context
from reservation_api.adapters.aws_wire.settings import AwsWireSettings
from reservation_api.adapters.dynamodb.calls import DynamoDb
from reservation_api.adapters.dynamodb.outbox import DynamoDbOutbox
from reservation_api.adapters.dynamodb.read_model import DynamoDbReadModel
from reservation_api.adapters.dynamodb.shards import StatusShards
from reservation_api.adapters.dynamodb.store import DynamoDbReservationStore
from reservation_api.adapters.dynamodb.tables import TableNames
from reservation_api.adapters.eventbridge.bus import EventBridgeBus
from reservation_api.adapters.resilience.event_bus import GuardedEventBus
from reservation_api.adapters.resilience.retry_budget import RetryBudget
from reservation_api.adapters.resilience.settings import RetryBudgetSettings
from reservation_api.adapters.resilience.store import GuardedReadModel, GuardedStore
from reservation_api.application.health import Component, ComponentStatus
from reservation_api.application.outbox_entries import FAST_PATH_SECONDS, RECOVERY_SECONDS
from reservation_api.bootstrap.aws_calls import MeasuredDynamoDb, watch_client
from reservation_api.bootstrap.checks import check_outbox, shared
from reservation_api.bootstrap.guards import open_admission
from reservation_api.bootstrap.runtime import Runtime
from reservation_api.bootstrap.told import told
from reservation_api.bootstrap.traced_bus import traced_bus
from reservation_api.config.tree import AwsConfig, AwsServiceConfig
from reservation_api.domain.reservation import HoldPolicy
from reservation_api.domain.values import ReservationId
from reservation_api.ports.clock import Clock
from reservation_api.ports.store import ReservationStore
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.spans import Tracer

NOBODYS = ReservationId("rsv_health")
"""An id that no reservation has: asking for it shows that the store answers."""


def open_aws(
    config: AwsConfig, hold: HoldPolicy, clock: Clock, metrics: Metrics, tracer: Tracer | None
) -> Runtime:
    """Make the clients; connections and credentials are had by the first calls. Raises ConfigError."""
    wires = _Wires(config, clock, CredentialChain(default_chain(config.region)), tls_context())
    retries = _budget("dynamodb", config.dynamodb)
    dynamodb_client = wires.open(DYNAMODB, config.dynamodb, retries)
    events_client = wires.open(EVENTBRIDGE, config.eventbridge, _budget("eventbridge", config.eventbridge))
    watch_client(metrics, "dynamodb", dynamodb_client)
    watch_client(metrics, "eventbridge", events_client)
    dynamodb = DynamoDb(MeasuredDynamoDb(dynamodb_client, metrics, tracer), retries)
    tables = TableNames(**asdict(config.tables))
    shards = StatusShards(config.status_shards)
    store = DynamoDbReservationStore(dynamodb, tables, shards, hold.hold_seconds)
    outbox = DynamoDbOutbox(dynamodb, tables, shards, min(FAST_PATH_SECONDS, RECOVERY_SECONDS))
    bus = EventBridgeBus(events_client, config.bus_name)
    of_store = open_admission("store", config.dynamodb.guard)
    of_bus = open_admission("eventBus", config.eventbridge.guard)

    async def close() -> None:
        for client in (dynamodb_client, events_client):
            await client.close()

    return Runtime(
        store=GuardedStore(store, of_store),
        unguarded_store=store,
        outbox=outbox,
        read_model=GuardedReadModel(DynamoDbReadModel(dynamodb, tables), of_store),
        event_bus=traced_bus(GuardedEventBus(bus, of_bus), tracer, "aws_eventbridge", config.bus_name),
        inventory=None,
        database=None,
        checks={
            "store": shared(partial(_check_store, store, tables.reservations), monotonic),
            "outbox": shared(partial(check_outbox, outbox, clock), monotonic),
        },
        purges={},  # DynamoDB's TTL does it
        close=close,
        waited_seconds=lambda: dynamodb_client.metrics().waited_seconds,
        breakers=[of_store.breaker, of_bus.breaker],
    )


@dataclass(frozen=True, slots=True)
class _Wires:
    """What all clients of a process share."""

    config: AwsConfig
    clock: Clock
    credentials: CredentialChain
    tls: ssl.SSLContext

    def open(self, service: AwsService, how: AwsServiceConfig, retries: RetryBudget) -> AwsClient:
        """Make a client for one service; half its time limit is for one try, so that there is another."""
        endpoint = told(lambda: endpoint_of(service, self.config.region, how.endpoint))
        seconds = how.timeout_seconds
        settings = AwsWireSettings(
            total_seconds=seconds, read_seconds=seconds / 2, connect_seconds=seconds / 2
        )
        options = ClientOptions(settings=settings, tls=self.tls)
        return AwsClient(endpoint, self.credentials, self.clock, retries, options)


def _budget(name: str, how: AwsServiceConfig) -> RetryBudget:
    return RetryBudget(name, RetryBudgetSettings(**asdict(how.guard.retry)))


async def _check_store(store: ReservationStore, table: str) -> Component:
    await store.get_reservation(NOBODYS)
    return Component(ComponentStatus.UP, {"table": table})
