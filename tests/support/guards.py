"""A breaker and a bulkhead around a port that does what a test tells it, for tests of guards."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from tests.unit.test_resilience_virtual_time import ManualClock

from reservation_api.adapters.resilience.admission import Admission
from reservation_api.adapters.resilience.bulkhead import Bulkhead
from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.settings import (
    BreakerState,
    BulkheadSettings,
    CircuitBreakerSettings,
)
from reservation_api.domain.errors import UnavailableError

SLOTS = 2
WAIT_SECONDS = 30.0
SETTINGS = CircuitBreakerSettings(
    sliding_window_size=100,
    minimum_number_of_calls=4,
    slow_call_duration_threshold_seconds=1.0,
    permitted_number_of_calls_in_half_open_state=1,
    wait_duration_in_open_state_seconds=WAIT_SECONDS,
)


class Scripted:
    """Meets every call with one error, or none, after a while; or hands it to a real port."""

    def __init__(self, clock: ManualClock, port: object | None = None) -> None:
        self.calls: list[str] = []
        self.arguments: list[tuple[Any, ...]] = []
        self.error: BaseException | None = None
        self.takes_seconds = 0.0
        self._clock = clock
        self._port = port

    def admission(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            self.arguments.append(arguments)
            self._clock.advance(self.takes_seconds)
            if self.error is not None:
                raise self.error
            if self._port is not None:
                return await getattr(self._port, name)(*arguments, **options)
            return name

        return call


class Admitting:
    """An admission to a scripted port, and all that both are made of."""

    def __init__(self, port: object | None = None, bulkhead: BulkheadSettings | None = None) -> None:
        self.clock = ManualClock()
        self.script = Scripted(self.clock, port)
        self.breaker = CircuitBreaker("peer", SETTINGS, self.clock)
        self.bulkhead = Bulkhead("peer", bulkhead or BulkheadSettings(max_concurrent_calls=SLOTS))
        self.admission = Admission(self.breaker, self.bulkhead)

    @property
    def peer(self) -> Any:
        """The script, as the port that it plays."""
        return self.script

    @property
    def judged(self) -> tuple[int, int]:
        """Calls on record, and how many of them failed."""
        metrics = self.breaker.metrics()
        return metrics.buffered_calls, metrics.failed_calls

    @property
    def free_slots(self) -> int:
        return self.bulkhead.metrics().available_concurrent_calls

    @property
    def state(self) -> BreakerState:
        return self.breaker.state

    async def open_up(self, ask: Callable[[], Awaitable[object]], error: UnavailableError) -> None:
        """Let calls fail until the breaker opens; then the port is well again, and nobody knows."""
        self.script.error = error
        while self.state is not BreakerState.OPEN:
            try:
                await ask()
            except type(error):
                continue
        self.script.error = None
        self.script.calls.clear()
