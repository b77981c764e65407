"""Slots: never more than there are, in the order of arrival, and none is lost."""

import asyncio
import random

import pytest
from tests.support.aws_service import PATIENT_SECONDS, steps, until

from reservation_api.adapters.aws_wire.slots import Slots


def waiting(slots: Slots, seconds: float = PATIENT_SECONDS) -> "asyncio.Task[bool]":
    return asyncio.create_task(slots.take(seconds))


async def test_there_are_so_many_and_no_more() -> None:
    slots = Slots(2, max_waiting=10)
    assert [slots.try_take() for _ in range(3)] == [True, True, False]
    slots.give_back()
    assert await slots.take(0)
    assert not await slots.take(0)


async def test_slots_go_to_whoever_waits_longest() -> None:
    slots = Slots(1, max_waiting=10)
    slots.try_take()
    first, second = waiting(slots), waiting(slots)
    await until(lambda: slots.waiting == 2)
    slots.give_back()
    assert not slots.try_take()  # it is on its way to the first
    assert await first
    assert not second.done()
    slots.give_back()
    assert await second
    assert (slots.free, slots.waiting) == (0, 0)


async def test_nobody_waits_longer_than_was_said() -> None:
    slots = Slots(1, max_waiting=10)
    slots.try_take()
    assert not await slots.take(0.01)
    assert slots.waiting == 0
    slots.give_back()
    assert slots.free == 1


async def test_nobody_waits_in_a_full_line() -> None:
    slots = Slots(1, max_waiting=1)
    slots.try_take()
    first = waiting(slots)
    await until(lambda: slots.waiting == 1)
    assert not await slots.take(PATIENT_SECONDS)
    slots.give_back()
    assert await first


async def test_who_gives_up_while_waiting_takes_nothing_along() -> None:
    slots = Slots(1, max_waiting=10)
    slots.try_take()
    first, second = waiting(slots), waiting(slots)
    await until(lambda: slots.waiting == 2)
    first.cancel()
    await steps(3)
    slots.give_back()
    assert await second


async def test_a_slot_that_was_handed_to_somebody_who_gave_up_goes_to_the_next() -> None:
    slots = Slots(1, max_waiting=10)
    slots.try_take()
    first, second = waiting(slots), waiting(slots)
    await until(lambda: slots.waiting == 2)
    slots.give_back()  # to the first,
    first.cancel()  # who has not woken up yet
    assert await second
    with pytest.raises(asyncio.CancelledError):
        await first
    slots.give_back()
    assert slots.free == 1


async def test_a_slot_given_back_twice_is_found_out() -> None:
    slots = Slots(1, max_waiting=0)
    with pytest.raises(RuntimeError, match="more slots"):
        slots.give_back()


@pytest.mark.parametrize("seed", range(20))
async def test_after_a_storm_all_slots_are_back(seed: int) -> None:
    dice = random.Random(seed)
    slots, taken = Slots(5, max_waiting=50), 0

    async def user() -> None:
        nonlocal taken
        if not await slots.take(dice.choice([0, 0.001, PATIENT_SECONDS])):
            return
        taken += 1
        try:
            assert taken <= 5
            await steps(dice.randrange(5))
        finally:
            taken -= 1
            slots.give_back()

    users = [asyncio.create_task(user()) for _ in range(100)]
    for victim in dice.sample(users, 40):
        await steps(dice.randrange(3))
        victim.cancel()
    outcomes = await asyncio.gather(*users, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}
    assert (slots.free, slots.waiting, taken) == (5, 0, 0)
