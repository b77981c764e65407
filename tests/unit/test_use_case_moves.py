"""Cancelling, extending and expiring: what a hold becomes, and when its seats are free."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.clock import FakeClock, SkewedClock
from tests.support.examples import START
from tests.support.faults import PLAN, Fault, Plan
from tests.support.process import EVENT, Process, run_named
from tests.support.runtimes import OpenProcess, sqlite_on_disk
from tests.support.sales import free_seats, of

from reservation_api.adapters.sqlite.inventory_plan import Grid, grid_plan
from reservation_api.application.command import Answer
from reservation_api.application.expire import BATCH_SIZE, Expire
from reservation_api.domain.errors import (
    HoldExpiredError,
    InventoryUnavailableError,
    StoreUnavailableError,
    WrongStateError,
)
from reservation_api.domain.reservation import HoldPolicy, Reservation, Status
from reservation_api.domain.values import ReservationId
from reservation_api.ports.inventory import Inventory, ReserveSeats, SeatHold
from reservation_api.ports.outbox import OutboxEntry, OutboxType
from reservation_api.ports.store import Conflict, ReservationStore, UpdateReservation, Write

SEATS: Final = 120


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def open_process(tmp_path: Path) -> AsyncIterator[OpenProcess]:
    async with sqlite_on_disk(tmp_path) as opened:
        yield opened


@pytest.fixture
async def process(open_process: OpenProcess, clock: FakeClock) -> Process:
    ports = open_process(clock)
    grid = Grid(prices={"A": 1000}, rows=1, seats_per_row=SEATS)
    await ports.load_event(grid_plan(EVENT, "Test", "KRW", grid))
    return Process(ports, clock)


async def held(process: Process, key: str = "hold", qty: int = 1) -> ReservationId:
    return of(await process.hold("alice", key, qty=qty)).reservation_id


async def stored(process: Process, hold: ReservationId) -> Reservation:
    found = await process.ports.store.get_reservation(hold)
    assert found is not None
    return found


def rows(process: Process, hold: ReservationId) -> dict[OutboxType, OutboxEntry]:
    return {entry.type: entry for entry in process.ports.look().outbox if entry.aggregate_id == hold}


# -- cancel ---------------------------------------------------------------------------------------


async def test_a_cancel_ends_the_hold_and_leaves_its_event_and_release(process: Process) -> None:
    hold = await held(process, qty=2)
    answer = await process.cancel("alice", "cancel", hold)
    assert of(answer) == await stored(process, hold)
    assert (of(answer).status, of(answer).version) == (Status.CANCELLED, 2)
    left = rows(process, hold)
    event = json.loads(left[OutboxType.RESERVATION_STATUS_CHANGED].payload)
    assert (event["status"], event["version"], event["occurred_at"]) == (
        "CANCELLED",
        2,
        "2026-11-23T12:00:00.000Z",
    )
    release = json.loads(left[OutboxType.RELEASE_SEATS].payload)
    assert release == {"event_id": EVENT, "seat_ids": ["A-1-1", "A-1-2"], "reason": "cancelled"}
    assert {entry.outbox_id for entry in process.offered} == {
        e.outbox_id for e in process.ports.look().outbox
    }


async def test_the_seats_of_a_cancelled_hold_are_free_after_the_fast_path(process: Process) -> None:
    await process.cancel("alice", "cancel", await held(process))
    assert await free_seats(process) == SEATS - 1
    await process.run_fast_path()
    assert await free_seats(process) == SEATS


async def test_the_seats_of_a_cancelled_hold_are_free_within_five_seconds_if_the_process_dies(
    process: Process, clock: FakeClock
) -> None:
    await process.cancel("alice", "cancel", await held(process))
    process.offered.clear()
    clock.advance(5)
    await process.run_workers()
    assert await free_seats(process) == SEATS


async def test_a_hold_can_be_cancelled_until_the_last_millisecond(process: Process, clock: FakeClock) -> None:
    hold = await held(process)
    clock.advance(59.999)
    assert of(await process.cancel("alice", "cancel", hold)).status is Status.CANCELLED


async def test_a_repeated_cancel_is_answered_as_the_first(process: Process, clock: FakeClock) -> None:
    hold = await held(process)
    first = await process.cancel("alice", "cancel", hold)
    clock.advance(200)
    again = await process.cancel("alice", "cancel", hold)
    assert (again.replayed, again.reservation, again.as_of) == (True, first.reservation, first.as_of)
    assert len(process.ports.look().outbox) == 3


async def test_of_two_cancels_at_once_one_takes_effect(process: Process) -> None:
    hold = await held(process)
    results = await asyncio.gather(
        *(process.cancel("alice", key, hold) for key in ("a", "b")), return_exceptions=True
    )
    assert Counter(type(result) for result in results) == {Answer: 1, WrongStateError: 1}


async def test_a_cancel_and_a_confirm_at_once_do_not_both_take_effect(process: Process) -> None:
    hold = await held(process)
    results = await asyncio.gather(
        process.cancel("alice", "a", hold), process.confirm("alice", "b", hold, "pi"), return_exceptions=True
    )
    assert Counter(type(result) for result in results) == {Answer: 1, WrongStateError: 1}
    assert (await stored(process, hold)).version == 2


# -- extend ---------------------------------------------------------------------------------------


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def test_an_extension_moves_the_end_and_is_stored(process: Process, clock: FakeClock) -> None:
    hold = await held(process)
    clock.advance(30)
    answer = await process.extend("alice", "extend", hold, 45)
    assert (of(answer).hold_expires_at, of(answer).extensions) == (later(105), 1)
    assert of(answer) == await stored(process, hold)
    assert list(rows(process, hold)) == [OutboxType.RESERVATION_CREATED]


async def test_an_extended_hold_can_be_confirmed_later(process: Process, clock: FakeClock) -> None:
    hold = await held(process)
    await process.extend("alice", "extend", hold, 200)
    clock.advance(259.999)
    assert await process.expire.run_once() == 0
    assert (await process.confirm("alice", "confirm", hold, "pi")).order is not None


async def test_no_extension_reaches_beyond_five_minutes_from_creation(
    process: Process, clock: FakeClock
) -> None:
    hold = await held(process)
    clock.advance(50)
    answers = [await process.extend("alice", key, hold, 230) for key in "ab"]
    assert [of(answer).hold_expires_at for answer in answers] == [later(290), later(300)]
    assert [answer.extended_seconds for answer in answers] == [230, 10]
    clock.advance(250)
    with pytest.raises(HoldExpiredError):
        await process.confirm("alice", "confirm", hold, "pi")


async def test_the_caps_are_those_of_the_policy(open_process: OpenProcess, process: Process) -> None:
    policy = HoldPolicy(hold_seconds=10, grace_seconds=5, max_hold_seconds=25, max_extensions=1)
    strict = Process(process.ports, process.clock, policy)
    hold = await held(strict)
    assert (await stored(process, hold)).hold_expires_at == later(10)
    assert of(await strict.extend("alice", "a", hold, 100)).hold_expires_at == later(25)
    with pytest.raises(WrongStateError, match="as often as it may"):
        await strict.extend("alice", "b", hold, 1)


async def test_a_repeated_extend_is_answered_as_the_first_and_extends_once(process: Process) -> None:
    hold = await held(process)
    first = await process.extend("alice", "extend", hold, 30)
    again = await process.extend("alice", "extend", hold, 30)
    assert (again.replayed, again.reservation) == (True, first.reservation)
    assert again.extended_seconds == first.extended_seconds == 30
    assert (await stored(process, hold)).extensions == 1


async def test_of_two_extends_at_once_each_counts(process: Process) -> None:
    hold = await held(process)
    answers = await asyncio.gather(*(process.extend("alice", key, hold, 30) for key in ("a", "b")))
    assert sorted(of(answer).hold_expires_at for answer in answers) == [later(90), later(120)]
    assert (await stored(process, hold)).extensions == 2


class GrantingInventory:
    """Answers every extension with this expiry, in the time zone of its own clock."""

    def __init__(self, inventory: Inventory, expires_at: datetime) -> None:
        self._inventory = inventory
        self._expires_at = expires_at.astimezone(timezone(timedelta(hours=9)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inventory, name)

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        return replace(await self._inventory.reserve(request), expires_at=self._expires_at)


def granted(process: Process, seconds: float) -> Process:
    """An inventory that keeps the seats until so many seconds from the start, its grace included."""
    inventory = GrantingInventory(process.ports.inventory, later(seconds))
    return Process(replace(process.ports, inventory=inventory), process.clock)


async def test_only_what_the_inventory_grants_is_believed(process: Process) -> None:
    hold = await held(process)
    answer = await granted(process, 60 + 75.9).extend("alice", "extend", hold, 60)
    assert (of(answer).hold_expires_at, answer.extended_seconds) == (later(75.9), 15)
    assert (await stored(process, hold)).hold_expires_at == later(75.9)


async def test_more_than_was_asked_is_not_taken(process: Process) -> None:
    hold = await held(process)
    answer = await granted(process, 10_000).extend("alice", "extend", hold, 60)
    assert of(answer).hold_expires_at == later(120)


@pytest.mark.parametrize("grant", [60 + 60, 60 + 59.999, 0])
async def test_an_inventory_that_grants_nothing_later_extends_nothing(process: Process, grant: float) -> None:
    hold = await held(process)
    before = process.ports.look()
    with pytest.raises(WrongStateError, match="last longer"):
        await granted(process, grant).extend("alice", "extend", hold, 60)
    assert process.ports.look() == before


async def test_an_extension_by_other_seats_is_not_believed(process: Process) -> None:
    class Confused(GrantingInventory):
        async def reserve(self, request: ReserveSeats) -> SeatHold:
            answer = await super().reserve(request)
            return replace(answer, seats=answer.seats * 2)

    hold = await held(process)
    before = process.ports.look()
    confused = Confused(process.ports.inventory, later(1000))
    with pytest.raises(InventoryUnavailableError, match="can not be believed"):
        await Process(replace(process.ports, inventory=confused), process.clock).extend("alice", "e", hold, 9)
    assert process.ports.look() == before


# -- expire ---------------------------------------------------------------------------------------


async def test_a_hold_expires_at_its_end_and_not_before(process: Process, clock: FakeClock) -> None:
    hold = await held(process)
    clock.advance(59.999)
    assert await process.expire.run_once() == 0
    assert (await stored(process, hold)).status is Status.HOLD
    clock.advance(0.001)
    assert await process.expire.run_once() == 1
    after = await stored(process, hold)
    assert (after.status, after.version, after.updated_at) == (Status.EXPIRED, 2, later(60))
    assert await process.expire.run_once() == 0


async def test_an_expired_hold_leaves_its_event_and_gives_its_seats_back(
    process: Process, clock: FakeClock
) -> None:
    hold = await held(process)
    clock.advance(60)
    await process.expire.run_once()
    left = rows(process, hold)
    event = json.loads(left[OutboxType.RESERVATION_STATUS_CHANGED].payload)
    assert (event["status"], event["payment_intent_id"]) == ("EXPIRED", None)
    assert json.loads(left[OutboxType.RELEASE_SEATS].payload)["reason"] == "expired"
    assert left[OutboxType.RELEASE_SEATS].trace_id == event["trace_id"]
    assert await free_seats(process) == SEATS - 1
    await process.run_fast_path()
    assert await free_seats(process) == SEATS


async def test_expiry_takes_a_batch_at_a_time_until_none_is_due(process: Process, clock: FakeClock) -> None:
    holds = [await held(process, f"key {n}") for n in range(BATCH_SIZE + 5)]
    clock.advance(30)
    young = await held(process, "young")
    clock.advance(30)
    assert [await process.expire.run_once() for _ in range(3)] == [BATCH_SIZE, 5, 0]
    statuses = Counter(r.status for r in process.ports.look().reservations)
    assert statuses == {Status.EXPIRED: len(holds), Status.HOLD: 1}
    assert (await stored(process, young)).status is Status.HOLD
    released = [e for e in process.ports.look().outbox if e.type is OutboxType.RELEASE_SEATS]
    assert {entry.aggregate_id for entry in released} == set(holds)


async def test_what_is_over_for_another_reason_does_not_expire(process: Process, clock: FakeClock) -> None:
    await process.cancel("alice", "cancel", await held(process, "a"))
    await process.confirm("alice", "confirm", await held(process, "b"), "pi")
    before = process.ports.look()
    clock.advance(3600)
    assert await process.expire.run_once() == 0
    assert process.ports.look() == before


class OvertakenStore:
    """Another worker is quicker between this one's look and its writes."""

    def __init__(self, store: ReservationStore, other: Expire) -> None:
        self._store = store
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def due_holds(self, now: datetime, limit: int) -> Sequence[Reservation]:
        due = await self._store.due_holds(now, limit)
        await self._other.run_once()
        return due


async def test_two_workers_expire_each_hold_once(open_process: OpenProcess, process: Process) -> None:
    assert isinstance(process.clock, FakeClock)
    holds = [await held(process, f"key {n}") for n in range(10)]
    process.clock.advance(60)
    ahead = SkewedClock(process.clock, 2)
    ports = open_process(ahead)
    slower = Process(replace(ports, store=OvertakenStore(ports.store, process.expire)), ahead)
    process.offered.clear()
    assert await slower.expire.run_once() == len(holds)
    assert slower.offered == []
    offered = Counter(entry.outbox_id for entry in process.offered)
    assert offered == {f"{hold}.{what}": 1 for hold in holds for what in ("2", "release")}


class RememberingStore:
    """Remembers the conditions under which reservations were to change."""

    def __init__(self, store: ReservationStore) -> None:
        self._store = store
        self.updates: list[UpdateReservation] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def transact(self, writes: Sequence[Write]) -> Conflict | None:
        self.updates += [write for write in writes if isinstance(write, UpdateReservation)]
        return await self._store.transact(writes)


@pytest.mark.parametrize(("name", "more"), [("confirm", ("pi",)), ("cancel", ()), ("extend", (30,))])
async def test_late_is_late_at_the_write(
    process: Process, clock: FakeClock, name: str, more: tuple[Any, ...]
) -> None:
    store = RememberingStore(process.ports.store)
    hold = await held(process)
    clock.advance(59)
    await run_named(Process(replace(process.ports, store=store), clock), name, ("alice", "k", hold, *more))
    assert (store.updates[0].not_past, store.updates[0].past) == (clock.now(), None)


async def test_early_is_early_at_the_write(process: Process, clock: FakeClock) -> None:
    store = RememberingStore(process.ports.store)
    await held(process)
    clock.advance(60)
    await Process(replace(process.ports, store=store), clock).expire.run_once()
    (update,) = store.updates
    assert (update.not_past, update.past) == (None, clock.now())


async def test_a_hold_that_can_not_be_written_keeps_no_other_from_expiring(
    process: Process, clock: FakeClock
) -> None:
    for n in range(5):
        await held(process, f"key {n}")
    clock.advance(60)
    PLAN.set(Plan({3: Fault.REFUSED}))  # call 0 reads, each further one writes a hold
    with pytest.raises(StoreUnavailableError):
        await process.expire.run_once()
    PLAN.set(None)
    assert Counter(r.status for r in process.ports.look().reservations) == {Status.EXPIRED: 4, Status.HOLD: 1}
    assert await process.expire.run_once() == 1
