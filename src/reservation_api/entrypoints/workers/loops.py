"""A loop around work that comes in batches: it goes on at once while there is much to do, else it pauses.

Whatever the work raises, the loop is not over: it is logged, waited out and tried again.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from reservation_api.application.cancellation import is_being_cancelled
from reservation_api.domain.errors import UnavailableError

FIRST_BACKOFF_SECONDS = 0.1
BACKOFF_CAP_SECONDS = 5.0
"""Seats and events wait meanwhile: the cap is what a recovered dependency may go unnoticed for."""

_log = logging.getLogger(__name__)

Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds, or until the process is asked to stop."""


@dataclass(frozen=True, slots=True)
class Work:
    """Something to do again and again."""

    name: str
    run_once: Callable[[], Awaitable[int]]
    """Does up to `batch_size` things and returns how many."""
    batch_size: int
    pause_seconds: float
    """Between two batches, unless there is more to do."""

    def has_more(self, done: int) -> bool:
        """Tell whether to go on at once. Half a batch will do: other workers, or refusals, took the rest."""
        return 2 * done >= self.batch_size


def pause_until(stopping: asyncio.Event) -> Pause:
    """Return a pause that a stop cuts short."""

    async def pause(seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await stopping.wait()
        except TimeoutError:
            return

    return pause


async def run_loop(work: Work, stopping: asyncio.Event, pause: Pause) -> None:
    """Do the work until asked to stop; a batch under way is finished first."""
    failures = 0
    while not stopping.is_set():
        try:
            done = await work.run_once()
        except (Exception, asyncio.CancelledError) as error:
            if is_being_cancelled():
                raise
            failures += 1
            report_failure(work.name, error)
            await pause(backoff_seconds(failures))
            continue
        failures = 0
        if not work.has_more(done):
            await pause(work.pause_seconds)


async def keep_running(name: str, run: Callable[[], Awaitable[None]], pause: Pause) -> None:
    """Run what should never end, and start it again when it does; ends by being cancelled."""
    failures = 0
    while True:
        try:
            await run()
        except (Exception, asyncio.CancelledError) as error:
            if is_being_cancelled():
                raise
            report_failure(name, error)
        failures += 1
        await pause(backoff_seconds(failures))


def report_failure(name: str, error: BaseException) -> None:
    """Log it: an outage in one line, anything else with its stack, since it is a bug."""
    fields = {"fields": {"work": name}}
    if isinstance(error, UnavailableError):
        _log.warning("%s waits: %s", name, error, extra=fields)
    else:
        _log.error("%s failed", name, exc_info=error, extra=fields)


def backoff_seconds(failures: int) -> float:
    """Return the wait after so many failures in a row: doubling, capped, with jitter."""
    longest = min(BACKOFF_CAP_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load)
