"""The settings, by Resilience4j's names with the unit at the end; defaults as the Kotlin original had them.

The original says 50 % failures, 30 s open, 250 ms (its application.properties); whatever it leaves open
is Resilience4j's own default. Rates are percentages.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Final

MAX_SLIDING_WINDOW_SIZE: Final = 10_000
"""Calls or seconds: clearing a time window after an idle spell stays within milliseconds."""
_ALL: Final = 100
"""Percent."""


class SlidingWindowType(StrEnum):
    """What a window slides over."""

    COUNT_BASED = "COUNT_BASED"
    TIME_BASED = "TIME_BASED"


class BreakerState(StrEnum):
    """Where a circuit breaker is, by Resilience4j's names."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"
    FORCED_OPEN = "FORCED_OPEN"
    """Refuses every call until it is reset."""
    DISABLED = "DISABLED"
    """Forced closed: permits every call and records none until it is reset."""
    METRICS_ONLY = "METRICS_ONLY"
    """Permits and records every call and never opens: to find good thresholds."""


INITIAL_STATES: Final = frozenset(
    {BreakerState.CLOSED, BreakerState.FORCED_OPEN, BreakerState.DISABLED, BreakerState.METRICS_ONLY}
)
"""OPEN and HALF_OPEN are what calls lead to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerSettings:
    """When a circuit breaker opens and closes; raises ValueError naming every value that makes no sense.

    Beyond some hundred calls a second a COUNT_BASED window of 100 is a fraction of a second, and one hiccup
    opens the breaker for 30 s: TIME_BASED with 10 s then judges better.
    """

    failure_rate_threshold: float = 50.0
    """Opens at this share of failed calls or more."""
    slow_call_rate_threshold: float = 100.0
    """Opens at this share of slow calls or more."""
    slow_call_duration_threshold_seconds: float = 60.0
    """A call that took longer is slow. To count slow calls, set it below the time limit."""
    sliding_window_type: SlidingWindowType = SlidingWindowType.COUNT_BASED
    sliding_window_size: int = 100
    """Calls, or seconds."""
    minimum_number_of_calls: int = 100
    """No judgement on fewer. A COUNT_BASED window that holds fewer judges when it is full."""
    wait_duration_in_open_state_seconds: float = 30.0
    permitted_number_of_calls_in_half_open_state: int = 10
    max_wait_duration_in_half_open_state_seconds: float = 0.0
    """Opens again when the trial calls took longer than this altogether; 0 waits for as long as they take."""
    automatic_transition_from_open_to_half_open_enabled: bool = False
    """Half-open as soon as the wait is over and somebody looks, not only when the next call comes."""
    initial_state: BreakerState = BreakerState.CLOSED

    def __post_init__(self) -> None:
        _refuse(
            (
                *_percentages(self, "failure_rate_threshold", "slow_call_rate_threshold"),
                *_above_zero(
                    self, "slow_call_duration_threshold_seconds", "wait_duration_in_open_state_seconds"
                ),
                *_at_least(
                    self,
                    1,
                    "sliding_window_size",
                    "minimum_number_of_calls",
                    "permitted_number_of_calls_in_half_open_state",
                ),
                *_at_least(self, 0, "max_wait_duration_in_half_open_state_seconds"),
                *_at_most(
                    self,
                    MAX_SLIDING_WINDOW_SIZE,
                    "sliding_window_size",
                    "permitted_number_of_calls_in_half_open_state",
                ),
                *(
                    []
                    if self.initial_state in INITIAL_STATES
                    else ["initial_state can not be OPEN or HALF_OPEN"]
                ),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkheadSettings:
    """How many calls may be under way at once; raises ValueError."""

    max_concurrent_calls: int = 25
    max_wait_duration_seconds: float = 0.0
    """How long a call may wait for another to end; 0 refuses it at once."""

    def __post_init__(self) -> None:
        _refuse(
            (*_at_least(self, 1, "max_concurrent_calls"), *_at_least(self, 0, "max_wait_duration_seconds"))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimiterSettings:
    """How long a call may take; it is always cancelled then (`cancelRunningFuture`). Raises ValueError."""

    timeout_duration_seconds: float = 0.25

    def __post_init__(self) -> None:
        _refuse(_above_zero(self, "timeout_duration_seconds"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudgetSettings:
    """How many retries there may be: Finagle's RetryBudget and its defaults. Raises ValueError."""

    token_ratio: float = 0.2
    """Retries for each call of the window: 0.2 is one for five. To three digits, as in gRPC (proposal A6)."""
    min_retries_per_second: int = 10
    """Allowed however few calls there are."""
    window_seconds: int = 10

    def __post_init__(self) -> None:
        _refuse(
            (
                *_at_least(self, 0, "token_ratio", "min_retries_per_second"),
                *_at_least(self, 1, "window_seconds"),
                *_at_most(self, MAX_SLIDING_WINDOW_SIZE, "window_seconds"),
            )
        )


def _refuse(faults: Iterable[str]) -> None:
    listed = "; ".join(faults)
    if listed:
        raise ValueError(listed)


def _percentages(settings: object, *names: str) -> list[str]:
    return [
        f"{name} must be above 0 and at most {_ALL}"
        for name, value in _of(settings, names)
        if not 0 < value <= _ALL
    ]


def _above_zero(settings: object, *names: str) -> list[str]:
    return [
        f"{name} must be above 0"
        for name, value in _of(settings, names)
        if not (value > 0 and isfinite(value))
    ]


def _at_least(settings: object, least: int, *names: str) -> list[str]:
    return [
        f"{name} must be at least {least}"
        for name, value in _of(settings, names)
        if not (value >= least and isfinite(value))
    ]


def _at_most(settings: object, most: int, *names: str) -> list[str]:
    return [f"{name} must be at most {most}" for name, value in _of(settings, names) if value > most]


def _of(settings: object, names: Iterable[str]) -> Iterable[tuple[str, float]]:
    return ((name, getattr(settings, name)) for name in names)
