"""How many requests may be in a process at once: as many as it can serve without letting them wait long.

    wait   the mean time that requests spent waiting in this process, over a tenth of a second
    above the target, twice in a row   the limit shrinks by as much as the wait is too long
    not above it                       the limit grows by its square root, up to the highest

It is the gradient of Netflix's concurrency-limits, with one difference. There the time without a queue must
be guessed from the shortest times seen, so a dependency that slows down looks like a queue. Here waiting is
measured where it happens, and the time that others take to answer is no part of it. Once is a stall, which
passes by itself; twice is a queue.
"""

from math import sqrt

from reservation_api.config.tree import OverloadConfig

STEEPEST = 0.25
"""Of the limit, left after one step: the wait measured in a storm is too rough to trust further."""


class AdaptiveLimit:
    """Starts at the highest: a process is not overloaded until it shows."""

    def __init__(self, settings: OverloadConfig) -> None:
        self.settings = settings
        self._limit = float(settings.max_in_flight)
        self._was_late = False

    @property
    def value(self) -> int:
        """The limit, as a number of requests."""
        return int(self._limit)

    def observe(self, wait_seconds: float, most_present: int) -> None:
        """Hear how long requests waited on average for a while, and how many there were at most."""
        settings = self.settings
        if most_present > self._limit:
            return  # they came in before the last step: what it has brought is still to be seen
        if wait_seconds <= settings.target_wait_seconds:
            self._was_late = False
            self._limit = min(float(settings.max_in_flight), self._limit + sqrt(self._limit))
        elif self._was_late:
            # A limit that nobody reached has caused nothing: what there was is what waited.
            reached = min(self._limit, float(most_present))
            share = max(STEEPEST, sqrt(settings.target_wait_seconds / wait_seconds))
            self._limit = max(float(settings.min_in_flight), reached * share)
        else:
            self._was_late = True
