"""How often one subject may ask: a bucket of tokens for each, filled at a steady rate.

A bucket is one number: the instant at which it will be full again (the generic cell rate algorithm, as ATM
has it). A request moves that by the time in which one token comes; beyond the bucket's depth it is refused.
An instant that has passed is a full bucket, and so is none: what is forgotten does no harm.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

from reservation_api.config.tree import RateLimitConfig
from reservation_api.domain.values import UserId
from reservation_api.entrypoints.http.refusals import TooManyRequestsError

MAX_SUBJECTS: Final = 100_000
"""Of whom something is remembered, in some 15 MB; beyond it who has not asked for longest is forgotten."""
_ROUNDING_SECONDS: Final = 1e-6


class RateLimit:
    """One process's view: N processes together allow N times as much."""

    def __init__(
        self,
        settings: RateLimitConfig,
        clock: Callable[[], float] = monotonic,
        max_subjects: int = MAX_SUBJECTS,
    ) -> None:
        self.refused = 0
        self._clock = clock
        self._is_on = settings.requests_per_second > 0
        self._token_seconds = 1 / settings.requests_per_second if self._is_on else 0.0
        self._depth_seconds = settings.burst * self._token_seconds + _ROUNDING_SECONDS
        # Two generations, each half of what is remembered: forgetting one by one costs more.
        self._max_recent = max(1, max_subjects // 2)
        self._recent: dict[UserId, float] = {}
        self._older: dict[UserId, float] = {}

    @property
    def remembered(self) -> int:
        """How many subjects' buckets there are; one in both generations counts twice."""
        return len(self._recent) + len(self._older)

    def take(self, subject: UserId) -> None:
        """Take a token from the subject's bucket; raises TooManyRequestsError, and takes none then."""
        if not self._is_on:
            return
        now = self._clock()
        full_at = self._recent.get(subject) or self._older.get(subject, 0.0)
        full_at = (full_at if full_at > now else now) + self._token_seconds  # noqa: FURB136 (max() costs more)
        if full_at - now > self._depth_seconds:
            self.refused += 1
            wait_seconds = full_at - now - self._depth_seconds
            raise TooManyRequestsError("this subject asks too often", retry_after_seconds=wait_seconds)
        if len(self._recent) >= self._max_recent and subject not in self._recent:
            self._older, self._recent = self._recent, {}
        self._recent[subject] = full_at
