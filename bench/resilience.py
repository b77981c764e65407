"""What the circuit breaker and the bulkhead cost a call, beside interlock-cb: `python -m bench.resilience`.

Nobody waits and nothing fails: the price of every request on a good day. CPU time of this thread, less that
of the same loop with an empty function; of each round the mean of a call, of the rounds the best, since
whatever else runs on the machine only adds. The aim is 5 us for breaker and bulkhead together.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import interlock
from interlock.pipeline import BulkheadStrategy, CircuitBreakerStrategy, Pipeline

from bench.cpu import choose_pins, pinned_to
from reservation_api.adapters.resilience.admission import Admission
from reservation_api.adapters.resilience.bulkhead import Bulkhead
from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.retry_budget import RetryBudget
from reservation_api.adapters.resilience.settings import (
    BulkheadSettings,
    CircuitBreakerSettings,
    RetryBudgetSettings,
    SlidingWindowType,
    TimeLimiterSettings,
)
from reservation_api.adapters.resilience.time_limiter import TimeLimiter

AIM_MICROSECONDS = 5.0
CALLS = 10_000
ROUNDS = 15
WARM_UP_CALLS = 1_000

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to measure."""

    name: str
    call: Call


async def nothing() -> None:
    """Be the dependency."""


def ours(window_type: SlidingWindowType, size: int) -> list[Subject]:
    """Return what the service uses, with one kind of window."""
    settings = CircuitBreakerSettings(sliding_window_type=window_type, sliding_window_size=size)
    breaker, bulkhead = CircuitBreaker("bench", settings), Bulkhead("bench", BulkheadSettings())
    admission = Admission(breaker, bulkhead)

    async def permit() -> None:
        breaker.acquire().success(0.001)

    async def permit_and_slot() -> None:
        permit = breaker.acquire()
        await bulkhead.acquire()
        permit.success(0.001)
        bulkhead.release()

    async def admitted() -> None:
        (await admission.acquire()).success(0.001)

    async def call() -> None:
        await breaker.call(nothing)

    async def guarded() -> None:
        await admission.call(nothing)

    window = f"{window_type.value} {size}"
    return [
        Subject(f"breaker: acquire, success ({window})", permit),
        Subject(f"breaker + bulkhead: acquire, success, release ({window})", permit_and_slot),
        Subject(f"breaker + bulkhead as Admission ({window})", admitted),
        Subject(f"breaker + bulkhead as Admission.call, with the clock ({window})", guarded),
        Subject(f"breaker.call, with the clock ({window})", call),
    ]


def others_of_ours() -> list[Subject]:
    """Return what is paid beside breaker and bulkhead."""
    bulkhead = Bulkhead("bench", BulkheadSettings())
    limiter = TimeLimiter("bench", TimeLimiterSettings())
    budget = RetryBudget("bench", RetryBudgetSettings())

    async def slot() -> None:
        await bulkhead.acquire()
        bulkhead.release()

    async def limited() -> None:
        await limiter.call(nothing)

    async def counted() -> None:
        budget.record_call()

    return [
        Subject("bulkhead: acquire, release", slot),
        Subject("time limiter: call", limited),
        Subject("retry budget: record a call", counted),
    ]


def theirs(window_type: interlock.WindowType, size: int) -> list[Subject]:
    """Return interlock-cb's counterparts."""
    config = interlock.Config(window_type=window_type, window_size=size)
    breaker = interlock.CircuitBreaker(name="bench", config=config)
    pipeline = Pipeline(CircuitBreakerStrategy(breaker), BulkheadStrategy(25))

    async def call() -> None:
        await breaker.call_async(nothing)

    async def block() -> None:
        async with breaker:
            pass

    async def piped() -> None:
        await pipeline.call(nothing)

    window = f"{window_type.value} {size}"
    return [
        Subject(f"interlock-cb: breaker.call_async ({window})", call),
        Subject(f"interlock-cb: async with breaker ({window})", block),
        Subject(f"interlock-cb: breaker + bulkhead as Pipeline ({window})", piped),
    ]


async def microseconds(call: Call) -> float:
    """Return the CPU time of one call; of several rounds the best."""
    best = float("inf")
    for calls in (WARM_UP_CALLS, *[CALLS] * ROUNDS):
        started = time.thread_time_ns()
        for _ in range(calls):
            await call()
        best = min(best, (time.thread_time_ns() - started) / calls / 1000)
    return best


async def measure() -> None:
    """Print the table, and whether ours keeps to the aim."""
    empty = await microseconds(nothing)
    subjects = [
        *ours(SlidingWindowType.COUNT_BASED, 100),
        *ours(SlidingWindowType.TIME_BASED, 60),
        *others_of_ours(),
        *theirs(interlock.WindowType.COUNT_BASED, 100),
        *theirs(interlock.WindowType.TIME_BASED, 60),
    ]
    worst = 0.0
    print(f"Python {sys.version.split()[0]}, CPU us a call, best of {ROUNDS} rounds of {CALLS:,}")
    for subject in subjects:
        cost = await microseconds(subject.call) - empty
        print(f"{cost:8.2f}  {subject.name}")
        if subject.name.startswith("breaker + bulkhead"):
            worst = max(worst, cost)
    print(f"\nbreaker + bulkhead: {worst:.2f} us, aim {AIM_MICROSECONDS} us: {verdict(worst)}")


def verdict(cost: float) -> str:
    """Say whether a cost keeps to the aim."""
    return "pass" if cost <= AIM_MICROSECONDS else "MISS"


if __name__ == "__main__":
    with pinned_to(choose_pins().generator):
        asyncio.run(measure())
