"""Breaker and bulkhead together: both or neither, and both come back, however a call ends."""

import asyncio
from collections.abc import Callable

import pytest
from tests.unit.test_resilience_circuit_breaker import FAST, make_breaker, make_half_open, open_up, state_of
from tests.unit.test_resilience_virtual_time import in_virtual_time, now, turns

from reservation_api.adapters.resilience.admission import Admission, Admitted
from reservation_api.adapters.resilience.bulkhead import Bulkhead
from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.errors import BulkheadFullError, CallNotPermittedError
from reservation_api.adapters.resilience.guarded_call import Verdict, call_with
from reservation_api.adapters.resilience.settings import BreakerState, BulkheadSettings


def guard(breaker: CircuitBreaker, wait: float = 10.0) -> Admission:
    """One call at a time."""
    settings = BulkheadSettings(max_concurrent_calls=1, max_wait_duration_seconds=wait)
    return Admission(breaker, Bulkhead("inventory", settings))


def free_slots(admission: Admission) -> int:
    return admission.bulkhead.metrics().available_concurrent_calls


@pytest.mark.parametrize(
    ("end", "buffered", "failed"),
    [
        (lambda admitted: admitted.success(FAST), 1, 0),
        (lambda admitted: admitted.failure(FAST, OSError()), 1, 1),
        (lambda admitted: admitted.release(), 0, 0),
    ],
)
async def test_however_a_call_ends_its_slot_is_free_and_the_breaker_knows(
    end: Callable[[Admitted], None], buffered: int, failed: int
) -> None:
    _, breaker = make_breaker()
    admission = guard(breaker)
    admitted = await admission.acquire()
    assert free_slots(admission) == 0
    end(admitted)
    admitted.release()
    admitted.failure(FAST)
    assert free_slots(admission) == 1
    assert (breaker.metrics().buffered_calls, breaker.metrics().failed_calls) == (buffered, failed)


def test_an_open_breaker_refuses_at_once_though_there_is_a_line() -> None:
    async def main() -> None:
        _, breaker = make_breaker()
        admission = guard(breaker)
        await admission.acquire()
        open_up(breaker)
        began = now()
        with pytest.raises(CallNotPermittedError):
            await admission.acquire()
        assert now() == began
        assert admission.bulkhead.metrics().waiting_calls == 0

    in_virtual_time(main)


async def test_a_full_bulkhead_gives_the_trial_permit_back() -> None:
    _, breaker, first = make_half_open()
    admission = guard(breaker, wait=0)
    assert admission.bulkhead.try_acquire()
    with pytest.raises(BulkheadFullError):
        await admission.acquire()
    breaker.acquire().success(FAST)
    first.success(FAST)
    assert state_of(breaker) is BreakerState.CLOSED


async def test_a_trial_call_that_says_nothing_lets_another_try() -> None:
    _, breaker, _ = make_half_open()
    admission = guard(breaker)
    trial = await admission.acquire()
    with pytest.raises(CallNotPermittedError):
        breaker.acquire()
    trial.release()
    trial.release()
    breaker.acquire()
    with pytest.raises(CallNotPermittedError):
        breaker.acquire()


def test_who_is_cancelled_in_line_gives_the_trial_permit_back() -> None:
    async def main() -> None:
        _, breaker, _ = make_half_open()
        admission = guard(breaker)
        assert admission.bulkhead.try_acquire()
        task = asyncio.create_task(admission.acquire())
        await turns()
        with pytest.raises(CallNotPermittedError):
            breaker.acquire()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        breaker.acquire()
        admission.bulkhead.release()
        assert free_slots(admission) == 1

    in_virtual_time(main)


def test_who_waited_in_line_while_the_breaker_opened_is_refused_and_passes_the_slot_on() -> None:
    async def main() -> None:
        _, breaker = make_breaker()
        admission = guard(breaker)
        first = await admission.acquire()
        line = [asyncio.create_task(admission.acquire()) for _ in range(3)]
        await turns()
        open_up(breaker)
        first.release()
        for task in line:
            with pytest.raises(CallNotPermittedError):
                await task
        assert free_slots(admission) == 1

    in_virtual_time(main)


def test_who_waited_in_line_counts_in_the_state_that_the_breaker_is_in_now() -> None:
    async def main() -> None:
        _, breaker = make_breaker()
        admission = guard(breaker)
        first = await admission.acquire()
        waiting = asyncio.create_task(admission.acquire())
        await turns()
        breaker.reset()
        first.failure(FAST)
        (await waiting).success(FAST)
        assert (breaker.metrics().buffered_calls, breaker.metrics().failed_calls) == (1, 0)

    in_virtual_time(main)


def test_nobody_waits_in_line_longer_than_the_caller_has_time() -> None:
    async def main() -> float:
        _, breaker = make_breaker()
        admission = guard(breaker)
        await admission.acquire()
        began = now()
        with pytest.raises(BulkheadFullError):
            await admission.acquire(within_seconds=2)
        return now() - began

    assert in_virtual_time(main) == pytest.approx(2)


async def test_a_guarded_call_is_recorded_and_leaves_its_slot() -> None:
    clock, breaker = make_breaker()
    admission = guard(breaker)

    async def answer() -> int:
        clock.advance(1.25)
        assert free_slots(admission) == 0
        return 7

    async def refuse() -> None:
        raise LookupError

    assert await admission.call(answer) == 7
    with pytest.raises(LookupError):
        await admission.call(refuse)
    with pytest.raises(LookupError):
        await admission.call(refuse, lambda _: Verdict.IGNORED)
    metrics = breaker.metrics()
    assert (metrics.buffered_calls, metrics.failed_calls, metrics.slow_calls) == (2, 1, 1)
    assert free_slots(admission) == 1


def test_a_guarded_call_waits_for_its_slot_no_longer_than_there_is_time() -> None:
    async def main() -> float:
        _, breaker = make_breaker()
        admission = guard(breaker)
        await admission.acquire()
        began = now()

        async def never() -> None:
            raise AssertionError

        with pytest.raises(BulkheadFullError):
            await admission.call(never, within_seconds=3)
        return now() - began

    assert in_virtual_time(main) == pytest.approx(3)


async def test_a_call_with_a_permit_in_hand_settles_it() -> None:
    _, breaker = make_breaker()
    admission = guard(breaker)
    admitted = await admission.acquire()
    breaker_saw = []

    async def answer() -> None:
        breaker_saw.append(breaker.metrics().buffered_calls)

    await call_with(admitted, answer)
    assert (breaker_saw, breaker.metrics().buffered_calls, free_slots(admission)) == ([0], 1, 1)
