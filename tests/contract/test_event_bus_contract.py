"""What every event bus must do: take a batch, say what became of each entry, lose none it took."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.event_buses import BUSES, BusUnderTest
from tests.support.examples import START, TRACE

from reservation_api.ports.event_bus import MAX_BATCH_ENTRIES, OutgoingEvent


@pytest.fixture(params=BUSES)
async def bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BusUnderTest]:
    async with BUSES[request.param](tmp_path) as opened:
        yield opened


def _event(n: int) -> OutgoingEvent:
    detail = f'{{"id":"event {n}","status":"HOLD","seat":"좌석 {n}"}}'
    return OutgoingEvent(f"event {n}", "reservation.service", "Reservation Created", detail, START, TRACE)


def _ids(bus: BusUnderTest) -> set[str]:
    return {event.id for event in bus.published()}


async def test_a_full_batch_arrives_as_it_was_sent(bus: BusUnderTest) -> None:
    batch = [_event(n) for n in range(MAX_BATCH_ENTRIES)]
    assert list(await bus.bus.publish(batch)) == [None] * MAX_BATCH_ENTRIES
    published = {event.id: event for event in bus.published()}
    assert published.keys() == {event.id for event in batch}
    for event in batch:
        got = published[event.id]
        assert (got.source, got.detail_type) == (event.source, event.detail_type)
        assert json.loads(got.detail) == json.loads(event.detail)


async def test_an_event_published_twice_arrives_under_one_id(bus: BusUnderTest) -> None:
    await bus.bus.publish([_event(1)])
    await bus.bus.publish([_event(1), _event(2)])
    assert _ids(bus) == {"event 1", "event 2"}


async def test_no_event_is_lost_when_many_publish_at_once(bus: BusUnderTest) -> None:
    buses = (bus.bus, bus.other)
    await asyncio.gather(*(buses[n % 2].publish([_event(n), _event(n + 1)]) for n in range(0, 60, 2)))
    assert _ids(bus) == {f"event {n}" for n in range(60)}


async def test_nothing_to_publish_is_no_fault(bus: BusUnderTest) -> None:
    assert list(await bus.bus.publish([])) == []
    assert _ids(bus) == set()
