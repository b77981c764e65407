"""A bulkhead: one slow dependency must not take up everything that the process has.

    release()   hands its slot to whoever waits longest, without putting it on the counter in between:
                nobody who comes just then can take it away, so the order of arrival is kept.
    cancelled   in the breath between being handed a slot and waking up: the slot is handed on.

It has no locks: one event loop. Not for several threads.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from reservation_api.adapters.resilience.errors import BulkheadFullError
from reservation_api.adapters.resilience.settings import BulkheadSettings

MAX_WAITING_CALLS: Final = 4096
"""Beyond it nobody waits: they would all be let down together when their time is over."""
RETRY_AFTER_SECONDS: Final = 1.0
"""Slots come free as calls end, and those have a time limit: HTTP's smallest step is long enough."""

_Turn = asyncio.Future[bool]
"""True: the slot is yours. False: your time is over."""


@dataclass(frozen=True, slots=True)
class BulkheadMetrics:
    """By Resilience4j's names; `rejected_calls` since the start of the process."""

    max_allowed_concurrent_calls: int
    available_concurrent_calls: int
    waiting_calls: int
    rejected_calls: int


class Bulkhead:
    """Permits so many calls at once; `async with bulkhead:` or `acquire()` and one `release()`."""

    def __init__(self, name: str, settings: BulkheadSettings) -> None:
        self.name = name
        self.settings = settings
        self._free = settings.max_concurrent_calls
        self._line: OrderedDict[_Turn, None] = OrderedDict()  # a plain dict is slow to empty from the front
        self._rejected_calls = 0

    def try_acquire(self) -> bool:
        """Take a slot if one is free; nobody waits while one is."""
        if self._free > 0:
            self._free -= 1
            return True
        return False

    async def acquire(self, within_seconds: float | None = None) -> None:
        """Take a slot, waiting for at most the set time and `within_seconds`; raises BulkheadFullError."""
        if self._free > 0:
            self._free -= 1
            return
        longest = self.settings.max_wait_duration_seconds
        seconds = longest if within_seconds is None else min(longest, within_seconds)
        if seconds <= 0 or len(self._line) >= MAX_WAITING_CALLS or not await self._wait(seconds):
            self._rejected_calls += 1
            under_way = f"{self.settings.max_concurrent_calls} calls are under way"
            raise BulkheadFullError(self.name, under_way, RETRY_AFTER_SECONDS)

    def release(self) -> None:
        """Give a slot back; raises RuntimeError if all of them are back already."""
        while self._line:
            turn, _ = self._line.popitem(last=False)
            if not turn.done():
                turn.set_result(True)
                return
        if self._free >= self.settings.max_concurrent_calls:
            raise RuntimeError(f"{self.name}: more slots given back than taken")
        self._free += 1

    def metrics(self) -> BulkheadMetrics:
        """Return how full it is."""
        return BulkheadMetrics(
            max_allowed_concurrent_calls=self.settings.max_concurrent_calls,
            available_concurrent_calls=self._free,
            waiting_calls=len(self._line),
            rejected_calls=self._rejected_calls,
        )

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    async def _wait(self, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        turn: _Turn = loop.create_future()
        self._line[turn] = None
        timer = loop.call_later(seconds, _end_turn, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.release()
            raise
        finally:
            timer.cancel()
            self._line.pop(turn, None)


def _end_turn(turn: _Turn) -> None:
    if not turn.done():
        turn.set_result(False)
