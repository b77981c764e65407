"""A time limit for each call, and less when the caller's own time runs out earlier."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from reservation_api.adapters.resilience.errors import DeadlinePassedError, TimeLimitExceededError
from reservation_api.adapters.resilience.settings import TimeLimiterSettings

T = TypeVar("T")

RETRY_AFTER_SECONDS: Final = 1.0
"""The next request brings time of its own."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when somebody waits for the answer."""

    at: float
    """On the monotonic clock, in seconds."""

    def seconds_left(self, now: float) -> float:
        """Return how long that is from `now`; not above 0 when it is over."""
        return self.at - now

    def not_after(self, at: float) -> "Deadline":
        """Return the earlier one: a deadline that is passed on never grows."""
        return self if self.at <= at else Deadline(at)


class TimeLimiter:
    """Limits calls to one dependency; `monotonic` is the clock of the deadlines."""

    def __init__(
        self, name: str, settings: TimeLimiterSettings, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.settings = settings
        self._monotonic = monotonic

    def seconds_for(self, deadline: Deadline | None) -> float:
        """Return how long a call that starts now may take; not above 0 when there is no time left."""
        limit = self.settings.timeout_duration_seconds
        return limit if deadline is None else min(limit, deadline.seconds_left(self._monotonic()))

    async def call(self, fn: Callable[[], Awaitable[T]], deadline: Deadline | None = None) -> T:
        """Return what `fn` does, in time; a TimeoutError of its own goes through as it is.

        `fn` runs in the caller's task and is cancelled in place, so nothing goes on in the background; one
        that swallows its cancellation is waited for. Raises TimeLimitExceededError, DeadlinePassedError.
        """
        seconds = self.seconds_for(deadline)
        if seconds <= 0:
            raise DeadlinePassedError(self.name, "the deadline had passed", RETRY_AFTER_SECONDS)
        scope = asyncio.timeout(seconds)
        try:
            async with scope:
                return await fn()
        except TimeoutError as error:
            if scope.expired():
                raise TimeLimitExceededError(self.name, seconds) from error
            raise
