"""A retry budget: retries are a small part of the calls, so they can not turn a hiccup into an outage.

As Finagle's RetryBudget: within any window, retries ≤ floor x seconds + ratio x calls. Both tokens given
and tokens spent are forgotten after the window, so a quiet night saves nothing up for the morning.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from reservation_api.adapters.resilience.settings import RetryBudgetSettings
from reservation_api.adapters.resilience.sliding_window import TimeWindow

_CALL: Final = 0
_RETRY: Final = 1
_TOKEN: Final = 1000
"""Tokens are counted in thousandths, whole: no sum of fractions may drift."""


@dataclass(frozen=True, slots=True)
class RetryBudgetMetrics:
    """Over the window; `refused_retries` since the start of the process."""

    calls: int
    retries: int
    retries_left: int
    refused_retries: int


class RetryBudget:
    """One for each dependency and process, shared by all callers; `monotonic` in seconds."""

    def __init__(
        self, name: str, settings: RetryBudgetSettings, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.settings = settings
        self._window = TimeWindow(settings.window_seconds, monotonic, kinds=2)
        self._per_call = round(settings.token_ratio * _TOKEN)
        self._floor = settings.min_retries_per_second * settings.window_seconds * _TOKEN
        self._refused_retries = 0

    def record_call(self) -> None:
        """Count a first try; retries do not count."""
        self._window.record(_CALL)

    def try_spend(self) -> bool:
        """Tell whether one retry may be made now, and count it."""
        self._window.expire()
        if self._left() < _TOKEN:
            self._refused_retries += 1
            return False
        self._window.record(_RETRY)
        return True

    def metrics(self) -> RetryBudgetMetrics:
        """Return what is left."""
        self._window.expire()
        calls, retries = self._window.counts
        return RetryBudgetMetrics(calls, retries, max(0, self._left() // _TOKEN), self._refused_retries)

    def _left(self) -> int:
        calls, retries = self._window.counts
        return self._floor + self._per_call * calls - _TOKEN * retries
