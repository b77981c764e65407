"""Many callers at once: a seat goes to one of them, and nobody gets half of what was asked for."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from tests.contract.inventories import InventoryUnderTest
from tests.support.clock import FakeClock
from tests.support.venues import EVENT, HOLD, return_of, sale, venue, wanted

from reservation_api.domain.errors import SeatsTakenError, SoldOutError
from reservation_api.ports.inventory import (
    CommitOutcome,
    HoldEndedError,
    Inventory,
    ReleaseOutcome,
    ReserveSeats,
    SeatHold,
)

ROWS = ["." * 20] * 5
CAPACITY = 100


@pytest.fixture(autouse=True)
async def _event(under_test: InventoryUnderTest) -> None:
    await under_test.load_event(venue({"A": ROWS}))


async def race(
    inventory: Inventory, requests: Sequence[ReserveSeats]
) -> tuple[list[SeatHold], list[BaseException]]:
    answers = await asyncio.gather(*map(inventory.reserve, requests), return_exceptions=True)
    holds = [answer for answer in answers if isinstance(answer, SeatHold)]
    return holds, [answer for answer in answers if isinstance(answer, BaseException)]


def seats_of(holds: Sequence[SeatHold]) -> list[str]:
    return [seat.seat_id for hold in holds for seat in hold.seats]


async def test_fifty_buyers_of_one_seat_are_one_winner(inventory: Inventory, clock: FakeClock) -> None:
    holds, refusals = await race(inventory, [wanted(f"r{n}", "A-1-1", clock.now() + HOLD) for n in range(50)])
    assert len(holds) == 1
    assert len(refusals) == 49
    assert all(isinstance(refusal, SeatsTakenError) for refusal in refusals)
    assert (await inventory.availability(EVENT)).remaining == CAPACITY - 1


async def test_overlapping_wishes_are_never_torn(inventory: Inventory, clock: FakeClock) -> None:
    chance = random.Random(7)
    seats = [f"A-{row}-{number}" for row in (1, 2) for number in range(1, 11)]
    wishes = [" ".join(chance.sample(seats, chance.randint(2, 5))) for _ in range(60)]
    holds, refusals = await race(
        inventory, [wanted(f"r{n}", wish, clock.now() + HOLD) for n, wish in enumerate(wishes)]
    )
    held = seats_of(holds)
    assert len(held) == len(set(held))
    assert {" ".join(seats_of([hold])) for hold in holds} <= set(wishes)
    assert all(isinstance(refusal, SeatsTakenError) for refusal in refusals)
    assert (await inventory.availability(EVENT)).remaining == CAPACITY - len(held)


async def test_a_storm_for_the_best_seats_sells_exactly_the_capacity(
    inventory: Inventory, clock: FakeClock
) -> None:
    holds, refusals = await race(
        inventory, [wanted(f"r{n}", 1 + n % 4, clock.now() + HOLD) for n in range(80)]
    )
    rest = (await inventory.availability(EVENT)).remaining
    last, _ = await race(inventory, [wanted(f"s{n}", 1, clock.now() + HOLD) for n in range(rest + 5)])
    held = seats_of([*holds, *last])
    assert len(held) == len(set(held)) == CAPACITY
    assert all(isinstance(refusal, SoldOutError) for refusal in refusals)
    assert (await inventory.availability(EVENT)).remaining == 0


async def test_one_id_sent_many_times_at_once_takes_its_seats_once(
    inventory: Inventory, clock: FakeClock
) -> None:
    holds, refusals = await race(inventory, [wanted("r1", 3, clock.now() + HOLD)] * 20)
    assert not refusals
    assert all(hold == holds[0] for hold in holds)
    assert (await inventory.availability(EVENT)).remaining == CAPACITY - 3


async def test_commit_and_release_at_once_have_one_winner(inventory: Inventory, clock: FakeClock) -> None:
    for n in range(1, 21):
        seat = f"A-1-{n}"
        await inventory.reserve(wanted(f"r{n}", seat, clock.now() + HOLD))
        calls = [inventory.commit(sale(f"r{n}", seat)), inventory.release(return_of(f"r{n}", seat))]
        if n % 2:
            release, commit = await asyncio.gather(*reversed(calls))
        else:
            commit, release = await asyncio.gather(*calls)
        assert (commit, release) in (
            (CommitOutcome.SOLD, ReleaseOutcome.FAILED),
            (CommitOutcome.HOLD_EXPIRED, ReleaseOutcome.RELEASED),
        )
        (section,) = (await inventory.status(EVENT)).sections
        free = await inventory.availability(EVENT, seat_ids=wanted("", seat, clock.now()).seat_ids)
        assert bool(free.available_seats) is (release is ReleaseOutcome.RELEASED)
        assert section.held == 0


async def test_a_commit_and_the_next_buyer_at_expiry_have_one_winner(
    inventory: Inventory, clock: FakeClock
) -> None:
    for n in range(1, 21):
        seat = f"A-2-{n}"
        await inventory.reserve(wanted(f"r{n}", seat, clock.now() + HOLD))
        clock.advance(HOLD.total_seconds())
        commit, hold = await asyncio.gather(
            inventory.commit(sale(f"r{n}", seat)),
            inventory.reserve(wanted(f"s{n}", seat, clock.now() + HOLD)),
        )
        assert commit is CommitOutcome.HOLD_EXPIRED
        assert seats_of([hold]) == [seat]
        assert await inventory.commit(sale(f"s{n}", seat)) is CommitOutcome.SOLD


async def test_a_commit_just_before_expiry_beats_the_next_buyer(
    inventory: Inventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds() - 0.001)
    commit, refusal = await asyncio.gather(
        inventory.commit(sale("r1", "A-1-1")),
        inventory.reserve(wanted("r2", "A-1-1", clock.now() + HOLD)),
        return_exceptions=True,
    )
    assert commit is CommitOutcome.SOLD
    assert isinstance(refusal, SeatsTakenError)


async def test_an_extension_and_the_next_buyer_at_expiry_have_one_winner(
    inventory: Inventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds())
    holds, refusals = await race(
        inventory,
        [
            wanted("r1", "A-1-1", clock.now() + HOLD, key="extend:0"),
            wanted("r2", "A-1-1", clock.now() + HOLD),
        ],
    )
    assert len(holds) == 1
    assert [type(refusal) for refusal in refusals] == [HoldEndedError]
    assert await inventory.commit(sale("r1", "A-1-1")) is CommitOutcome.HOLD_EXPIRED


async def test_expired_seats_go_to_one_of_many_next_buyers(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r0", "A-1-1 A-1-2", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds())
    holds, refusals = await race(
        inventory, [wanted(f"r{n}", "A-1-2 A-1-3", clock.now() + HOLD) for n in range(1, 30)]
    )
    assert len(holds) == 1
    assert all(isinstance(refusal, SeatsTakenError) for refusal in refusals)
