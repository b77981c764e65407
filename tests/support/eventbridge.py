"""An event bus of EventBridge with a rule that sends every event to a queue, where tests read them.

async with open_bus(ministack.url) as bus:
    EventBridgeBus(bus.caller(), bus.name)      # one more process
    bus.published()                             # all so far; reading takes nothing away
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.session import Session
from tests.support.aws_service import FixedCredentials
from tests.support.ministack import REGION, unique
from tests.support.runtimes import Published

from reservation_api.adapters.aws_wire.client import AwsClient, ClientOptions
from reservation_api.adapters.aws_wire.endpoint import EVENTBRIDGE, AwsService, endpoint_of
from reservation_api.adapters.aws_wire.settings import AwsWireSettings
from reservation_api.adapters.resilience.retry_budget import RetryBudget
from reservation_api.adapters.resilience.settings import RetryBudgetSettings
from reservation_api.adapters.system_clock import SystemClock

PATIENT = AwsWireSettings(read_seconds=30.0, total_seconds=60.0)
"""A long poll takes 20 s; a busy machine must not make a test of what takes no time fail."""
_ALL_EVENTS = json.dumps({"source": [{"prefix": ""}]})


def open_caller(service: AwsService, url: str) -> AwsClient:
    """Open a client as production has it, for one process; whoever opens it closes it."""
    budget = RetryBudget(service.name, RetryBudgetSettings())
    options = ClientOptions(settings=PATIENT)
    return AwsClient(endpoint_of(service, REGION, url), FixedCredentials(), SystemClock(), budget, options)


def control(service: str, url: str) -> Any:
    """Return botocore's client, with which tests set up what Terraform does elsewhere."""
    return _session().create_client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=60),
    )


@cache
def _session() -> Session:
    """Of all tests: it reads the services' descriptions once."""
    return Session()


@dataclass
class Bus:
    """A bus and the queue that has all its events."""

    name: str
    arn: str
    queue_url: str
    queue_arn: str
    url: str
    sqs: Any
    events: Any
    callers: list[AwsClient] = field(default_factory=list)
    _read: list[Mapping[str, Any]] = field(default_factory=list)

    def caller(self) -> AwsClient:
        """Open a client of EventBridge that is closed with the bus."""
        self.callers.append(open_caller(EVENTBRIDGE, self.url))
        return self.callers[-1]

    def envelopes(self) -> Sequence[Mapping[str, Any]]:
        """Return all that was delivered so far, as consumers get it."""
        while messages := self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages"):
            self._read += [json.loads(message["Body"]) for message in messages]
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return list(self._read)

    def published(self) -> Sequence[Published]:
        """Return each event as `World.published` has it; repeats are there as often as they came."""
        return [
            Published(
                event["detail"]["id"], event["source"], event["detail-type"], json.dumps(event["detail"])
            )
            for event in self.envelopes()
        ]


@asynccontextmanager
async def open_bus(url: str) -> AsyncIterator[Bus]:
    """Create a bus of its own on the stand-in at `url`; its clients are closed at the end of the block."""
    bus = await asyncio.to_thread(create_bus, url)
    try:
        yield bus
    finally:
        for caller in bus.callers:
            await caller.close()
        bus.sqs.close()
        bus.events.close()


def create_bus(url: str) -> Bus:
    """Create a bus, a queue, and a rule that sends everything from the one to the other."""
    events, sqs, name = control("events", url), control("sqs", url), unique("bus")
    arn = events.create_event_bus(Name=name)["EventBusArn"]
    queue_url, queue_arn = create_queue(sqs, f"{name}-all")
    events.put_rule(Name=f"{name}-all", EventBusName=name, EventPattern=_ALL_EVENTS)
    events.put_targets(Rule=f"{name}-all", EventBusName=name, Targets=[{"Id": "all", "Arn": queue_arn}])
    return Bus(name, arn, queue_url, queue_arn, url, sqs, events)


def create_queue(sqs: Any, name: str, **attributes: str) -> tuple[str, str]:
    """Create a queue; return its URL and its ARN."""
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn
