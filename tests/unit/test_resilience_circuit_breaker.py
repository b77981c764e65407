"""The rules of the circuit breaker: when it opens, whom it lets try, what closes it again."""

import pytest
from tests.unit.test_resilience_virtual_time import ManualClock

from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.errors import CallNotPermittedError
from reservation_api.adapters.resilience.events import UNKNOWN_RATE
from reservation_api.adapters.resilience.permit import Permit
from reservation_api.adapters.resilience.settings import (
    BreakerState,
    CircuitBreakerSettings,
    SlidingWindowType,
)

FAST = 0.01
SLOW = 2.0
WAIT_SECONDS = 30.0


def make_breaker(**changes: object) -> tuple[ManualClock, CircuitBreaker]:
    """Four calls are a window and enough to judge by; above a second is slow."""
    values: dict[str, object] = {
        "sliding_window_size": 4,
        "minimum_number_of_calls": 4,
        "slow_call_duration_threshold_seconds": 1.0,
        "permitted_number_of_calls_in_half_open_state": 2,
        **changes,
    }
    clock = ManualClock()
    return clock, CircuitBreaker("inventory", CircuitBreakerSettings(**values), clock)  # type: ignore[arg-type]


def make_half_open(**changes: object) -> tuple[ManualClock, CircuitBreaker, Permit]:
    """The wait is over and the first trial call is under way."""
    clock, breaker = make_breaker(**changes)
    open_up(breaker)
    clock.advance(WAIT_SECONDS)
    return clock, breaker, breaker.acquire()


def state_of(breaker: CircuitBreaker) -> BreakerState:
    """The state, afresh each time: a type checker takes an attribute for what it was before."""
    return breaker.state


def feed(breaker: CircuitBreaker, calls: str) -> None:
    """One call a letter: `.` success, `x` failure, `s` slow success, `X` slow failure."""
    for letter in calls:
        permit = breaker.acquire()
        match letter:
            case ".":
                permit.success(FAST)
            case "s":
                permit.success(SLOW)
            case "x":
                permit.failure(FAST)
            case "X":
                permit.failure(SLOW)


def open_up(breaker: CircuitBreaker) -> None:
    while state_of(breaker) is BreakerState.CLOSED:
        feed(breaker, "x")


def refusal(breaker: CircuitBreaker) -> CallNotPermittedError:
    with pytest.raises(CallNotPermittedError) as caught:
        breaker.acquire()
    return caught.value


@pytest.mark.parametrize(
    ("calls", "state"),
    [
        ("xxx", BreakerState.CLOSED),
        (".xx.", BreakerState.OPEN),
        (".x..", BreakerState.CLOSED),
        ("xxxx", BreakerState.OPEN),
        ("xx..", BreakerState.OPEN),
        (".x..x", BreakerState.OPEN),
        ("x....x...x", BreakerState.CLOSED),
        ("x....x...xx", BreakerState.OPEN),
    ],
)
def test_it_opens_at_half_of_the_window_failed_and_not_before_the_minimum(
    calls: str, state: BreakerState
) -> None:
    _, breaker = make_breaker()
    feed(breaker, calls)
    assert state_of(breaker) is state


def test_the_call_that_completes_the_minimum_may_be_a_success_and_still_open_it() -> None:
    _, breaker = make_breaker()
    feed(breaker, "xxx")
    assert state_of(breaker) is BreakerState.CLOSED
    feed(breaker, ".")
    assert state_of(breaker) is BreakerState.OPEN


def test_it_opens_at_the_slow_call_rate_though_nothing_failed() -> None:
    _, breaker = make_breaker(slow_call_rate_threshold=75)
    feed(breaker, "s.s.")
    assert state_of(breaker) is BreakerState.CLOSED
    feed(breaker, "ss")
    assert state_of(breaker) is BreakerState.OPEN


def test_slow_failures_count_as_slow_and_as_failed() -> None:
    _, breaker = make_breaker(failure_rate_threshold=100, slow_call_rate_threshold=50)
    feed(breaker, "X..X")
    assert state_of(breaker) is BreakerState.OPEN
    metrics = breaker.metrics()
    assert (metrics.failed_calls, metrics.slow_calls, metrics.slow_failed_calls) == (2, 2, 2)


def test_a_call_of_just_the_threshold_is_not_slow() -> None:
    _, breaker = make_breaker(minimum_number_of_calls=1)
    breaker.acquire().success(1.0)
    assert breaker.metrics().slow_calls == 0
    breaker.acquire().success(1.001)
    assert breaker.metrics().slow_calls == 1


def test_calls_that_left_the_window_do_not_count() -> None:
    _, breaker = make_breaker()
    feed(breaker, "x....x")
    assert breaker.metrics().failed_calls == 1
    assert state_of(breaker) is BreakerState.CLOSED


def test_a_window_smaller_than_the_minimum_judges_when_it_is_full() -> None:
    _, breaker = make_breaker(minimum_number_of_calls=100)
    feed(breaker, "xxx")
    assert state_of(breaker) is BreakerState.CLOSED
    feed(breaker, "x")
    assert state_of(breaker) is BreakerState.OPEN


def test_a_time_window_keeps_to_the_minimum_however_many_seconds_it_has() -> None:
    _, breaker = make_breaker(sliding_window_type=SlidingWindowType.TIME_BASED, minimum_number_of_calls=6)
    feed(breaker, "xxxxx")
    assert state_of(breaker) is BreakerState.CLOSED
    feed(breaker, "x")
    assert state_of(breaker) is BreakerState.OPEN


def test_a_time_window_forgets_what_is_older_than_its_seconds() -> None:
    clock, breaker = make_breaker(sliding_window_type=SlidingWindowType.TIME_BASED)
    feed(breaker, "xxx")
    clock.advance(4)
    feed(breaker, "x")
    assert state_of(breaker) is BreakerState.CLOSED
    assert breaker.metrics().buffered_calls == 1


def test_only_the_first_word_of_a_permit_counts() -> None:
    _, breaker = make_breaker(minimum_number_of_calls=1, failure_rate_threshold=100)
    permit = breaker.acquire()
    permit.success(FAST)
    permit.failure(FAST)
    permit.release()
    assert (breaker.metrics().buffered_calls, breaker.metrics().failed_calls) == (1, 0)


def test_a_failure_is_a_word_too() -> None:
    _, breaker = make_breaker()
    permit = breaker.acquire()
    permit.failure(FAST)
    permit.failure(FAST)
    permit.success(FAST)
    assert (breaker.metrics().buffered_calls, breaker.metrics().failed_calls) == (1, 1)


def test_forced_open_refuses_until_it_is_reset() -> None:
    clock, breaker = make_breaker()
    breaker.force_open()
    clock.advance(1000)
    assert refusal(breaker).retry_after_seconds == WAIT_SECONDS
    assert state_of(breaker) is BreakerState.FORCED_OPEN
    breaker.reset()
    feed(breaker, ".")
    assert state_of(breaker) is BreakerState.CLOSED


def test_disabled_permits_everything_and_records_nothing_until_it_is_reset() -> None:
    _, breaker = make_breaker()
    open_up(breaker)
    breaker.disable()
    feed(breaker, "xxxxxxxx")
    assert state_of(breaker) is BreakerState.DISABLED
    assert breaker.metrics().buffered_calls == 0
    breaker.reset()
    open_up(breaker)
    assert state_of(breaker) is BreakerState.OPEN


def test_metrics_only_permits_and_records_everything_and_never_opens() -> None:
    _, breaker = make_breaker()
    breaker.observe()
    feed(breaker, "xxxxxxxx")
    assert state_of(breaker) is BreakerState.METRICS_ONLY
    assert breaker.metrics().failure_rate == 100.0


def test_reset_forgets_all_calls() -> None:
    _, breaker = make_breaker()
    feed(breaker, "xxx")
    breaker.reset()
    feed(breaker, "x")
    assert breaker.metrics().buffered_calls == 1
    assert state_of(breaker) is BreakerState.CLOSED


@pytest.mark.parametrize(
    "state", [BreakerState.FORCED_OPEN, BreakerState.DISABLED, BreakerState.METRICS_ONLY]
)
def test_it_starts_in_the_state_that_is_set(state: BreakerState) -> None:
    _, breaker = make_breaker(initial_state=state)
    assert state_of(breaker) is state


def test_rates_are_percentages_and_unknown_below_the_minimum() -> None:
    _, breaker = make_breaker(minimum_number_of_calls=3)
    feed(breaker, "x.")
    assert breaker.metrics().failure_rate == breaker.metrics().slow_call_rate == UNKNOWN_RATE == -1.0
    feed(breaker, "s.")
    assert (breaker.metrics().failure_rate, breaker.metrics().slow_call_rate) == (25.0, 25.0)


def test_an_open_breaker_shows_the_calls_that_opened_it() -> None:
    _, breaker = make_breaker()
    feed(breaker, "..xx")
    assert (breaker.metrics().state, breaker.metrics().failure_rate) == (BreakerState.OPEN, 50.0)


def test_the_metrics_of_a_time_window_age_without_calls() -> None:
    clock, breaker = make_breaker(sliding_window_type=SlidingWindowType.TIME_BASED, sliding_window_size=10)
    feed(breaker, "x.s")
    clock.advance(9)
    assert breaker.metrics().buffered_calls == 3
    clock.advance(1)
    assert breaker.metrics().buffered_calls == 0


def test_the_defaults_are_those_of_the_original_and_of_resilience4j() -> None:
    settings = CircuitBreakerSettings()
    assert settings.failure_rate_threshold == 50
    assert settings.wait_duration_in_open_state_seconds == 30
    assert settings.sliding_window_type is SlidingWindowType.COUNT_BASED
    assert (settings.sliding_window_size, settings.minimum_number_of_calls) == (100, 100)
    assert (settings.slow_call_rate_threshold, settings.slow_call_duration_threshold_seconds) == (100, 60)
    assert settings.permitted_number_of_calls_in_half_open_state == 10
    assert settings.max_wait_duration_in_half_open_state_seconds == 0
    assert not settings.automatic_transition_from_open_to_half_open_enabled
