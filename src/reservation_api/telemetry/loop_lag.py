"""How late the event loop is: a loop that is held up makes every request wait, whatever each one costs."""

import asyncio
from collections import deque
from typing import Final

LOOK_SECONDS: Final = 0.1
"""What holds the loop up for longer is noticed for certain, what is shorter mostly."""
REMEMBERED_SECONDS: Final = 10.0
_LOOKS: Final = round(REMEMBERED_SECONDS / LOOK_SECONDS)


class LoopLag:
    """Asks to be called at a time, again and again, and remembers how late that was."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._milliseconds: deque[float] = deque(maxlen=_LOOKS)
        self._timer = loop.call_later(LOOK_SECONDS, self._look, loop.time() + LOOK_SECONDS)

    def greatest_milliseconds(self) -> float:
        """Return the greatest lag of the last ten seconds."""
        return max(self._milliseconds, default=0.0)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look(self, due_at: float) -> None:
        now = self._loop.time()
        self._milliseconds.append(max(0.0, now - due_at) * 1000)
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look, now + LOOK_SECONDS)
