"""What every event bus must do: take a batch, say what became of each entry, lose none it took."""

import asyncio

from tests.support.examples import START, TRACE
from tests.support.runtimes import Ports

from reservation_api.ports.event_bus import MAX_BATCH_ENTRIES, OutgoingEvent


def _event(n: int) -> OutgoingEvent:
    detail = f'{{"id":"event {n}","status":"HOLD"}}'
    return OutgoingEvent(f"event {n}", "reservation.service", "Reservation Created", detail, START, TRACE)


async def test_a_full_batch_arrives_as_it_was_sent(ports: Ports) -> None:
    batch = [_event(n) for n in range(MAX_BATCH_ENTRIES)]
    assert list(await ports.bus.publish(batch)) == [None] * MAX_BATCH_ENTRIES
    published = {event.id: event for event in ports.look().published}
    assert published.keys() == {event.id for event in batch}
    for event in batch:
        got = published[event.id]
        assert (got.source, got.detail_type, got.detail) == (event.source, event.detail_type, event.detail)


async def test_an_event_published_twice_arrives_under_one_id(ports: Ports) -> None:
    await ports.bus.publish([_event(1)])
    await ports.bus.publish([_event(1), _event(2)])
    assert {event.id for event in ports.look().published} == {"event 1", "event 2"}


async def test_no_event_is_lost_when_many_publish_at_once(ports: Ports, other_ports: Ports) -> None:
    buses = (ports.bus, other_ports.bus)
    await asyncio.gather(*(buses[n % 2].publish([_event(n), _event(n + 1)]) for n in range(0, 60, 2)))
    assert {event.id for event in ports.look().published} == {f"event {n}" for n in range(60)}
