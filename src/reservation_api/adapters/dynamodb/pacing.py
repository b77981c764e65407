"""Waits between tries of what DynamoDB did only in part, or not yet."""

import random
from collections.abc import Awaitable, Callable
from typing import Final

from reservation_api.adapters.aws_wire.client import RetryBudget
from reservation_api.domain.errors import StoreUnavailableError

MAX_TRIES: Final = 8
"""A transaction is over within some 20 ms: who has met another at each of eight tries meets a crowd."""
MAX_SECONDS: Final = 2.0
"""From the first failure; beyond it the client has a 503 and tries again itself."""
FIRST_WAIT_SECONDS: Final = 0.01
LONGEST_WAIT_SECONDS: Final = 0.25
"""The first wait is about as long as a transaction takes; each further one is twice as long, up to this."""

Pause = Callable[[float], Awaitable[None]]


class Pacing:
    """How long each further try of one operation waits for its turn, with full jitter."""

    def __init__(self, retries: RetryBudget, pause: Pause, monotonic: Callable[[], float]) -> None:
        self._retries = retries
        self._pause = pause
        self._monotonic = monotonic
        self._failures = 0
        self._ends_at = 0.0

    async def wait(self, why: str, *, is_throttled: bool = False) -> None:
        """Wait before the next try; raises StoreUnavailableError when there were enough.

        Whoever met another transaction only takes turns. Where a table is throttled every try makes it worse,
        so those come out of the retry budget.
        """
        now = self._monotonic()
        if not self._failures:
            self._ends_at = now + MAX_SECONDS
        self._failures += 1
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (self._failures - 1))
        seconds = random.uniform(0, longest)  # noqa: S311 (spreads load)
        is_over = self._failures >= MAX_TRIES or now + seconds > self._ends_at
        if is_over or (is_throttled and not self._retries.try_spend()):
            raise StoreUnavailableError(f"the store is too busy: {why}")
        await self._pause(seconds)
