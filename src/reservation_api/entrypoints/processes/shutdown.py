"""How a process ends: asked once it winds down by stages, asked twice it is gone, late it is cut off.

SIGTERM ── drain ── stop accepting ── finish requests ── flush ── close ── exit 0
   │                                                                 └─ deadline: exit 1, saying where
   └── a second signal: exit 128 + its number, at once
"""

import asyncio
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from reservation_api.telemetry.logs import flush_logs

LAST_WORDS_SECONDS = 1.0
"""The process ends so much before its time is over: what kills it then would not let it say why."""
GAVE_UP = 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger(__name__)


class Shutdown:
    """Waits for the request to end, and sees to it that the end comes in time."""

    def __init__(self, seconds: float, leave: Callable[[int], object] = os._exit) -> None:
        """Allow `seconds` from the request to the end; `leave` ends the process at once."""
        self.asked = asyncio.Event()
        self._stage = "serving"
        self._count_left: Callable[[], int] | None = None
        self._seconds = max(0.0, seconds - LAST_WORDS_SECONDS)
        self._leave = leave
        self._loop = asyncio.get_running_loop()
        self._is_asked = False
        # The one kind of queue that a signal handler may use, whatever it interrupts. True: all is done.
        self._news: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def listen(self) -> None:
        """Take signals. Handlers of Python's own, not the loop's: a loop that hangs must not stop them."""
        threading.Thread(target=self._watch, name="shutdown", daemon=True).start()
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    def ask(self, why: str) -> None:
        """Ask for the end, from any thread or signal handler; asking again changes nothing."""
        if not self._is_asked:
            self._is_asked = True
            self._news.put(False)
            with suppress(RuntimeError):  # the loop is closed: the process is ending anyway
                self._loop.call_soon_threadsafe(self._begin, why)

    def enter(self, stage: str, count_left: Callable[[], int] | None = None) -> None:
        """Go on to the next stage: the last words tell of it, and how much of it was left."""
        self._stage, self._count_left = stage, count_left
        _log.debug("shutting down: %s", stage)

    def done(self) -> None:
        """Say that all is wound down: no deadline any more."""
        self._news.put(True)

    def _begin(self, why: str) -> None:
        _log.info("shutting down: %s", why)
        self.asked.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._is_asked:
            self._say("a second signal: ending at once")
            self._leave(128 + number)
        self.ask(signal.Signals(number).name)

    def _watch(self) -> None:
        if self._news.get():
            return
        ends_at = time.monotonic() + self._seconds
        with suppress(queue.Empty):
            while not self._news.get(timeout=max(0.0, ends_at - time.monotonic())):
                pass
            return
        self._say("the time to shut down is over")
        self._leave(GAVE_UP)

    def _say(self, why: str) -> None:
        with suppress(Exception):  # a signal handler may have interrupted another log line
            count = None if self._count_left is None else self._count_left()
            _log.error("%s", why, extra={"fields": {"stage": self._stage, "left": count}})
            flush_logs()
