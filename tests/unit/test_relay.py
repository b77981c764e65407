"""The relay's slow path: any worker gets every row done, or says why not."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.clock import FakeClock
from tests.support.databases import opened_database
from tests.support.examples import START, TRACE, outbox_entry, recovery, reservation
from tests.support.faults import ProcessDiedError
from tests.support.process import EVENT
from tests.support.runtimes import Ports, sqlite_on_disk

from reservation_api.adapters.sqlite.event_log import SqliteEventLog
from reservation_api.adapters.sqlite.inventory_plan import Grid, grid_plan
from reservation_api.application.deliver import MAX_CONCURRENT_CALLS, Deliver
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.application.outbox_entries import FAST_PATH_SECONDS, release_of
from reservation_api.application.recover import Recover
from reservation_api.application.relay import BATCH_SIZE, CLAIM_SECONDS, Relay, RetryPolicy, retried
from reservation_api.domain.errors import (
    EventBusUnavailableError,
    InventoryUnavailableError,
    UnavailableError,
)
from reservation_api.domain.events import SOURCE
from reservation_api.domain.values import OutboxId, PaymentIntentId, ReservationId, SeatId, UserId
from reservation_api.ports.event_bus import EventBus, OutgoingEvent
from reservation_api.ports.inventory import CommitSeats, Inventory, ReleaseOutcome, ReleaseSeats, ReserveSeats
from reservation_api.ports.outbox import OutboxEntry, OutboxStatus, OutboxType
from reservation_api.ports.store import AddOutboxEntry

CREATED: Final = OutboxType.RESERVATION_CREATED
RELEASE: Final = OutboxType.RELEASE_SEATS
POLICY: Final = RetryPolicy()
MINUTE: Final = timedelta(minutes=1)
SEAT_OF_1: Final = (ReservationId("rsv_1"), EVENT, UserId("alice"), (SeatId("A-1-1"),))


class ScriptedBus:
    """Answers each event by its id, and remembers each call."""

    def __init__(self, refusals: Mapping[str, str] | None = None, error: BaseException | None = None) -> None:
        self.refusals = dict(refusals or {})
        self.error = error
        self.calls: list[Sequence[OutgoingEvent]] = []

    async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[str | None]:
        self.calls.append(events)
        if self.error is not None:
            raise self.error
        return [self.refusals.get(event.id) for event in events]

    @property
    def ids(self) -> list[str]:
        return [event.id for call in self.calls for event in call]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START + timedelta(seconds=FAST_PATH_SECONDS))


@pytest.fixture
async def ports(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Ports]:
    async with sqlite_on_disk(tmp_path) as open_process:
        ports = open_process(clock)
        grid = Grid(prices={"A": 1000}, rows=1, seats_per_row=4)
        await ports.load_event(grid_plan(EVENT, "Test", "KRW", grid))
        yield ports


def deliver_of(ports: Ports, clock: FakeClock, bus: EventBus, inventory: Inventory | None = None) -> Deliver:
    inventory = inventory or ports.inventory
    finish = FinishConfirm(ports.store, inventory, clock, lambda _: None)
    return Deliver(bus, inventory, Recover(ports.store, finish))


def relay_of(ports: Ports, clock: FakeClock, bus: EventBus, inventory: Inventory | None = None) -> Relay:
    return Relay(ports.outbox, deliver_of(ports, clock, bus, inventory), clock, POLICY)


async def add(ports: Ports, *entries: OutboxEntry) -> None:
    assert await ports.store.transact([AddOutboxEntry(entry) for entry in entries]) is None


def events(count: int) -> list[OutboxEntry]:
    return [outbox_entry(f"rsv_{n:03}") for n in range(count)]


def release(reservation_id: str = "rsv_1", **changes: Any) -> OutboxEntry:
    return replace(release_of(reservation(reservation_id), "test", TRACE), **changes)


async def kept(ports: Ports, outbox_id: str) -> OutboxEntry:
    found = await ports.outbox.get(OutboxId(outbox_id))
    assert found is not None
    return found


async def work_until_failed(ports: Ports, clock: FakeClock, relay: Relay, kind: OutboxType) -> int:
    """Run until no row is pending; return how many rounds it took."""
    for rounds in range(1, 100):
        await relay.run_once(kind)
        if not await ports.outbox.list(OutboxStatus.PENDING, 1):
            return rounds
        clock.advance(60)
    pytest.fail("rows stay pending for ever")


async def test_an_event_is_published_as_written_and_its_row_goes(ports: Ports, clock: FakeClock) -> None:
    (entry,) = events(1)
    await add(ports, entry)
    bus = ScriptedBus()
    assert await relay_of(ports, clock, bus).run_once(CREATED) == 1
    (sent,) = bus.calls[0]
    assert sent == OutgoingEvent(
        entry.outbox_id, SOURCE, "Reservation Created", entry.payload, entry.created_at, TRACE
    )
    assert json.loads(sent.detail)["id"] == sent.id
    assert ports.look().outbox == []


async def test_events_go_in_batches_of_ten(ports: Ports, clock: FakeClock) -> None:
    await add(ports, *events(25))
    bus = ScriptedBus()
    assert await relay_of(ports, clock, bus).run_once(CREATED) == 25
    assert sorted(len(call) for call in bus.calls) == [5, 10, 10]
    assert sorted(bus.ids) == sorted(entry.outbox_id for entry in events(25))


async def test_one_run_takes_no_more_than_its_batch(ports: Ports, clock: FakeClock) -> None:
    await add(ports, *events(BATCH_SIZE + 3))
    relay = relay_of(ports, clock, ScriptedBus())
    assert [await relay.run_once(CREATED) for _ in range(3)] == [BATCH_SIZE, 3, 0]


async def test_a_run_is_about_one_type(ports: Ports, clock: FakeClock) -> None:
    await add(ports, *events(1), release())
    relay = relay_of(ports, clock, ScriptedBus())
    assert await relay.run_once(RELEASE) == 1
    assert [entry.type for entry in ports.look().outbox] == [CREATED]


async def test_rows_that_the_fast_path_may_still_do_are_left_alone(ports: Ports, clock: FakeClock) -> None:
    young = outbox_entry("rsv_young", next_retry_at=clock.now() + timedelta(milliseconds=1))
    await add(ports, outbox_entry("rsv_old"), young)
    bus = ScriptedBus()
    relay = relay_of(ports, clock, bus)
    assert await relay.run_once(CREATED) == 1
    assert bus.ids == ["rsv_old.1"]
    assert ports.look().outbox == [young]
    clock.advance(0.001)
    assert await relay.run_once(CREATED) == 1


async def test_a_release_frees_the_seats_under_a_key_of_its_own(ports: Ports, clock: FakeClock) -> None:
    await ports.inventory.reserve(ReserveSeats(*SEAT_OF_1, 1, clock.now() + MINUTE, "rsv_1:hold:0"))
    await add(ports, release())
    assert await relay_of(ports, clock, ScriptedBus()).run_once(RELEASE) == 1
    assert (await ports.inventory.availability(EVENT)).remaining == 4


async def test_of_a_batch_only_the_refused_entries_stay(ports: Ports, clock: FakeClock) -> None:
    await add(ports, *events(10))
    bus = ScriptedBus({"rsv_003.1": "MalformedDetail", "rsv_007.1": "InternalFailure"})
    assert await relay_of(ports, clock, bus).run_once(CREATED) == 8
    left = {entry.outbox_id: (entry.attempts, entry.last_error) for entry in ports.look().outbox}
    assert left == {"rsv_003.1": (1, "MalformedDetail"), "rsv_007.1": (1, "InternalFailure")}


async def test_a_refused_entry_waits_and_is_then_delivered(ports: Ports, clock: FakeClock) -> None:
    await add(ports, *events(1))
    bus = ScriptedBus({"rsv_000.1": "InternalFailure"})
    relay = relay_of(ports, clock, bus)
    await relay.run_once(CREATED)
    bus.refusals.clear()
    clock.advance(0.499)
    assert await relay.run_once(CREATED) == 0
    clock.advance(0.501)
    assert await relay.run_once(CREATED) == 1


async def test_an_entry_refused_ten_times_is_failed_and_kept_with_its_last_error(
    ports: Ports, clock: FakeClock
) -> None:
    await add(ports, *events(1))
    bus = ScriptedBus({"rsv_000.1": "MalformedDetail"})
    relay = relay_of(ports, clock, bus)
    assert await work_until_failed(ports, clock, relay, CREATED) == POLICY.max_attempts
    failed = await kept(ports, "rsv_000.1")
    assert (failed.status, failed.attempts) == (OutboxStatus.FAILED, POLICY.max_attempts)
    assert failed.last_error == "MalformedDetail"
    clock.advance(86_400)
    assert await relay.run_once(CREATED) == 0
    assert len(bus.ids) == POLICY.max_attempts


async def test_a_failed_entry_that_a_person_retries_is_delivered(ports: Ports, clock: FakeClock) -> None:
    await add(ports, *events(1))
    bus = ScriptedBus({"rsv_000.1": "MalformedDetail"})
    relay = relay_of(ports, clock, bus)
    await work_until_failed(ports, clock, relay, CREATED)
    failed = await kept(ports, "rsv_000.1")
    assert await ports.outbox.update(failed, retried(failed, clock.now()))
    bus.refusals.clear()
    assert await relay.run_once(CREATED) == 1
    assert ports.look().outbox == []


@pytest.mark.parametrize("payload", ["", "no json", "[]", '{"event_id": 1}', '{"seat_ids": null}'])
@pytest.mark.parametrize("make", [release, lambda **c: replace(recovery(), **c)], ids=["release", "recovery"])
async def test_a_poisoned_row_ends_as_failed_and_stops_no_other(
    ports: Ports, clock: FakeClock, make: Callable[..., OutboxEntry], payload: str
) -> None:
    poisoned = make(payload=payload, outbox_id=OutboxId("rsv_x.poisoned"))
    good = make(outbox_id=OutboxId("rsv_y.good"))
    await add(ports, poisoned, good)
    relay = relay_of(ports, clock, ScriptedBus())
    assert await relay.run_once(poisoned.type) == 1
    await work_until_failed(ports, clock, relay, poisoned.type)
    (left,) = ports.look().outbox
    assert (left.outbox_id, left.status, left.attempts) == (poisoned.outbox_id, OutboxStatus.FAILED, 10)
    assert left.last_error is not None
    assert "Error" in left.last_error


async def test_a_release_of_sold_seats_is_refused_and_says_so(ports: Ports, clock: FakeClock) -> None:
    await ports.inventory.reserve(ReserveSeats(*SEAT_OF_1, 1, clock.now() + MINUTE, "rsv_1:hold:0"))
    await ports.inventory.commit(CommitSeats(*SEAT_OF_1, PaymentIntentId("pi"), "rsv_1:confirm:0"))
    await add(ports, release())
    assert await relay_of(ports, clock, ScriptedBus()).run_once(RELEASE) == 0
    (left,) = ports.look().outbox
    assert (left.attempts, left.last_error) == (1, "the inventory has sold these seats")


async def test_a_bus_with_a_bug_fails_its_batch_and_no_release(ports: Ports, clock: FakeClock) -> None:
    await add(ports, *events(1))
    relay = relay_of(ports, clock, ScriptedBus(error=RuntimeError("bug")))
    await work_until_failed(ports, clock, relay, CREATED)
    assert (await kept(ports, "rsv_000.1")).last_error == "RuntimeError('bug')"
    deliver = deliver_of(ports, clock, ScriptedBus(error=RuntimeError("bug")))
    verdicts = {d.entry.type: d.verdict.value for d in await deliver([*events(1), release("rsv_2")])}
    assert verdicts == {CREATED: "refused", RELEASE: "done"}


@pytest.mark.parametrize("answers", [0, 1, 3])
async def test_a_bus_that_answers_for_too_few_or_too_many_is_not_believed(
    ports: Ports, clock: FakeClock, answers: int
) -> None:
    class Miscounting(ScriptedBus):
        async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[str | None]:
            await super().publish(events)
            return [None] * answers

    await add(ports, *events(2))
    assert await relay_of(ports, clock, Miscounting()).run_once(CREATED) == 0
    assert {entry.attempts for entry in ports.look().outbox} == {1}


async def test_an_outage_counts_no_attempt_however_long_it_lasts(ports: Ports, clock: FakeClock) -> None:
    await add(ports, *events(12))
    bus = ScriptedBus(error=EventBusUnavailableError("throttled"))
    relay = relay_of(ports, clock, bus)
    for _ in range(30):
        assert await relay.run_once(CREATED) == 0
        clock.advance(3)
    left = ports.look().outbox
    assert {(e.status, e.attempts, e.last_error) for e in left} == {(OutboxStatus.PENDING, 0, "throttled")}
    bus.error = None
    assert await relay.run_once(CREATED) == 12


async def test_an_event_log_whose_file_is_out_of_reach_is_an_outage(
    ports: Ports, clock: FakeClock, tmp_path: Path
) -> None:
    elsewhere = opened_database(tmp_path / "events.db")
    elsewhere.close()
    await add(ports, *events(1))
    with pytest.raises(EventBusUnavailableError):
        await SqliteEventLog(elsewhere).publish([])
    await relay_of(ports, clock, SqliteEventLog(elsewhere)).run_once(CREATED)
    assert (await kept(ports, "rsv_000.1")).attempts == 0


async def test_a_batch_that_meets_an_outage_does_not_stop_another(ports: Ports, clock: FakeClock) -> None:
    class Flaky(ScriptedBus):
        async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[str | None]:
            if any(event.id == "rsv_000.1" for event in events):
                raise EventBusUnavailableError("reset")
            return await super().publish(events)

    await add(ports, *events(20))
    assert await relay_of(ports, clock, Flaky()).run_once(CREATED) == 10
    assert {entry.attempts for entry in ports.look().outbox} == {0}


class SlowInventory:
    """Counts how many releases are under way at once; fails with an error if given."""

    def __init__(self, error: UnavailableError | None = None) -> None:
        self.error = error
        self.under_way = 0
        self.peak = 0

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        for _ in range(3):
            await asyncio.sleep(0)
        self.under_way -= 1
        if self.error is not None:
            raise self.error
        assert request.reason == "test"
        return ReleaseOutcome.RELEASED


async def test_releases_never_crowd_out_holds(ports: Ports, clock: FakeClock) -> None:
    await add(ports, *(release(f"rsv_{n}") for n in range(40)))
    slow = SlowInventory()
    assert await relay_of(ports, clock, ScriptedBus(), slow).run_once(RELEASE) == 40
    assert slow.peak == MAX_CONCURRENT_CALLS


async def test_an_inventory_that_does_not_answer_is_asked_again_soon(ports: Ports, clock: FakeClock) -> None:
    await add(ports, release())
    slow = SlowInventory(InventoryUnavailableError("no answer"))
    relay = relay_of(ports, clock, ScriptedBus(), slow)
    assert await relay.run_once(RELEASE) == 0
    assert (await kept(ports, "rsv_1.release")).attempts == 0
    slow.error = None
    clock.advance(3)
    assert await relay.run_once(RELEASE) == 1


async def test_what_another_has_claimed_meanwhile_is_left_to_it(ports: Ports, clock: FakeClock) -> None:
    class Overtaken:
        """Another worker claims the first rows between this one's look and its claims."""

        def __getattr__(self, name: str) -> Any:
            return getattr(ports.outbox, name)

        async def due(self, kind: OutboxType, now: datetime, limit: int) -> Sequence[OutboxEntry]:
            found = await ports.outbox.due(kind, now, limit)
            for entry in found[:25]:
                assert await ports.outbox.update(entry, replace(entry, next_retry_at=now + MINUTE))
            return found

    await add(ports, *events(60))
    bus = ScriptedBus()
    relay = relay_of(replace(ports, outbox=Overtaken()), clock, bus)
    assert await relay.run_once(CREATED) == 35
    assert len(ports.look().outbox) == 25
    assert {entry.outbox_id for entry in ports.look().outbox}.isdisjoint(bus.ids)


async def test_of_two_workers_at_once_each_row_is_done_by_one(ports: Ports, clock: FakeClock) -> None:
    await add(ports, *events(60))
    bus = ScriptedBus()
    done = await asyncio.gather(*(relay_of(ports, clock, bus).run_once(CREATED) for _ in range(2)))
    assert (sum(done), len(bus.ids), len(set(bus.ids))) == (60, 60, 60)


async def test_rows_of_a_worker_that_died_come_back_after_the_claim(ports: Ports, clock: FakeClock) -> None:
    await add(ports, *events(3))
    with pytest.raises(ProcessDiedError):
        await relay_of(ports, clock, ScriptedBus(error=ProcessDiedError())).run_once(CREATED)
    bus = ScriptedBus()
    other = relay_of(ports, clock, bus)
    clock.advance(CLAIM_SECONDS - 0.001)
    assert await other.run_once(CREATED) == 0
    clock.advance(0.001)
    assert await other.run_once(CREATED) == 3
    assert len(bus.ids) == 3


async def test_a_worker_that_took_too_long_does_not_undo_what_another_has_done(
    ports: Ports, clock: FakeClock
) -> None:
    await add(ports, *events(1))
    quick = relay_of(ports, clock, ScriptedBus())

    class Overtaken(ScriptedBus):
        async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[str | None]:
            clock.advance(CLAIM_SECONDS)
            assert await quick.run_once(CREATED) == len(events)
            raise EventBusUnavailableError("too late")

    assert await relay_of(ports, clock, Overtaken()).run_once(CREATED) == 0
    assert ports.look().outbox == []
