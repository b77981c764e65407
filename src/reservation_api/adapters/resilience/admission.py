"""Breaker and bulkhead together: one permission to ask for, before anything is written (design section 3).

The breaker is asked first, so that an open one refuses at once and nobody waits in line for a refusal.
Whoever had to wait for a slot asks the breaker again: it may have opened meanwhile.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from reservation_api.adapters.resilience.bulkhead import Bulkhead
from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.guarded_call import (
    Judge,
    call_with,
    every_exception_is_a_failure,
)

T = TypeVar("T")


class Admitted:
    """A permit and a slot; only the first word counts, so `release()` may stand in a `finally`."""

    __slots__ = ("_breaker", "_bulkhead", "_era")

    def __init__(self, breaker: CircuitBreaker, era: int, bulkhead: Bulkhead) -> None:
        self._breaker = breaker
        self._era = era
        self._bulkhead: Bulkhead | None = bulkhead
        """None once a word was said."""

    def success(self, duration_seconds: float) -> None:
        """Say that the dependency answered, be it with a refusal; a long answer counts as slow."""
        bulkhead, self._bulkhead = self._bulkhead, None
        if bulkhead is not None:
            self._breaker.settle(self._era, duration_seconds, failed=False, error=None)
            bulkhead.release()

    def failure(self, duration_seconds: float, error: BaseException | None = None) -> None:
        """Say that the dependency failed; `error` is for the breaker's listeners."""
        bulkhead, self._bulkhead = self._bulkhead, None
        if bulkhead is not None:
            self._breaker.settle(self._era, duration_seconds, failed=True, error=error)
            bulkhead.release()

    def release(self) -> None:
        """Give both back and record nothing: the call was cancelled, not made, or says nothing."""
        bulkhead, self._bulkhead = self._bulkhead, None
        if bulkhead is not None:
            self._breaker.give_back(self._era)
            bulkhead.release()


class Admission:
    """Guards one dependency."""

    def __init__(self, breaker: CircuitBreaker, bulkhead: Bulkhead) -> None:
        self.breaker = breaker
        self.bulkhead = bulkhead

    async def acquire(self, within_seconds: float | None = None) -> Admitted:
        """Return a permit and a slot; raises CallNotPermittedError, BulkheadFullError."""
        era = self.breaker.admit()
        if not self.bulkhead.try_acquire():
            era = await self._wait_for_a_slot(era, within_seconds)
        return Admitted(self.breaker, era, self.bulkhead)

    async def call(
        self,
        fn: Callable[[], Awaitable[T]],
        judge: Judge = every_exception_is_a_failure,
        within_seconds: float | None = None,
    ) -> T:
        """Make one call if it is permitted and there is a slot, and record it as `judge` says."""
        return await call_with(await self.acquire(within_seconds), fn, judge, self.breaker.monotonic)

    async def _wait_for_a_slot(self, era: int, within_seconds: float | None) -> int:
        try:
            await self.bulkhead.acquire(within_seconds)
        finally:
            self.breaker.give_back(era)
        try:
            return self.breaker.admit()
        except BaseException:
            self.bulkhead.release()
            raise
