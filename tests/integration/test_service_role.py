"""The service does all its work with the document's policies (section 3.1), and needs each action."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.aws_service import PATIENT_SECONDS, Budget, FixedCredentials
from tests.support.clock import FakeClock
from tests.support.databases import opened_database
from tests.support.faults import DECLINED
from tests.support.moto_iam import REGION, MotoIam, moto_with_iam
from tests.support.process import EVENT, Process
from tests.support.runtimes import sqlite_ports
from tests.support.venues import venue

from reservation_api.adapters.aws_wire.client import AwsClient, ClientOptions
from reservation_api.adapters.aws_wire.endpoint import DYNAMODB, EVENTBRIDGE, AwsService, endpoint_of
from reservation_api.adapters.aws_wire.errors import AwsRefusedError
from reservation_api.adapters.aws_wire.settings import AwsWireSettings
from reservation_api.adapters.aws_wire.signing import AwsCredentials
from reservation_api.adapters.dynamodb.calls import DynamoDb
from reservation_api.adapters.dynamodb.failures import WrongRequestError
from reservation_api.adapters.dynamodb.outbox import DynamoDbOutbox
from reservation_api.adapters.dynamodb.read_model import DynamoDbReadModel
from reservation_api.adapters.dynamodb.shards import StatusShards
from reservation_api.adapters.dynamodb.store import DynamoDbReservationStore
from reservation_api.adapters.dynamodb.tables import TableNames, create_table_requests
from reservation_api.adapters.eventbridge.bus import EventBridgeBus
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.domain.errors import PaymentRefusedError, UnavailableError, WrongStateError
from reservation_api.domain.reservation import Status
from reservation_api.domain.values import UserId
from reservation_api.ports.outbox import OutboxStatus

ENV = "traffic-tacos"
TABLES = TableNames(
    *(f"{ENV}-reservation-{kind}" for kind in ("reservations", "orders", "idempotency", "outbox"))
)
BUS = f"{ENV}-reservation-events"
ON_TABLES = (
    *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"),
    *("dynamodb:Query", "dynamodb:Scan", "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"),
)
ON_BUS = ("events:PutEvents",)


def policy(without: str | None = None) -> Mapping[str, Any]:
    """The DynamoDB and the EventBridge policy of section 3.1, or all but one action of them."""
    tables = f"arn:aws:dynamodb:{REGION}:*:table/{ENV}-reservation-*"
    statements = (
        (ON_TABLES, [tables, f"{tables}/index/*"]),
        (ON_BUS, [f"arn:aws:events:{REGION}:*:event-bus/{BUS}"]),
    )
    allowed = [([action for action in actions if action != without], where) for actions, where in statements]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": actions, "Resource": where} for actions, where in allowed if actions
        ],
    }


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoIam]:
    with moto_with_iam() as server:
        dynamodb = server.client("dynamodb")
        for request in create_table_requests(TABLES):
            dynamodb.create_table(**request)
        server.client("events").create_event_bus(Name=BUS)
        yield server


@asynccontextmanager
async def process_of(aws: MotoIam, credentials: AwsCredentials, folder: Path) -> AsyncIterator[Process]:
    """One process on the tables and the bus, with a role's credentials; its inventory is beside them."""
    clients = [_client(service, aws, credentials) for service in (DYNAMODB, EVENTBRIDGE)]
    dynamodb, shards = DynamoDb(clients[0], Budget()), StatusShards()
    database = opened_database(folder / "inventory.db")
    clock = FakeClock()
    ports = replace(
        sqlite_ports(database, clock),
        store=DynamoDbReservationStore(dynamodb, TABLES, shards),
        outbox=DynamoDbOutbox(dynamodb, TABLES, shards),
        read_model=DynamoDbReadModel(dynamodb, TABLES),
        bus=EventBridgeBus(clients[1], BUS),
    )
    await ports.load_event(venue({"A": ["......", "......"]}, EVENT))
    try:
        yield Process(ports, clock)
    finally:
        for client in clients:
            await client.close()
        database.close()


def _client(service: AwsService, aws: MotoIam, credentials: AwsCredentials) -> AwsClient:
    # One call at a time: moto copies its tables for a transaction, and fails if another writes meanwhile.
    patient = AwsWireSettings(read_seconds=PATIENT_SECONDS, total_seconds=PATIENT_SECONDS, pool_size=1)
    endpoint = endpoint_of(service, REGION, aws.url)
    options = ClientOptions(settings=patient)
    return AwsClient(endpoint, FixedCredentials(credentials), SystemClock(), Budget(), options)


async def all_work(process: Process, subject: str) -> None:
    """Do whatever API and worker do, each of it at least once; raises if any of it could not be done."""
    await _commands(process, subject)
    await _reads(process, subject)
    await _work_of_workers(process, subject)


async def _commands(process: Process, subject: str) -> None:
    held = [await _held(process, subject, f"hold {n}") for n in range(5)]
    assert (await process.hold(subject, "hold 0", qty=1)).replayed
    await process.confirm(subject, "confirm", held[0], f"pi {subject}")
    with pytest.raises(PaymentRefusedError):
        await process.confirm(subject, "declined", held[1], DECLINED)
    await process.cancel(subject, "cancel", held[2])
    with pytest.raises(WrongStateError):  # and looks first whether it has said so already
        await process.cancel(subject, "cancel again", held[2])
    await process.extend(subject, "extend", held[3], 30)
    await process.run_fast_path()


async def _held(process: Process, subject: str, key: str) -> str:
    answer = await process.hold(subject, key, qty=1)
    assert answer.reservation is not None
    return answer.reservation.reservation_id


async def _reads(process: Process, subject: str) -> None:
    user, read_model = UserId(subject), process.ports.read_model
    assert len((await read_model.reservations_of_user(user, Status.HOLD, 10, None)).items) == 3
    (order,) = (await read_model.orders_of_user(user, 10, None)).items
    assert order.order_id in {o.order_id for o in (await read_model.orders_of_event(EVENT, 10, None)).items}
    assert await process.ports.store.get_order(order.order_id) == order


async def _work_of_workers(process: Process, subject: str) -> None:
    """Expiry, the slow relay, what an operator retries, and the purge."""
    await _held(process, subject, "never published fast")
    process.offered.clear()
    process.clock.advance(100)  # type: ignore[attr-defined]
    await process.run_workers()
    process.clock.advance(10)  # type: ignore[attr-defined]
    await process.run_workers()
    await process.run_fast_path()
    outbox = process.ports.outbox
    assert await outbox.list(OutboxStatus.PENDING, 10) == []
    assert await outbox.list(OutboxStatus.FAILED, 10) == []
    gone = await process.ports.store.purge_records(process.clock.now() + timedelta(hours=1), 100)
    assert gone >= 5


async def test_the_documents_policies_are_all_that_the_service_needs(aws: MotoIam, tmp_path: Path) -> None:
    before = len(aws.denied())
    async with process_of(aws, aws.assume(policy()), tmp_path) as process:
        await all_work(process, "alice")
    assert aws.denied()[before:] == []


@pytest.mark.parametrize("action", [*ON_TABLES, *ON_BUS])
async def test_without_any_one_action_some_work_is_not_done(
    aws: MotoIam, tmp_path: Path, action: str
) -> None:
    before = len(aws.denied())
    async with process_of(aws, aws.assume(policy(without=action)), tmp_path) as process:
        with pytest.raises((UnavailableError, WrongRequestError, AssertionError)):
            await all_work(process, f"without {action}")
    denied = aws.denied()[before:]
    assert {line.split()[0] for line in denied} == {action.partition(":")[2]}


async def test_the_role_reaches_no_other_table(aws: MotoIam) -> None:
    client = _client(DYNAMODB, aws, aws.assume(policy()))
    try:
        with pytest.raises(AwsRefusedError):
            await client.call("Scan", {"TableName": "payments"}, repeatable=True)
        assert aws.denied()[-1].endswith(":table/payments")
    finally:
        await client.close()
