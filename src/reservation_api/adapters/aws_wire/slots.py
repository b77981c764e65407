"""A number of slots, given to whoever waits longest.

give_back()   hands its slot on without putting it on the counter in between: nobody who comes just then can
              take it away, so the order of arrival is kept.
cancelled     in the breath between being handed a slot and waking up: the slot is handed on.

asyncio.Semaphore knows no time limit, and a time-out around it costs a task's cancellation.
"""

import asyncio
from collections import OrderedDict

_Turn = asyncio.Future[bool]
"""True: the slot is yours. False: your time is over."""


class Slots:
    """No locks: one event loop. Not for several threads."""

    def __init__(self, count: int, max_waiting: int) -> None:
        self._count = count
        self._max_waiting = max_waiting
        self._free = count
        self.waited_seconds = 0.0
        """How long all callers so far waited, together."""
        self._line: OrderedDict[_Turn, None] = OrderedDict()  # a plain dict is slow to empty from the front

    @property
    def free(self) -> int:
        """How many nobody has."""
        return self._free

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._line)

    def try_take(self) -> bool:
        """Take a slot if one is free; nobody waits while one is."""
        if self._free > 0:
            self._free -= 1
            return True
        return False

    async def take(self, within_seconds: float) -> bool:
        """Take a slot, waiting for at most so long; return whether one was had."""
        if self.try_take():
            return True
        if within_seconds <= 0 or len(self._line) >= self._max_waiting:
            return False
        return await self._wait(within_seconds)

    def give_back(self) -> None:
        """Give a slot back; raises RuntimeError if all of them are back already."""
        while self._line:
            turn, _ = self._line.popitem(last=False)
            if not turn.done():
                turn.set_result(True)
                return
        if self._free >= self._count:
            raise RuntimeError("more slots given back than taken")
        self._free += 1

    async def _wait(self, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        turn: _Turn = loop.create_future()
        self._line[turn] = None
        began = loop.time()
        timer = loop.call_later(seconds, _end_turn, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.give_back()
            raise
        finally:
            timer.cancel()
            self.waited_seconds += loop.time() - began
            self._line.pop(turn, None)


def _end_turn(turn: _Turn) -> None:
    if not turn.done():
        turn.set_result(False)
