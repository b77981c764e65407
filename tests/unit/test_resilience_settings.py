"""Settings that make no sense are refused, all at once, before anything is guarded by them."""

from typing import Any

import pytest

from reservation_api.adapters.resilience.settings import (
    MAX_SLIDING_WINDOW_SIZE,
    BreakerState,
    BulkheadSettings,
    CircuitBreakerSettings,
    RetryBudgetSettings,
    TimeLimiterSettings,
)

REFUSED: list[tuple[type, dict[str, Any]]] = [
    (CircuitBreakerSettings, {"failure_rate_threshold": 0}),
    (CircuitBreakerSettings, {"failure_rate_threshold": 100.1}),
    (CircuitBreakerSettings, {"failure_rate_threshold": float("nan")}),
    (CircuitBreakerSettings, {"slow_call_rate_threshold": -1}),
    (CircuitBreakerSettings, {"slow_call_duration_threshold_seconds": 0}),
    (CircuitBreakerSettings, {"wait_duration_in_open_state_seconds": 0}),
    (CircuitBreakerSettings, {"wait_duration_in_open_state_seconds": float("inf")}),
    (CircuitBreakerSettings, {"sliding_window_size": 0}),
    (CircuitBreakerSettings, {"sliding_window_size": MAX_SLIDING_WINDOW_SIZE + 1}),
    (CircuitBreakerSettings, {"minimum_number_of_calls": 0}),
    (CircuitBreakerSettings, {"permitted_number_of_calls_in_half_open_state": 0}),
    (CircuitBreakerSettings, {"permitted_number_of_calls_in_half_open_state": MAX_SLIDING_WINDOW_SIZE + 1}),
    (CircuitBreakerSettings, {"max_wait_duration_in_half_open_state_seconds": -1}),
    (CircuitBreakerSettings, {"initial_state": BreakerState.OPEN}),
    (CircuitBreakerSettings, {"initial_state": BreakerState.HALF_OPEN}),
    (BulkheadSettings, {"max_concurrent_calls": 0}),
    (BulkheadSettings, {"max_wait_duration_seconds": -0.1}),
    (BulkheadSettings, {"max_wait_duration_seconds": float("inf")}),
    (TimeLimiterSettings, {"timeout_duration_seconds": 0}),
    (RetryBudgetSettings, {"token_ratio": -0.1}),
    (RetryBudgetSettings, {"min_retries_per_second": -1}),
    (RetryBudgetSettings, {"window_seconds": 0}),
    (RetryBudgetSettings, {"window_seconds": MAX_SLIDING_WINDOW_SIZE + 1}),
]


@pytest.mark.parametrize(("kind", "values"), REFUSED)
def test_a_value_that_makes_no_sense_is_refused_by_its_name(kind: type, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        kind(**values)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"failure_rate_threshold .*; sliding_window_size "):
        CircuitBreakerSettings(failure_rate_threshold=0, sliding_window_size=0)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (CircuitBreakerSettings, {"failure_rate_threshold": 100, "slow_call_rate_threshold": 0.1}),
        (CircuitBreakerSettings, {"sliding_window_size": MAX_SLIDING_WINDOW_SIZE}),
        (CircuitBreakerSettings, {"initial_state": BreakerState.DISABLED}),
        (BulkheadSettings, {"max_concurrent_calls": 1, "max_wait_duration_seconds": 0}),
        (RetryBudgetSettings, {"token_ratio": 0, "min_retries_per_second": 0, "window_seconds": 1}),
    ],
)
def test_the_bounds_themselves_are_taken(kind: type, values: dict[str, Any]) -> None:
    assert kind(**values) is not None


def test_the_defaults_are_resilience4js_and_finagles_and_the_limit_the_originals() -> None:
    assert BulkheadSettings() == BulkheadSettings(max_concurrent_calls=25, max_wait_duration_seconds=0)
    assert TimeLimiterSettings().timeout_duration_seconds == 0.25
    assert RetryBudgetSettings() == RetryBudgetSettings(
        token_ratio=0.2, min_retries_per_second=10, window_seconds=10
    )
