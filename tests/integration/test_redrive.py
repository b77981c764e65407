"""Dead letters back to the bus, over SQS and EventBridge as ministack has them."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from tests.support.aws_between import AwsBetween, Reply, between, refusal
from tests.support.bus_events import created
from tests.support.eventbridge import Bus, create_queue, open_bus, open_caller
from tests.support.ministack import Ministack, ministack, unique
from tests.support.processes import wait_until

from reservation_api.adapters.aws_wire.endpoint import EVENTBRIDGE, SQS
from reservation_api.adapters.eventbridge.bus import EventBridgeBus
from reservation_api.adapters.sqs.queue import SqsQueue
from reservation_api.application.dead_letters import (
    HIDDEN_SECONDS,
    LOOK_SECONDS,
    Pass,
    Selection,
    list_letters,
)
from reservation_api.application.redrive import Redrive, RedriveLimits, Redriven

ALL: Final = Selection()
MANY: Final = RedriveLimits(1000, 50.0)
DRY: Final = RedriveLimits(1000, 50.0, is_dry_run=True)
SHOWN_AT_ONCE: Final = {"VisibilityTimeout": 0}


@pytest.fixture(scope="module")
def aws() -> Iterator[Ministack]:
    with ministack() as started:
        yield started


@pytest.fixture
def way(aws: Ministack) -> Iterator[AwsBetween]:
    with between(aws.url) as opened:
        yield opened


@dataclass
class Desk:
    """An operator's: a dead-letter queue, the bus, and what was done and shown."""

    bus: Bus
    url: str
    queue: SqsQueue
    events: EventBridgeBus
    pauses: list[float] = field(default_factory=list)
    shown: list[Redriven] = field(default_factory=list)

    def put(self, *bodies: Any, **attributes: str) -> None:
        named = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            self.bus.sqs.send_message(QueueUrl=self.url, MessageBody=text, MessageAttributes=named)

    async def redrive(self, selection: Selection = ALL, limits: RedriveLimits = MANY) -> Redriven:
        async def pause(seconds: float) -> None:
            self.pauses.append(seconds)

        return await Redrive(self.queue, self.events, pause)(selection, limits, self.shown.append)

    def there(self) -> int:
        """How many letters can be received now."""
        return self._count("ApproximateNumberOfMessages")

    def hidden(self) -> int:
        return self._count("ApproximateNumberOfMessagesNotVisible")

    def _count(self, name: str) -> int:
        found = self.bus.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return int(found["Attributes"][name])

    def published(self) -> list[str]:
        return sorted(event.id for event in self.bus.published())


@pytest.fixture
async def desk(aws: Ministack, way: AwsBetween) -> AsyncIterator[Desk]:
    async with open_bus(aws.url) as bus:
        url, _ = create_queue(bus.sqs, unique("dlq"))
        way.rewrites["ReceiveMessage"] = {"WaitTimeSeconds": 0}  # its wait for nothing is real time
        sqs, events = open_caller(SQS, way.url), open_caller(EVENTBRIDGE, way.url)
        yield Desk(bus, url, SqsQueue(sqs, url), EventBridgeBus(events, bus.name))
        await sqs.close()
        await events.close()


async def test_letters_go_back_to_the_bus_as_they_were_and_leave_the_queue(desk: Desk) -> None:
    event = created("rsv_a")
    desk.put(event, created("rsv_b"))
    result = await desk.redrive()
    assert (sorted(result.redriven), result.refused, result.stopped) == (["rsv_a.1", "rsv_b.1"], (), None)
    assert (desk.there(), desk.hidden()) == (0, 0)
    delivered = {one["detail"]["id"]: one for one in desk.bus.envelopes()}
    assert delivered.keys() == {"rsv_a.1", "rsv_b.1"}
    for name in ("source", "detail-type", "detail"):
        assert delivered["rsv_a.1"][name] == event[name]


async def test_more_than_a_batch_is_redriven_no_faster_than_asked(desk: Desk) -> None:
    desk.put(*[created(f"rsv_{n:02}") for n in range(25)])
    result = await desk.redrive(limits=RedriveLimits(1000, per_second=2.0))
    assert len(result.redriven) == result.looked_at == 25
    assert desk.published() == [f"rsv_{n:02}.1" for n in range(25)]
    assert sum(desk.pauses) == 25 / 2.0
    assert [so_far.looked_at for so_far in desk.shown] == [10, 20, 25]


async def test_a_letter_is_not_deleted_before_the_bus_has_its_event(desk: Desk, way: AwsBetween) -> None:
    desk.put(created())
    await desk.redrive()
    operations = way.operations()
    assert operations.index("PutEvents") < operations.index("DeleteMessageBatch")


async def test_what_the_bus_refuses_stays_and_what_it_takes_goes(desk: Desk, way: AwsBetween) -> None:
    def answer(request: Mapping[str, Any]) -> Reply:
        refused = {"ErrorCode": "MalformedDetail", "ErrorMessage": "no"}
        entries = [
            refused if "rsv_b" in entry["Detail"] else {"EventId": "e"} for entry in request["Entries"]
        ]
        return Reply(200, {"FailedEntryCount": 1, "Entries": entries})

    way.answers_always("PutEvents", answer)
    desk.put(created("rsv_a"), created("rsv_b"), created("rsv_c"))
    result = await desk.redrive()
    assert sorted(result.redriven) == ["rsv_a.1", "rsv_c.1"]
    assert result.refused == (("rsv_b.1", "MalformedDetail: no"),)
    assert not result.is_clean
    assert (desk.there(), desk.hidden()) == (1, 0)
    way.replies.clear()
    assert (await desk.redrive()).redriven == ("rsv_b.1",)


async def test_an_entry_without_room_ends_it_and_stays(desk: Desk, way: AwsBetween) -> None:
    throttled = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
    way.answers("PutEvents", Reply(200, {"FailedEntryCount": 1, "Entries": [{"EventId": "e"}, throttled]}))
    desk.put(created("rsv_a"), created("rsv_b"))
    result = await desk.redrive()
    assert len(result.redriven) == 1
    assert result.stopped == "ThrottlingException: slow down"
    assert not result.is_clean
    assert (desk.there(), desk.hidden()) == (1, 0)


@pytest.mark.parametrize("operation", ["PutEvents", "ReceiveMessage", "DeleteMessageBatch"])
async def test_a_refused_call_ends_it_and_loses_no_letter(
    desk: Desk, way: AwsBetween, operation: str
) -> None:
    way.answers_always(operation, refusal("AccessDeniedException", "not authorized"))
    desk.put(created("rsv_a"), created("rsv_b"))
    result = await desk.redrive()
    assert result.redriven == ()
    assert result.stopped is not None
    assert "AccessDeniedException" in result.stopped
    assert (desk.there(), desk.hidden()) == (2, 0)


async def test_a_lost_deletion_is_a_repeat_under_one_id(desk: Desk, way: AwsBetween) -> None:
    desk.put(created())
    failed = {"Id": "0", "Code": "InternalError", "SenderFault": False}
    way.answers("DeleteMessageBatch", Reply(200, {"Failed": [failed]}))
    result = await desk.redrive()
    assert result.refused == (("rsv_1.1", "published, but its letter could not be deleted"),)
    assert (await desk.redrive()).redriven == ("rsv_1.1",)
    assert desk.published() == ["rsv_1.1", "rsv_1.1"]


async def test_an_event_that_several_targets_missed_is_published_once(desk: Desk, way: AwsBetween) -> None:
    desk.put(*[created(id=f"bus event {n}") for n in range(12)])
    result = await desk.redrive()
    assert result.redriven == ("rsv_1.1",) * 12
    assert desk.published() == ["rsv_1.1"]
    assert len(way.requests("PutEvents")) == 1
    assert (desk.there(), desk.hidden()) == (0, 0)


async def test_what_is_no_event_of_ours_stays_and_is_told_of(desk: Desk) -> None:
    desk.put("no json", created("rsv_a"), created("rsv_b", source="aws.events"))
    result = await desk.redrive()
    assert result.redriven == ("rsv_a.1",)
    assert len(result.refused) == 2
    assert (desk.there(), desk.hidden()) == (2, 0)


async def test_only_what_is_selected_goes(desk: Desk) -> None:
    desk.put(created("rsv_a"), created("rsv_b"), RULE_ARN="arn:rule/bus/one", ERROR_CODE="NO_PERMISSIONS")
    desk.put(created("rsv_c"), "no json", RULE_ARN="arn:rule/bus/two")
    result = await desk.redrive(Selection(rule="one", event_ids=frozenset({"rsv_b.1"})))
    assert (result.looked_at, result.redriven, result.is_clean) == (4, ("rsv_b.1",), True)
    assert desk.published() == ["rsv_b.1"]
    assert (desk.there(), desk.hidden()) == (3, 0)


async def test_it_takes_no_more_than_it_may(desk: Desk) -> None:
    desk.put(*[created(f"rsv_{n}") for n in range(5)])
    result = await desk.redrive(limits=RedriveLimits(3, 50.0))
    assert len(result.redriven) == 3
    assert (desk.there(), desk.hidden()) == (2, 0)
    assert desk.pauses == []


async def test_a_dry_run_changes_nothing(desk: Desk, way: AwsBetween) -> None:
    desk.put(created("rsv_a"), created("rsv_b"), "no json")
    result = await desk.redrive(limits=DRY)
    assert sorted(result.redriven) == ["rsv_a.1", "rsv_b.1"]
    assert len(result.refused) == 1
    assert set(way.operations()) == {"ReceiveMessage", "ChangeMessageVisibilityBatch"}
    assert (desk.there(), desk.hidden()) == (3, 0)
    assert desk.published() == []


async def test_a_list_leaves_everything_where_it_is(desk: Desk, way: AwsBetween) -> None:
    desk.put(*[created(f"rsv_{n:02}") for n in range(15)])
    listed = await list_letters(desk.queue, ALL, 100)
    assert sorted(letter.name for letter in listed) == [f"rsv_{n:02}.1" for n in range(15)]
    assert len(await list_letters(desk.queue, ALL, 3)) == 3
    assert (desk.there(), desk.hidden()) == (15, 0)
    assert set(way.operations()) == {"ReceiveMessage", "ChangeMessageVisibilityBatch"}
    asked = [(one["WaitTimeSeconds"], one["VisibilityTimeout"]) for one in way.requests("ReceiveMessage")]
    assert set(asked) == {(LOOK_SECONDS, HIDDEN_SECONDS)}


async def test_a_pass_that_meets_its_own_beginning_ends(desk: Desk, way: AwsBetween) -> None:
    way.rewrites["ReceiveMessage"] = SHOWN_AT_ONCE
    desk.put(created("rsv_a"), created("rsv_b"))
    assert len(await list_letters(desk.queue, ALL, 100)) == 2


async def test_letters_that_come_again_do_not_hide_those_not_met_yet(desk: Desk, way: AwsBetween) -> None:
    desk.put(*[created(f"rsv_{n:02}") for n in range(20)])
    way.rewrites["ReceiveMessage"] = {**SHOWN_AT_ONCE, "WaitTimeSeconds": 0}
    one_pass = Pass(desk.queue)
    async with one_pass:
        assert len(await one_pass.next_letters()) == 10
        way.rewrites["ReceiveMessage"] = {"WaitTimeSeconds": 0}
        assert len(await one_pass.next_letters()) == 10, "the first ten came again, and then others"
        assert await one_pass.next_letters() == []
    assert (desk.there(), desk.hidden()) == (20, 0)


async def test_letters_that_can_not_be_released_are_told_of(
    desk: Desk, way: AwsBetween, caplog: pytest.LogCaptureFixture
) -> None:
    way.answers_always("ChangeMessageVisibilityBatch", refusal("AccessDeniedException"))
    desk.put(created())
    assert len(await list_letters(desk.queue, ALL, 100)) == 1
    assert "letters stay hidden for up to 300 seconds" in caplog.text
    assert (desk.there(), desk.hidden()) == (0, 1)


async def test_an_interrupted_redrive_lets_go_of_its_letters(desk: Desk, way: AwsBetween) -> None:
    desk.put(created())
    way.holds("PutEvents")
    redriving = asyncio.ensure_future(desk.redrive())
    await asyncio.to_thread(wait_until, lambda: "PutEvents" in way.operations())
    redriving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await redriving
    way.drops_held("PutEvents")
    assert (desk.there(), desk.hidden()) == (1, 0)
    assert (await desk.redrive()).redriven == ("rsv_1.1",)
