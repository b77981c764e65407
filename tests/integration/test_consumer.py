"""The event processor on a queue: recorded once, deleted when it is recorded, and never lost."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from tests.support.aws_between import AwsBetween, Reply, between, refusal
from tests.support.bus_events import created
from tests.support.eventbridge import control, create_queue, open_caller
from tests.support.ministack import Ministack, ministack, unique
from tests.support.processes import wait_until

from reservation_api.adapters.aws_wire.endpoint import SQS
from reservation_api.adapters.sqs.queue import SqsQueue, find_queue
from reservation_api.domain.errors import EventBusUnavailableError
from reservation_api.entrypoints.lambdas.audit import AuditLog
from reservation_api.entrypoints.workers.consumer import HIDDEN_SECONDS, Consumer
from reservation_api.entrypoints.workers.loops import pause_until, run_loop
from reservation_api.ports.queue import MAX_WAIT_SECONDS

MAX_RECEIVES: Final = 2
LONGEST_WAIT_SECONDS: Final = 10
SHOWN_AT_ONCE: Final = {"VisibilityTimeout": 0}
"""As if the time for which a received message is hidden were over."""


@pytest.fixture(scope="module")
def aws() -> Iterator[Ministack]:
    with ministack() as started:
        yield started


@pytest.fixture(scope="module")
def sqs(aws: Ministack) -> Iterator[Any]:
    client = control("sqs", aws.url)
    yield client
    client.close()


@pytest.fixture
def way(aws: Ministack) -> Iterator[AwsBetween]:
    with between(aws.url) as opened:
        yield opened


@dataclass
class Place:
    """A queue with a dead-letter queue, and one consumer of it."""

    sqs: Any
    url: str
    dead_letters: str
    queue: SqsQueue
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    stream: io.BytesIO = field(default_factory=io.BytesIO)

    def __post_init__(self) -> None:
        self.consumer = Consumer(self.queue, AuditLog(self.stream), self.stopping)

    def restarted(self) -> "Place":
        """Another process on the same queue; it writes on where the first one wrote."""
        return Place(self.sqs, self.url, self.dead_letters, self.queue, stream=self.stream)

    def send(self, *bodies: Any) -> None:
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            self.sqs.send_message(QueueUrl=self.url, MessageBody=text)

    def recorded(self) -> list[str]:
        return sorted(json.loads(line)["id"] for line in self.stream.getvalue().splitlines())

    def count(self, url: str | None = None) -> dict[str, int]:
        """How many messages can be received, and how many are hidden."""
        names = {"there": "ApproximateNumberOfMessages", "hidden": "ApproximateNumberOfMessagesNotVisible"}
        found = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=list(names.values()))
        return {name: int(found["Attributes"][attribute]) for name, attribute in names.items()}


@pytest.fixture
async def place(sqs: Any, way: AwsBetween) -> AsyncIterator[Place]:
    name = unique("events")
    dead_url, dead_arn = create_queue(sqs, f"{name}-dlq")
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": MAX_RECEIVES})
    url, _ = create_queue(sqs, name, RedrivePolicy=policy)
    caller = open_caller(SQS, way.url)
    yield Place(sqs, url, dead_url, SqsQueue(caller, url))
    await caller.close()


GONE: Final = {"there": 0, "hidden": 0}


async def test_events_are_recorded_and_leave_the_queue(place: Place) -> None:
    place.send(created("rsv_a"), created("rsv_b"), created("rsv_a"))
    assert await place.consumer.run_once(0) == 3
    assert place.recorded() == ["rsv_a.1", "rsv_b.1"]
    assert place.count() == GONE
    assert await place.consumer.run_once(0) == 0


async def test_more_than_a_batch_is_worked_off_by_several_loops(place: Place) -> None:
    place.send(*[created(f"rsv_{n:02}") for n in range(35)])
    pause = pause_until(place.stopping)
    loops = [asyncio.ensure_future(run_loop(place.consumer.work, place.stopping, pause)) for _ in range(3)]
    await asyncio.to_thread(wait_until, lambda: len(place.recorded()) == 35)
    place.stopping.set()
    async with asyncio.timeout(LONGEST_WAIT_SECONDS):
        await asyncio.gather(*loops)
    assert place.recorded() == [f"rsv_{n:02}.1" for n in range(35)]
    assert place.count() == GONE


async def test_a_stop_ends_the_wait_for_messages(place: Place, way: AwsBetween) -> None:
    waiting = asyncio.ensure_future(place.consumer.run_once())
    await asyncio.to_thread(wait_until, lambda: bool(way.operations()))
    (request,) = way.requests("ReceiveMessage")
    assert (request["WaitTimeSeconds"], request["VisibilityTimeout"]) == (MAX_WAIT_SECONDS, HIDDEN_SECONDS)
    place.stopping.set()
    async with asyncio.timeout(LONGEST_WAIT_SECONDS):
        assert await waiting == 0


async def test_a_poisoned_message_goes_to_the_dead_letters_and_holds_up_no_other(
    place: Place, way: AwsBetween
) -> None:
    place.send("no json", created("rsv_a"), created("rsv_b", source="somebody.else"))
    way.rewrites["ReceiveMessage"] = SHOWN_AT_ONCE
    assert await place.consumer.run_once(0) == 3
    assert place.recorded() == ["rsv_a.1"]
    place.send(created("rsv_c"))
    assert await place.consumer.run_once(0) == 3
    assert await place.consumer.run_once(0) == 0
    assert place.recorded() == ["rsv_a.1", "rsv_c.1"]
    assert place.count() == GONE
    assert place.count(place.dead_letters)["there"] == 2


async def test_a_lost_deletion_makes_a_repeat_that_is_not_recorded_twice(
    place: Place, way: AwsBetween
) -> None:
    place.send(created("rsv_a"))
    way.rewrites["ReceiveMessage"] = SHOWN_AT_ONCE
    way.answers_always("DeleteMessageBatch", refusal("InternalError", status=500))
    with pytest.raises(EventBusUnavailableError):
        await place.consumer.run_once(0)
    way.replies.clear()
    assert await place.consumer.run_once(0) == 1
    assert place.recorded() == ["rsv_a.1"]
    assert place.count() == GONE


async def test_another_process_records_what_was_not_deleted_again_and_says_so(
    place: Place, way: AwsBetween
) -> None:
    place.send(created("rsv_a"))
    way.rewrites["ReceiveMessage"] = SHOWN_AT_ONCE
    way.answers_always("DeleteMessageBatch", refusal("InternalError", status=500))
    with pytest.raises(EventBusUnavailableError):
        await place.consumer.run_once(0)
    way.replies.clear()
    other = place.restarted()
    assert await other.consumer.run_once(0) == 1
    assert place.recorded() == ["rsv_a.1", "rsv_a.1"]
    first, second = map(json.loads, place.stream.getvalue().splitlines())
    assert (first["redelivered"], second["redelivered"]) == (False, True)


async def test_a_message_that_is_not_deleted_is_told_of_and_comes_again(
    place: Place, way: AwsBetween, caplog: pytest.LogCaptureFixture
) -> None:
    place.send(created("rsv_a"))
    failed = {"Id": "0", "Code": "InternalError", "SenderFault": False}
    way.answers("DeleteMessageBatch", Reply(200, {"Successful": [], "Failed": [failed]}))
    assert await place.consumer.run_once(0) == 1
    assert "1 messages were not deleted and come again" in caplog.text
    assert place.count() == {"there": 0, "hidden": 1}


async def test_a_line_that_can_not_be_written_leaves_its_message_in_the_queue(place: Place) -> None:
    place.send(created("rsv_a"))
    place.stream.close()
    with pytest.raises(ValueError, match="closed"):
        await place.consumer.run_once(0)
    assert place.count() == {"there": 0, "hidden": 1}


@pytest.mark.parametrize("code", ["RequestThrottled", "AccessDeniedException", "QueueDoesNotExist"])
async def test_an_outage_or_a_refusal_ends_no_loop(place: Place, way: AwsBetween, code: str) -> None:
    place.send(created("rsv_a"))
    way.answers("ReceiveMessage", *[refusal(code)] * 4)
    loop = asyncio.ensure_future(run_loop(place.consumer.work, place.stopping, pause_until(place.stopping)))
    await asyncio.to_thread(wait_until, lambda: place.recorded() == ["rsv_a.1"])
    place.stopping.set()
    await loop


async def test_a_queue_is_found_by_its_name(place: Place, way: AwsBetween) -> None:
    caller = open_caller(SQS, way.url)
    found = await find_queue(caller, place.url.rpartition("/")[2])
    assert urlsplit(found).path == urlsplit(place.url).path
    with pytest.raises(EventBusUnavailableError, match="GetQueueUrl"):
        await find_queue(caller, "nobody's")
    await caller.close()


async def test_a_message_is_received_with_all_that_is_known_of_it(place: Place, sqs: Any) -> None:
    sqs.send_message(
        QueueUrl=place.url,
        MessageBody="body",
        MessageAttributes={"RULE_ARN": {"DataType": "String", "StringValue": "arn:rule"}},
    )
    (message,) = await place.queue.receive(10, wait_seconds=0, hidden_seconds=0)
    assert (message.body, message.receive_count, message.attributes) == ("body", 1, {"RULE_ARN": "arn:rule"})
    assert message.sent_at.year >= 2026
    (again,) = await place.queue.receive(10, wait_seconds=0, hidden_seconds=30)
    assert again.receive_count == 2
    await place.queue.release([again])
    assert place.count() == {"there": 1, "hidden": 0}
