"""Events to EventBridge over real sockets: what is refused, throttled, lost on the way, or taken twice."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.aws_between import AwsBetween, Reply, between, refusal
from tests.support.clock import FakeClock
from tests.support.eventbridge import Bus, open_bus, open_caller
from tests.support.examples import START, TRACE, outbox_entry
from tests.support.ministack import Ministack, ministack
from tests.support.moto import moto
from tests.support.processes import wait_until
from tests.support.runtimes import sqlite_on_disk

from reservation_api.adapters.aws_wire.endpoint import EVENTBRIDGE
from reservation_api.adapters.eventbridge.bus import EventBridgeBus
from reservation_api.adapters.eventbridge.entries import SIZE_LIMIT_BYTES
from reservation_api.application.deliver import Deliver
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.application.outbox_entries import FAST_PATH_SECONDS
from reservation_api.application.recover import Recover
from reservation_api.application.relay import Relay, RetryPolicy
from reservation_api.domain.errors import EventBusUnavailableError
from reservation_api.ports.event_bus import OutgoingEvent
from reservation_api.ports.outbox import OutboxType
from reservation_api.ports.store import AddOutboxEntry

TRIES: Final = 3
"""Of one call, by default."""
HALF: Final = "x" * (SIZE_LIMIT_BYTES // 2)


@pytest.fixture(scope="module")
def aws() -> Iterator[Ministack]:
    with ministack() as started:
        yield started


@pytest.fixture
async def all_events(aws: Ministack) -> AsyncIterator[Bus]:
    async with open_bus(aws.url) as opened:
        yield opened


@pytest.fixture
def way(aws: Ministack) -> Iterator[AwsBetween]:
    with between(aws.url) as opened:
        yield opened


@pytest.fixture
async def bus(way: AwsBetween, all_events: Bus) -> AsyncIterator[EventBridgeBus]:
    """A bus whose calls pass by `way`."""
    caller = open_caller(EVENTBRIDGE, way.url)
    yield EventBridgeBus(caller, all_events.name)
    await caller.close()


def event(n: int, detail: str | None = None) -> OutgoingEvent:
    detail = detail or f'{{"id":"event {n}"}}'
    return OutgoingEvent(f"event {n}", "reservation.service", "Reservation Created", detail, START, TRACE)


def ids(bus: Bus) -> list[str]:
    return sorted(event.id for event in bus.published())


async def test_a_malformed_event_is_refused_and_the_others_of_its_call_arrive() -> None:
    with moto() as url:
        async with open_bus(url) as all_events:
            bus = EventBridgeBus(all_events.caller(), all_events.name)
            outcomes = await bus.publish([event(1), event(2, "no json"), event(3)])
            assert outcomes == [None, "MalformedDetail: Detail is malformed.", None]
            assert ids(all_events) == ["event 1", "event 3"]


async def test_consumers_see_the_second_in_which_it_happened() -> None:
    with moto() as url:
        async with open_bus(url) as all_events:
            bus = EventBridgeBus(all_events.caller(), all_events.name)
            await bus.publish([replace(event(1), occurred_at=START + timedelta(seconds=7.999))])
            (envelope,) = all_events.envelopes()
            assert envelope["time"] == "2026-11-23T12:00:07Z"


async def test_events_that_fill_a_call_go_in_two(
    way: AwsBetween, all_events: Bus, bus: EventBridgeBus
) -> None:
    large = [event(n, f'{{"id":"event {n}","x":"{HALF[:-200]}"}}') for n in range(3)]
    assert await bus.publish(large) == [None] * 3
    assert sorted(len(request["Entries"]) for request in way.requests("PutEvents")) == [1, 2]
    assert ids(all_events) == ["event 0", "event 1", "event 2"]


async def test_a_call_throttled_now_and_then_is_made_again(
    way: AwsBetween, all_events: Bus, bus: EventBridgeBus
) -> None:
    way.answers("PutEvents", *[refusal("ThrottlingException", "Rate exceeded")] * (TRIES - 1))
    assert await bus.publish([event(1)]) == [None]
    assert ids(all_events) == ["event 1"]


@pytest.mark.parametrize(
    "reply",
    [
        refusal("ThrottlingException", "Rate exceeded"),
        refusal("AccessDeniedException", "not authorized to perform: events:PutEvents"),
        refusal("ResourceNotFoundException", "Event bus does not exist."),
        refusal("InternalException", "try again", 500),
        Reply(503, {"message": "Service Unavailable"}),
    ],
    ids=["throttled", "access denied", "bus gone", "internal", "unavailable"],
)
async def test_a_call_that_fails_as_a_whole_is_an_outage(
    way: AwsBetween, bus: EventBridgeBus, reply: Reply
) -> None:
    way.answers_always("PutEvents", reply)
    with pytest.raises(EventBusUnavailableError):
        await bus.publish([event(1), event(2)])


async def test_a_lost_answer_makes_a_repeat_under_the_same_id(
    way: AwsBetween, all_events: Bus, bus: EventBridgeBus
) -> None:
    way.loses_answers("PutEvents")
    with pytest.raises(EventBusUnavailableError):
        await bus.publish([event(1)])
    way.lost.clear()
    assert await bus.publish([event(1)]) == [None]
    assert set(ids(all_events)) == {"event 1"}
    assert len(ids(all_events)) == TRIES + 1


async def test_nobody_at_the_address_is_an_outage() -> None:
    with between() as way:
        url = way.url
    caller = open_caller(EVENTBRIDGE, url)
    with pytest.raises(EventBusUnavailableError):
        await EventBridgeBus(caller, "bus").publish([event(1)])
    await caller.close()


def _some_fail(request: Mapping[str, Any]) -> Reply:
    """Throttle `rsv_b`, refuse `rsv_c`."""
    codes = {"rsv_b": "ThrottlingException", "rsv_c": "MalformedDetail"}
    entries = request["Entries"]
    found = [next((codes[name] for name in codes if name in entry["Detail"]), None) for entry in entries]
    answered = [{"EventId": "e"} if code is None else {"ErrorCode": code} for code in found]
    return Reply(200, {"FailedEntryCount": sum(code is not None for code in found), "Entries": answered})


async def test_the_relay_counts_attempts_for_the_refused_alone(
    tmp_path: Path, way: AwsBetween, all_events: Bus, bus: EventBridgeBus
) -> None:
    clock = FakeClock(START + timedelta(seconds=FAST_PATH_SECONDS))
    async with sqlite_on_disk(tmp_path) as open_process:
        ports = open_process(clock)
        finish = FinishConfirm(ports.store, ports.inventory, clock, lambda _: None)
        deliver = Deliver(bus, ports.inventory, Recover(ports.store, finish))
        relay = Relay(ports.outbox, deliver, clock, RetryPolicy())
        entries = [AddOutboxEntry(outbox_entry(name)) for name in ("rsv_a", "rsv_b", "rsv_c")]
        assert await ports.store.transact(entries) is None
        way.answers_always("PutEvents", _some_fail)
        assert await relay.run_once(OutboxType.RESERVATION_CREATED) == 1
        left = {entry.outbox_id: (entry.attempts, entry.last_error) for entry in ports.look().outbox}
        assert left == {
            "rsv_b.1": (0, "ThrottlingException: no message"),
            "rsv_c.1": (1, "MalformedDetail: no message"),
        }
        way.replies.clear()
        clock.advance(60)
        assert await relay.run_once(OutboxType.RESERVATION_CREATED) == 2
        assert ports.look().outbox == []
    assert ids(all_events) == ["rsv_b.1", "rsv_c.1"]


async def test_a_publisher_that_is_cancelled_leaves_the_bus_usable(
    way: AwsBetween, all_events: Bus, bus: EventBridgeBus
) -> None:
    way.holds("PutEvents")
    publishing = asyncio.ensure_future(bus.publish([event(1)]))
    await asyncio.to_thread(wait_until, lambda: bool(way.operations()))
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    way.held.pop("PutEvents").set()
    assert await bus.publish([event(2)]) == [None]
    assert "event 2" in ids(all_events)
