"""Calls that a stand-in for AWS understands and carries out, and signatures that it checks by itself."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.session import Session
from tests.support.aws_service import Budget, FixedCredentials
from tests.support.ministack import REGION, Ministack, ministack, unique

from reservation_api.adapters.aws_wire.client import AwsClient, ClientOptions
from reservation_api.adapters.aws_wire.credentials import CredentialSource
from reservation_api.adapters.aws_wire.endpoint import DYNAMODB, EVENTBRIDGE, SQS, AwsService, endpoint_of
from reservation_api.adapters.aws_wire.errors import AwsCaller, AwsRefusedError
from reservation_api.adapters.aws_wire.settings import AwsWireSettings
from reservation_api.adapters.aws_wire.signing import AwsCredentials
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.ports.clock import Clock

ROOT = FixedCredentials(AwsCredentials("test", "test"))
PATIENT = ClientOptions(settings=AwsWireSettings(read_seconds=20, total_seconds=40))


@pytest.fixture(scope="module")
def aws() -> Iterator[Ministack]:
    with ministack() as started:
        yield started


@pytest.fixture(scope="module")
def strict_aws() -> Iterator[Ministack]:
    """One that checks signatures."""
    with ministack(AUTH="true") as started:
        yield started


@asynccontextmanager
async def calling(
    aws: Ministack, service: AwsService, who: CredentialSource = ROOT, clock: Clock | None = None
) -> AsyncIterator[AwsCaller]:
    client = AwsClient(endpoint_of(service, REGION, aws.url), who, clock or SystemClock(), Budget(), PATIENT)
    try:
        yield client
    finally:
        await client.close()


async def new_table(dynamodb: AwsCaller) -> str:
    name = unique("wire")
    request = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    }
    await dynamodb.call("CreateTable", request, repeatable=False)
    return name


def put(table: str, key: str, **more: Any) -> dict[str, Any]:
    return {
        "TableName": table,
        "Item": {"pk": {"S": key}, "text": {"S": '좌석 \u0000 \\ " 🎫'}, "raw": {"B": b"\x00\xff"}},
        "ConditionExpression": "attribute_not_exists(pk)",
        **more,
    }


async def test_an_item_is_written_once_and_read_back(aws: Ministack) -> None:
    async with calling(aws, DYNAMODB) as dynamodb:
        table = await new_table(dynamodb)
        request = put(table, "a", ReturnValuesOnConditionCheckFailure="ALL_OLD")
        assert await dynamodb.call("PutItem", request, repeatable=False) == {}
        with pytest.raises(AwsRefusedError) as caught:
            await dynamodb.call("PutItem", request, repeatable=False)
        assert (caught.value.code, caught.value.status) == ("ConditionalCheckFailedException", 400)
        assert caught.value.body["Item"]["text"] == request["Item"]["text"]
        key = {"TableName": table, "Key": {"pk": {"S": "a"}}}
        read = await dynamodb.call("GetItem", key, repeatable=True)
        assert read["Item"]["text"] == request["Item"]["text"]
        assert read["Item"]["raw"] == {"B": "AP8="}


async def test_a_transaction_says_which_of_its_writes_stood_in_the_way(aws: Ministack) -> None:
    async with calling(aws, DYNAMODB) as dynamodb:
        table = await new_table(dynamodb)
        await dynamodb.call("PutItem", put(table, "taken"), repeatable=False)
        writes = [{"Put": put(table, key)} for key in ("free", "taken")]
        request = {"TransactItems": writes, "ClientRequestToken": unique("token")}
        with pytest.raises(AwsRefusedError) as caught:
            await dynamodb.call("TransactWriteItems", request, repeatable=True)
        assert caught.value.code == "TransactionCanceledException"
        reasons = [reason["Code"] for reason in caught.value.body["CancellationReasons"]]
        assert reasons == ["None", "ConditionalCheckFailed"]


async def test_a_transaction_that_is_repeated_by_its_token_is_done_once(aws: Ministack) -> None:
    async with calling(aws, DYNAMODB) as dynamodb:
        table = await new_table(dynamodb)
        request = {"TransactItems": [{"Put": put(table, "a")}], "ClientRequestToken": unique("token")}
        await asyncio.gather(
            *(dynamodb.call("TransactWriteItems", request, repeatable=True) for _ in range(20))
        )


async def test_of_many_callers_one_wins(aws: Ministack) -> None:
    async with calling(aws, DYNAMODB) as dynamodb:
        table = await new_table(dynamodb)
        calls = [dynamodb.call("PutItem", put(table, "seat"), repeatable=False) for _ in range(100)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, AwsRefusedError)]
        assert (outcomes.count({}), len(refused)) == (1, 99)


async def test_an_event_reaches_a_queue(aws: Ministack) -> None:
    bus, queue_name = unique("bus"), unique("queue")
    async with calling(aws, EVENTBRIDGE) as events, calling(aws, SQS) as queues:
        await events.call("CreateEventBus", {"Name": bus}, repeatable=False)
        created = await queues.call("CreateQueue", {"QueueName": queue_name}, repeatable=True)
        queue = {"QueueUrl": created["QueueUrl"]}
        wanted = {**queue, "AttributeNames": ["QueueArn"]}
        arn = (await queues.call("GetQueueAttributes", wanted, repeatable=True))["Attributes"]["QueueArn"]
        rule = {"Name": "all", "EventBusName": bus, "EventPattern": '{"source":["shop"]}'}
        await events.call("PutRule", rule, repeatable=True)
        targets = {"Rule": "all", "EventBusName": bus, "Targets": [{"Id": "1", "Arn": arn}]}
        await events.call("PutTargets", targets, repeatable=True)
        entry = {"EventBusName": bus, "Source": "shop", "DetailType": "held", "Detail": '{"seat":"A-1"}'}
        put_events = await events.call("PutEvents", {"Entries": [entry]}, repeatable=False)
        assert put_events["FailedEntryCount"] == 0
        received = await queues.call("ReceiveMessage", {**queue, "WaitTimeSeconds": 10}, repeatable=False)
        (message,) = received["Messages"]
        assert '"A-1"' in message["Body"]
        handle = {**queue, "ReceiptHandle": message["ReceiptHandle"]}
        assert await queues.call("DeleteMessage", handle, repeatable=True) == {}


@pytest.mark.parametrize(
    ("service", "operation", "request_body", "code"),
    [
        (DYNAMODB, "GetItem", {"TableName": "none", "Key": {"pk": {"S": "a"}}}, "ResourceNotFoundException"),
        (SQS, "GetQueueUrl", {"QueueName": "none"}, "QueueDoesNotExist"),
        (EVENTBRIDGE, "DescribeEventBus", {"Name": "none"}, "ResourceNotFoundException"),
    ],
)
async def test_an_error_of_each_service_has_its_code(
    aws: Ministack, service: AwsService, operation: str, request_body: dict[str, Any], code: str
) -> None:
    async with calling(aws, service) as client:
        with pytest.raises(AwsRefusedError) as caught:
            await client.call(operation, request_body, repeatable=True)
    assert caught.value.code == code


def user_of(aws: Ministack) -> AwsCredentials:
    """Make a user who may do anything, by botocore; return the key."""
    iam: Any = Session().create_client(
        "iam", REGION, endpoint_url=aws.url, aws_access_key_id="test", aws_secret_access_key="test"
    )
    name = unique("user")
    iam.create_user(UserName=name)
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    iam.close()
    return AwsCredentials(key["AccessKeyId"], key["SecretAccessKey"])


LISTS = [(DYNAMODB, "ListTables"), (EVENTBRIDGE, "ListEventBuses"), (SQS, "ListQueues")]


@pytest.mark.parametrize(("service", "operation"), LISTS, ids=lambda value: getattr(value, "name", value))
async def test_a_service_that_checks_signatures_takes_ours(
    strict_aws: Ministack, service: AwsService, operation: str
) -> None:
    user = await asyncio.to_thread(user_of, strict_aws)
    async with calling(strict_aws, service, FixedCredentials(user)) as client:
        assert await client.call(operation, {}, repeatable=True) is not None
    wrong = AwsCredentials(user.access_key, user.secret_key + "x")
    async with calling(strict_aws, service, FixedCredentials(wrong)) as client:
        with pytest.raises(AwsRefusedError, match="signature"):
            await client.call(operation, {}, repeatable=True)


@dataclass
class Skewed:
    """The machine's clock, off by so much."""

    skew: timedelta

    def now(self) -> datetime:
        return SystemClock().now() + self.skew


@pytest.mark.parametrize("skew", [timedelta(hours=-1), timedelta(hours=30)], ids=str)
async def test_a_service_that_checks_the_time_is_called_by_its_own(
    strict_aws: Ministack, skew: timedelta
) -> None:
    user = await asyncio.to_thread(user_of, strict_aws)
    async with calling(strict_aws, DYNAMODB, FixedCredentials(user), Skewed(skew)) as client:
        assert "TableNames" in await client.call("ListTables", {}, repeatable=False)
