"""Several serving processes under one parent: it starts them, replaces those that die, and ends them.

Children share the port by SO_REUSEPORT: the kernel spreads connections over them, the parent sees none.
Each is in a session of its own, so that Ctrl-C reaches it once, through the parent: twice would be at once.
"""

import asyncio
import logging
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from reservation_api.entrypoints.processes.shutdown import Shutdown
from reservation_api.entrypoints.workers.loops import Pause, backoff_seconds

SOUND_SECONDS = 30.0
"""A child that has lived so long was not broken from the start."""
MAX_EARLY_DEATHS = 5
"""In a row, of one child: then its successor would die, too, and somebody has to look."""
_CLEAN_ENDS = (0, -signal.SIGTERM)
"""How a child ends that was asked to; the second before it has begun to listen to signals."""

_log = logging.getLogger(__name__)

Spawn = Callable[[int], Awaitable[Process]]
"""Starts the child of that number."""
Bury = Callable[[int], None]
"""Told the number of a child that is gone, before there is another."""


class ChildrenKeepDyingError(Exception):
    """The service can not be kept up by starting it again."""


@dataclass(slots=True)
class _Child:
    number: int
    process: Process | None = None
    is_told: bool = False
    early_deaths: int = 0

    def send(self, number: signal.Signals) -> None:
        """Send a signal by process id: also from another thread, or from a signal handler."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def tell_to_end(self) -> None:
        """Send SIGTERM once."""
        if not self.is_told:
            self.is_told = True
            self.send(signal.SIGTERM)


class Supervisor:
    """Keeps a number of children alive until asked to stop."""

    def __init__(self, spawn: Spawn, count: int, pause: Pause, bury: Bury) -> None:
        self._spawn = spawn
        self._bury = bury
        self._children = [_Child(number) for number in range(1, count + 1)]
        self._pause = pause

    async def run(self, shutdown: Shutdown) -> bool:
        """Run children until asked to stop, and until all have ended; tell whether all did so cleanly.

        Raises ChildrenKeepDyingError.
        """
        keepers = [asyncio.create_task(self._keep_alive(child, shutdown)) for child in self._children]
        asked = asyncio.create_task(shutdown.asked.wait())
        await asyncio.wait([asked, *keepers], return_when=asyncio.FIRST_COMPLETED)
        shutdown.ask("a child keeps dying")  # if it was asked already, this changes nothing
        await asked
        shutdown.enter("waiting for the children")
        for child in self._children:
            child.tell_to_end()
        codes = await asyncio.gather(*keepers, return_exceptions=True)
        for outcome in codes:
            if isinstance(outcome, BaseException):
                raise outcome
        return all(code in _CLEAN_ENDS for code in codes)

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to every child that lives."""
        for child in self._children:
            child.send(number)

    async def _keep_alive(self, child: _Child, shutdown: Shutdown) -> int:
        """Return the exit code of the child that ended because it was asked to."""
        while not shutdown.asked.is_set():
            started_at = time.monotonic()
            code = await self._live(child, shutdown)
            if shutdown.asked.is_set():
                return code
            self._count_death(child, code, time.monotonic() - started_at)
            await self._pause(backoff_seconds(max(1, child.early_deaths)))
        return 0

    async def _live(self, child: _Child, shutdown: Shutdown) -> int:
        try:
            child.process = await self._spawn(child.number)
        except OSError as error:
            _log.warning("child %d could not be started: %s", child.number, error)
            return 1
        if shutdown.asked.is_set():  # those that lived then were told already
            child.is_told = False
            child.tell_to_end()
        code = await child.process.wait()
        self._bury(child.number)
        return code

    def _count_death(self, child: _Child, code: int, lived_seconds: float) -> None:
        child.early_deaths = 0 if lived_seconds >= SOUND_SECONDS else child.early_deaths + 1
        fields = {"child": child.number, "exit_code": code, "lived_seconds": round(lived_seconds, 3)}
        _log.error("child %d died", child.number, extra={"fields": fields})
        if child.early_deaths >= MAX_EARLY_DEATHS:
            raise ChildrenKeepDyingError(f"child {child.number} died {MAX_EARLY_DEATHS} times in a row")
