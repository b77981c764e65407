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
from reservation_api.adapters.resilience.permit import Permit

T = TypeVar("T")


class Admitted:
    """A permit and a slot; only the first word counts, so `release()` may stand in a `finally`."""

    __slots__ = ("_bulkhead", "_permit")

    def __init__(self, permit: Permit, bulkhead: Bulkhead) -> None:
        self._permit = permit
        self._bulkhead: Bulkhead | None = bulkhead

    def success(self, duration_seconds: float) -> None:
        """Say that the dependency answered, be it with a refusal; a long answer counts as slow."""
        self._permit.success(duration_seconds)
        self._leave()

    def failure(self, duration_seconds: float, error: BaseException | None = None) -> None:
        """Say that the dependency failed; `error` is for the breaker's listeners."""
        self._permit.failure(duration_seconds, error)
        self._leave()

    def release(self) -> None:
        """Give both back and record nothing: the call was cancelled, not made, or says nothing."""
        self._permit.release()
        self._leave()

    def _leave(self) -> None:
        bulkhead, self._bulkhead = self._bulkhead, None
        if bulkhead is not None:
            bulkhead.release()


class Admission:
    """Guards one dependency."""

    def __init__(self, breaker: CircuitBreaker, bulkhead: Bulkhead) -> None:
        self.breaker = breaker
        self.bulkhead = bulkhead

    async def acquire(self, within_seconds: float | None = None) -> Admitted:
        """Return a permit and a slot; raises CallNotPermittedError, BulkheadFullError."""
        permit = self.breaker.acquire()
        if not self.bulkhead.try_acquire():
            permit = await self._wait_for_a_slot(permit, within_seconds)
        return Admitted(permit, self.bulkhead)

    async def call(
        self,
        fn: Callable[[], Awaitable[T]],
        judge: Judge = every_exception_is_a_failure,
        within_seconds: float | None = None,
    ) -> T:
        """Make one call if it is permitted and there is a slot, and record it as `judge` says."""
        return await call_with(await self.acquire(within_seconds), fn, judge, self.breaker.monotonic)

    async def _wait_for_a_slot(self, permit: Permit, within_seconds: float | None) -> Permit:
        try:
            await self.bulkhead.acquire(within_seconds)
        finally:
            permit.release()
        try:
            return self.breaker.acquire()
        except BaseException:
            self.bulkhead.release()
            raise
