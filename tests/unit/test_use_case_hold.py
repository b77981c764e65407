"""Holding and abandoning: ids, retries, and keys that were used before."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from tests.support.clock import FakeClock, SkewedClock
from tests.support.process import EVENT, Process, command
from tests.support.sales import free_seats, of, relay, selling

from reservation_api.adapters.sqlite.inventory import SqliteInventory
from reservation_api.application.abandon import Abandon
from reservation_api.application.hold import MAX_IDS_PER_KEY, reservation_id_of
from reservation_api.domain.errors import (
    IdempotencyMismatchError,
    SeatsTakenError,
    WrongStateError,
)
from reservation_api.domain.reservation import NewHold, Status
from reservation_api.domain.values import Money, RecordKey, ReservationId, SeatId, UserId
from reservation_api.ports.inventory import ReserveSeats
from reservation_api.ports.outbox import OutboxType
from reservation_api.ports.store import InsertReservation

SEATS: Final = 6
FIVE_MINUTES: Final = 300
"""The document (section 1.3): so long idempotency records are kept."""
A_RECORDS_LIFE: Final = 310
"""Five minutes, and what clocks may differ."""
HOLD: Final = timedelta(seconds=60)
GRACE: Final = timedelta(seconds=60)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def process(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Process]:
    async with selling(SEATS, tmp_path, clock) as opened:
        yield opened


# -- the first time -------------------------------------------------------------------------------


async def test_a_hold_is_stored_with_its_event_and_its_price(process: Process, clock: FakeClock) -> None:
    answer = await process.hold("alice", "k", ["A-1-2", "A-1-3"])
    hold = of(answer)
    assert (answer.as_of, answer.replayed, answer.order) == (clock.now(), False, None)
    assert (hold.status, hold.seat_ids, hold.user_id) == (Status.HOLD, ("A-1-2", "A-1-3"), "alice")
    assert hold.total_amount == Money(2000, "KRW")
    assert hold.hold_expires_at == clock.now() + HOLD
    world = process.ports.look()
    assert world.reservations == [hold]
    assert [entry.type for entry in world.outbox] == [OutboxType.RESERVATION_CREATED]
    assert process.offered == world.outbox
    assert await free_seats(process) == SEATS - 2


async def test_the_id_is_derived_so_that_a_retry_asks_for_the_same_hold(process: Process) -> None:
    asked = command("alice", "k", "hold", 1, "A-1-1")
    hold = of(await process.hold("alice", "k", ["A-1-1"]))
    assert hold.reservation_id == reservation_id_of(asked, 0)


def test_every_part_of_a_command_and_the_number_make_another_id() -> None:
    one = command("alice", "k", 1)
    others = [
        command("bob", "k", "hold", 1),
        command("alice", "l", "hold", 1),
        command("alice", "k", "hold", 2),
    ]
    ids = {reservation_id_of(one, n) for n in range(3)} | {reservation_id_of(other, 0) for other in others}
    assert len(ids) == 6
    assert reservation_id_of(one, 0) == reservation_id_of(command("alice", "k", 1), 0)


def test_the_border_between_subject_and_key_can_not_be_moved() -> None:
    assert command("alice", "1k", "hold").record_key != command("alice1", "k", "hold").record_key


# -- the second time ------------------------------------------------------------------------------


async def test_a_retry_is_answered_word_for_word_and_takes_no_more_seats(
    process: Process, clock: FakeClock
) -> None:
    first = await process.hold("alice", "k", qty=2)
    clock.advance(30)
    again = await process.hold("alice", "k", qty=2)
    assert (again.replayed, again.reservation, again.as_of) == (True, first.reservation, first.as_of)
    assert await free_seats(process) == SEATS - 2
    assert len(process.ports.look().reservations) == 1


async def test_a_retry_is_told_of_the_hold_even_when_it_is_cancelled_by_now(process: Process) -> None:
    first = await process.hold("alice", "k", ["A-1-1"])
    await process.cancel("alice", "cancel", of(first).reservation_id)
    await process.run_fast_path()
    again = await process.hold("alice", "k", ["A-1-1"])
    assert (again.replayed, again.reservation) == (True, first.reservation)


async def test_one_key_of_two_subjects_holds_for_both(process: Process) -> None:
    alice, bob = await process.hold("alice", "k", qty=1), await process.hold("bob", "k", qty=1)
    assert of(alice).reservation_id != of(bob).reservation_id
    assert not bob.replayed


async def reserved_before(process: Process, seats: Sequence[str], ends_at: datetime) -> ReservationId:
    """A first attempt of alice that died between the inventory and the store."""
    reservation_id = reservation_id_of(command("alice", "k", "hold", len(seats), *seats), 0)
    seat_ids = tuple(map(SeatId, seats))
    key = f"{reservation_id}:hold:0"
    request = ReserveSeats(reservation_id, EVENT, UserId("alice"), seat_ids, len(seats), ends_at + GRACE, key)
    await process.ports.inventory.reserve(request)
    return reservation_id


async def test_a_retried_hold_keeps_the_inventorys_first_clock(process: Process, clock: FakeClock) -> None:
    first_end = clock.now() + HOLD
    reservation_id = await reserved_before(process, ["A-1-1"], first_end)
    clock.advance(20)
    hold = of(await process.hold("alice", "k", ["A-1-1"]))
    assert (hold.reservation_id, hold.hold_expires_at) == (reservation_id, first_end)
    assert (hold.created_at, hold.updated_at) == (first_end - HOLD, clock.now())


async def test_a_hold_that_would_be_over_is_abandoned_and_another_id_is_tried(
    process: Process, clock: FakeClock
) -> None:
    first_id = await reserved_before(process, ["A-1-1"], clock.now() + HOLD)
    clock.advance(60)
    with pytest.raises(SeatsTakenError):  # by its own first attempt, whose seats are on their way back
        await process.hold("alice", "k", ["A-1-1"])
    (given_up,) = process.ports.look().reservations
    assert (given_up.reservation_id, given_up.status) == (first_id, Status.ABANDONED)
    await process.run_fast_path()
    hold = of(await process.hold("alice", "k", ["A-1-1"]))
    assert hold.reservation_id == reservation_id_of(command("alice", "k", "hold", 1, "A-1-1"), 1)
    assert hold.hold_expires_at == clock.now() + HOLD


# -- a key that is old ----------------------------------------------------------------------------


async def test_a_key_used_after_five_minutes_holds_new_seats(process: Process, clock: FakeClock) -> None:
    first = of(await process.hold("alice", "k", qty=1))
    clock.advance(A_RECORDS_LIFE)
    await process.run_workers()
    again = await process.hold("alice", "k", qty=1)
    assert not again.replayed
    assert of(again).reservation_id == reservation_id_of(command("alice", "k", "hold", 1), 1)
    assert of(again).reservation_id != first.reservation_id
    assert of(again).created_at == clock.now()


async def test_a_key_just_under_five_minutes_old_is_answered(process: Process, clock: FakeClock) -> None:
    first = await process.hold("alice", "k", qty=1)
    clock.advance(FIVE_MINUTES - 0.001)
    await process.run_workers()
    again = await process.hold("alice", "k", qty=1)
    assert (again.replayed, again.reservation) == (True, first.reservation)


async def test_a_key_is_good_for_so_many_holds_and_then_refused(process: Process, clock: FakeClock) -> None:
    asked = command("alice", "k", "hold", 1)
    for n in range(MAX_IDS_PER_KEY):
        hold = of(await process.hold("alice", "k", qty=1))
        assert hold.reservation_id == reservation_id_of(asked, n)
        clock.advance(A_RECORDS_LIFE)
        await process.run_workers()
    before = process.ports.look()
    with pytest.raises(WrongStateError, match="too often"):
        await process.hold("alice", "k", qty=1)
    assert process.ports.look() == before
    assert await free_seats(process) == SEATS


async def test_a_key_is_good_for_other_seats_after_five_minutes(process: Process, clock: FakeClock) -> None:
    await process.hold("alice", "k", ["A-1-1"])
    clock.advance(A_RECORDS_LIFE)
    assert of(await process.hold("alice", "k", ["A-1-2"])).seat_ids == ("A-1-2",)


async def test_a_key_used_again_when_the_inventory_has_forgotten_it_blocks_no_seats(
    process: Process, clock: FakeClock
) -> None:
    first = of(await process.hold("alice", "k", ["A-1-1"]))
    await process.cancel("alice", "cancel", first.reservation_id)
    await process.run_fast_path()
    clock.advance(2 * 3600)
    inventory = process.ports.inventory
    assert isinstance(inventory, SqliteInventory)
    assert await inventory.purge_ended_holds(clock.now(), 100) == 1
    assert of(await process.hold("alice", "k", ["A-1-1"])).status is Status.HOLD


# -- a key of another request ---------------------------------------------------------------------


async def test_a_key_of_another_hold_is_refused_and_the_seats_just_taken_come_back(process: Process) -> None:
    first = of(await process.hold("alice", "k", ["A-1-1"]))
    with pytest.raises(IdempotencyMismatchError):
        await process.hold("alice", "k", ["A-1-2", "A-1-3"])
    assert await free_seats(process) == SEATS - 3
    await relay(process)
    assert await free_seats(process) == SEATS - 1
    world = process.ports.look()
    assert {r.status for r in world.reservations if r != first} == {Status.ABANDONED}
    assert first in world.reservations
    assert of(await process.hold("bob", "k", ["A-1-2", "A-1-3"])).status is Status.HOLD


async def test_a_refused_key_is_refused_again_and_again_and_keeps_no_seats(process: Process) -> None:
    await process.hold("alice", "k", ["A-1-1"])
    for _ in range(3):
        with pytest.raises(IdempotencyMismatchError):
            await process.hold("alice", "k", ["A-1-2"])
        await relay(process)
    assert await free_seats(process) == SEATS - 1


# -- abandoning -----------------------------------------------------------------------------------


def new_hold(reservation_id: str) -> NewHold:
    return NewHold(ReservationId(reservation_id), EVENT, UserId("alice"), RecordKey("k"))


async def test_abandoning_an_absent_id_closes_it_and_leaves_a_release(
    process: Process,
) -> None:
    abandon = Abandon(process.ports.store, process.clock, process.offered.extend)
    assert await abandon(new_hold("rsv_1"), (SeatId("A-1-1"),), "trace") is True
    world = process.ports.look()
    (given_up,), (release,) = world.reservations, world.outbox
    assert (given_up.reservation_id, given_up.status, given_up.seats) == ("rsv_1", Status.ABANDONED, ())
    assert (release.outbox_id, release.type) == ("rsv_1.release", OutboxType.RELEASE_SEATS)
    assert process.offered == [release]
    taken = await process.ports.store.transact([InsertReservation(given_up)])
    assert taken is not None


async def test_a_committed_id_can_not_be_abandoned(process: Process) -> None:
    hold = of(await process.hold("alice", "k", ["A-1-1"]))
    before = process.ports.look()
    abandon = Abandon(process.ports.store, process.clock, process.offered.extend)
    assert await abandon(new_hold(hold.reservation_id), hold.seat_ids, "trace") is False
    assert process.ports.look() == before
    assert process.offered == before.outbox


async def test_an_abandoned_id_is_never_committed_by_its_twin(process: Process) -> None:
    first_id = await reserved_before(process, ["A-1-1"], process.clock.now() + HOLD)
    abandon = Abandon(process.ports.store, process.clock, process.offered.extend)
    await abandon(new_hold(first_id), (SeatId("A-1-1"),), "trace")
    hold = of(await process.hold("alice", "k", ["A-1-1"]))
    assert hold.reservation_id != first_id
    await process.run_fast_path()  # the abandoned id's release frees nothing of the twin's
    with pytest.raises(SeatsTakenError):
        await process.hold("bob", "b", ["A-1-1"])


@pytest.mark.parametrize("skew_seconds", [-2, 0, 2])
async def test_a_retry_within_five_minutes_is_answered_whatever_the_clocks_say(
    process: Process, clock: FakeClock, skew_seconds: int
) -> None:
    clock.advance(0.999)
    first = await process.hold("alice", "k", qty=1)
    clock.advance(FIVE_MINUTES - 0.001)
    other = Process(process.ports, SkewedClock(clock, skew_seconds))
    again = await other.hold("alice", "k", qty=1)
    assert (again.reservation, again.replayed) == (first.reservation, True)


async def test_a_key_that_went_on_to_another_request_blocks_no_seats_of_the_first(
    process: Process, clock: FakeClock
) -> None:
    first = of(await process.hold("alice", "k", ["A-1-1"]))
    await process.cancel("alice", "cancel", first.reservation_id)
    await process.run_fast_path()
    clock.advance(2 * 3600)
    inventory = process.ports.inventory
    assert isinstance(inventory, SqliteInventory)
    await inventory.purge_ended_holds(clock.now(), 100)
    await process.hold("alice", "k", ["A-1-2"])
    with pytest.raises(IdempotencyMismatchError):
        await process.hold("alice", "k", ["A-1-1"])
    assert of(await process.hold("bob", "b", ["A-1-1"])).status is Status.HOLD
