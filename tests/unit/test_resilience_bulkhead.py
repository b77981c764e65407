"""The bulkhead: never more calls than allowed, first come first served, and no slot is ever lost."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest
from tests.unit.test_resilience_virtual_time import after, in_virtual_time, now, turns, waiting_timers

from reservation_api.adapters.resilience.bulkhead import MAX_WAITING_CALLS, Bulkhead
from reservation_api.adapters.resilience.errors import BulkheadFullError
from reservation_api.adapters.resilience.settings import BulkheadSettings


def make_bulkhead(calls: int = 2, wait: float = 0.0) -> Bulkhead:
    settings = BulkheadSettings(max_concurrent_calls=calls, max_wait_duration_seconds=wait)
    return Bulkhead("inventory", settings)


def free_slots(bulkhead: Bulkhead) -> int:
    return bulkhead.metrics().available_concurrent_calls


async def started(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(coroutine)
    await turns()
    return task


async def test_it_permits_so_many_calls_and_refuses_the_next_at_once() -> None:
    bulkhead = make_bulkhead(calls=2)
    await bulkhead.acquire()
    await bulkhead.acquire()
    with pytest.raises(BulkheadFullError) as caught:
        await bulkhead.acquire()
    assert caught.value.retry_after_seconds > 0
    assert bulkhead.metrics().rejected_calls == 1
    bulkhead.release()
    await bulkhead.acquire()


async def test_try_acquire_takes_a_free_slot_or_none() -> None:
    bulkhead = make_bulkhead(calls=1, wait=10)
    assert bulkhead.try_acquire()
    assert not bulkhead.try_acquire()
    bulkhead.release()
    assert bulkhead.try_acquire()


async def test_a_block_gives_its_slot_back_whatever_happens_in_it() -> None:
    bulkhead = make_bulkhead(calls=1)

    async def call() -> None:
        async with bulkhead:
            assert free_slots(bulkhead) == 0
            raise LookupError

    with pytest.raises(LookupError):
        await call()
    assert free_slots(bulkhead) == 1


async def test_more_slots_can_not_be_given_back_than_were_taken() -> None:
    bulkhead = make_bulkhead(calls=1)
    with pytest.raises(RuntimeError):
        bulkhead.release()
    assert free_slots(bulkhead) == 1


def test_who_waits_gets_the_slot_of_the_call_that_ends() -> None:
    async def main() -> None:
        bulkhead = make_bulkhead(calls=1, wait=10)
        await bulkhead.acquire()
        waiter = await started(bulkhead.acquire())
        assert bulkhead.metrics().waiting_calls == 1
        await after(9)
        assert waiting_timers() == 1
        bulkhead.release()
        await waiter
        assert waiting_timers() == 0
        assert (free_slots(bulkhead), bulkhead.metrics().waiting_calls) == (0, 0)

    in_virtual_time(main)


def test_who_waited_long_enough_is_refused_and_leaves_the_line() -> None:
    async def main() -> None:
        bulkhead = make_bulkhead(calls=1, wait=10)
        await bulkhead.acquire()
        began = now()
        with pytest.raises(BulkheadFullError):
            await bulkhead.acquire()
        assert now() - began == pytest.approx(10)
        assert (bulkhead.metrics().waiting_calls, bulkhead.metrics().rejected_calls) == (0, 1)
        bulkhead.release()
        assert free_slots(bulkhead) == 1

    in_virtual_time(main)


@pytest.mark.parametrize(("within", "waited"), [(3.0, 3.0), (30.0, 10.0), (0.0, 0.0), (-1.0, 0.0)])
def test_nobody_waits_longer_than_the_caller_has_time(within: float, waited: float) -> None:
    async def main() -> float:
        bulkhead = make_bulkhead(calls=1, wait=10)
        await bulkhead.acquire(within)
        began = now()
        with pytest.raises(BulkheadFullError):
            await bulkhead.acquire(within)
        return now() - began

    assert in_virtual_time(main) == pytest.approx(waited)


def test_slots_go_in_the_order_of_arrival_and_nobody_jumps_the_line() -> None:
    async def main() -> None:
        bulkhead = make_bulkhead(calls=1, wait=10)
        served: list[str] = []

        async def call(name: str) -> None:
            await bulkhead.acquire()
            served.append(name)

        await bulkhead.acquire()
        line = [await started(call(name)) for name in "abc"]
        bulkhead.release()
        assert not bulkhead.try_acquire()
        line.append(await started(call("late")))
        for _ in range(3):
            bulkhead.release()
            await turns()
        await asyncio.gather(*line)
        assert served == ["a", "b", "c", "late"]

    in_virtual_time(main)


def test_who_is_cancelled_in_line_is_passed_over() -> None:
    async def main() -> None:
        bulkhead = make_bulkhead(calls=1, wait=10)
        await bulkhead.acquire()
        first, second = await started(bulkhead.acquire()), await started(bulkhead.acquire())
        first.cancel()
        bulkhead.release()  # before the first has had a chance to leave the line
        await second
        assert first.cancelled()
        bulkhead.release()
        assert free_slots(bulkhead) == 1

    in_virtual_time(main)


def test_who_is_cancelled_with_the_slot_in_hand_passes_it_on() -> None:
    async def main() -> None:
        bulkhead = make_bulkhead(calls=1, wait=10)
        await bulkhead.acquire()
        first, second = await started(bulkhead.acquire()), await started(bulkhead.acquire())
        bulkhead.release()
        first.cancel()
        await second
        assert first.cancelled()
        bulkhead.release()
        assert free_slots(bulkhead) == 1

    in_virtual_time(main)


def test_who_is_cancelled_when_the_wait_is_over_takes_no_slot_along() -> None:
    async def main() -> None:
        bulkhead = make_bulkhead(calls=1, wait=10)
        await bulkhead.acquire()
        waiter = await started(bulkhead.acquire())
        asyncio.get_running_loop().call_later(10, waiter.cancel)  # set after the wait's own timer
        await after(10)
        await turns()
        assert waiter.done()
        assert free_slots(bulkhead) == 0
        bulkhead.release()
        assert free_slots(bulkhead) == 1

    in_virtual_time(main)


def test_the_line_has_an_end() -> None:
    async def main() -> None:
        bulkhead = make_bulkhead(calls=1, wait=10)
        await bulkhead.acquire()
        line = [asyncio.create_task(bulkhead.acquire()) for _ in range(MAX_WAITING_CALLS)]
        await turns()
        began = now()
        with pytest.raises(BulkheadFullError):
            await bulkhead.acquire()
        assert now() == began
        for task in line:
            task.cancel()
        await asyncio.gather(*line, return_exceptions=True)
        assert bulkhead.metrics().waiting_calls == 0

    in_virtual_time(main)


@pytest.mark.parametrize("seed", range(5))
def test_hundreds_of_calls_that_end_give_up_and_are_cancelled_lose_no_slot(seed: int) -> None:
    """Cancelled at any moment: in line, with the slot just handed over, in the call."""

    async def main() -> None:
        lots = random.Random(seed)
        bulkhead = make_bulkhead(calls=5, wait=1.0)
        under_way, most, ends = 0, 0, {"done": 0, "refused": 0}

        async def call() -> None:
            nonlocal under_way, most
            await after(lots.randrange(40) / 8)
            try:
                await bulkhead.acquire(lots.choice([None, 0.25, 2.0]))
            except BulkheadFullError:
                ends["refused"] += 1
                return
            try:
                under_way += 1
                most = max(most, under_way)
                await after(lots.choice([0.0, 0.125, 0.25]))
                ends["done"] += 1
            finally:
                under_way -= 1
                bulkhead.release()

        tasks = [asyncio.create_task(call()) for _ in range(400)]
        for task in lots.sample(tasks, 150):
            asyncio.get_running_loop().call_later(lots.randrange(48) / 8, task.cancel)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled = sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert [o for o in outcomes if o is not None and not isinstance(o, asyncio.CancelledError)] == []
        assert min(cancelled, ends["done"], ends["refused"]) > 20
        assert most == 5
        assert (free_slots(bulkhead), bulkhead.metrics().waiting_calls) == (5, 0)

    in_virtual_time(main)


def test_among_those_who_wait_equally_long_nobody_is_overtaken() -> None:
    async def main() -> None:
        lots = random.Random(7)
        bulkhead = make_bulkhead(calls=3, wait=1000)
        arrived: list[int] = []
        served: list[int] = []

        async def call(number: int) -> None:
            await after(lots.randrange(20) / 8)
            arrived.append(number)
            async with bulkhead:
                served.append(number)
                await after(lots.choice([0.125, 0.5, 1.0]))

        await asyncio.gather(*(call(number) for number in range(300)))
        assert served == arrived

    in_virtual_time(main)
