"""Time for the tests of resilience: a clock that is moved by hand, and a loop whose time leaps; its tests.

The loop's time leaps to the next timer as soon as nobody has anything to do.
"""

import asyncio
import contextvars
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple

import pytest

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ManualClock:
    """Monotonic seconds that stand still until a test moves them; in steps that floats can add exactly."""

    def __init__(self, start: float = 1000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now

    def monotonic(self) -> float:
        """As interlock-cb wants it."""
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class _LeapingSelector(selectors.DefaultSelector):
    """Does not wait for time to pass: it says that it has passed."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("everybody waits, and for nothing")
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaping = _LeapingSelector()
        self._timers: list[asyncio.TimerHandle] = []
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        self._timers.append(super().call_at(when, callback, *args, context=context))
        return self._timers[-1]

    def waiting_timers(self) -> int:
        """How many would still go off."""
        return sum(not timer.cancelled() and timer.when() > self.time() for timer in self._timers)


def in_virtual_time(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main` on a loop of its own; no time passes while anybody works."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main())


def now() -> float:
    """Virtual seconds, to be injected as the monotonic clock."""
    return asyncio.get_running_loop().time()


def waiting_timers() -> int:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop.waiting_timers()


async def after(seconds: float) -> None:
    """Return so much later."""
    loop = asyncio.get_running_loop()
    passed: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, passed.set_result, None)
    try:
        await passed
    finally:
        timer.cancel()


async def turns(count: int = 5) -> None:
    """Let every task that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_an_hour_passes_in_no_time() -> None:
    async def main() -> float:
        began = now()
        await after(3600)
        return now() - began

    real = time.monotonic()
    assert in_virtual_time(main) == pytest.approx(3600)
    assert time.monotonic() - real < 60


def test_timers_go_off_in_their_order() -> None:
    async def main() -> list[int]:
        seen: list[int] = []

        async def see(seconds: int) -> None:
            await after(seconds)
            seen.append(seconds)

        await asyncio.gather(*(see(seconds) for seconds in (3, 1, 2)))
        return seen

    assert in_virtual_time(main) == [1, 2, 3]


def test_timers_that_are_cancelled_or_have_gone_off_do_not_wait() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        cancelled = loop.call_later(5, lambda: None)
        loop.call_later(1, lambda: None)
        before = waiting_timers()
        cancelled.cancel()
        await after(1)
        return [before, waiting_timers()]

    assert in_virtual_time(main) == [2, 0]


def test_who_waits_for_nothing_is_told() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(AssertionError, match="for nothing"):
        in_virtual_time(main)
