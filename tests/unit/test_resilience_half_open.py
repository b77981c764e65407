"""Open and half-open: who is refused, when a trial call may go, and what the trial calls lead to."""

import pytest
from tests.unit.test_resilience_circuit_breaker import (
    FAST,
    SLOW,
    WAIT_SECONDS,
    make_breaker,
    make_half_open,
    open_up,
    refusal,
    state_of,
)

from reservation_api.adapters.resilience.circuit_breaker import HALF_OPEN_RETRY_SECONDS
from reservation_api.adapters.resilience.settings import BreakerState


def test_an_open_breaker_refuses_at_once_and_says_when_to_come_back() -> None:
    clock, breaker = make_breaker()
    open_up(breaker)
    assert refusal(breaker).retry_after_seconds == WAIT_SECONDS
    clock.advance(12.5)
    assert refusal(breaker).retry_after_seconds == WAIT_SECONDS - 12.5
    assert breaker.metrics().not_permitted_calls == 2


def test_who_comes_back_when_told_is_let_in() -> None:
    clock, breaker = make_breaker()
    open_up(breaker)
    clock.advance(refusal(breaker).retry_after_seconds)
    breaker.acquire()
    assert state_of(breaker) is BreakerState.HALF_OPEN


def test_a_moment_before_the_wait_is_over_it_still_refuses() -> None:
    clock, breaker = make_breaker()
    open_up(breaker)
    clock.advance(WAIT_SECONDS - 2**-20)
    assert 0 < refusal(breaker).retry_after_seconds < 0.001


def test_it_stays_open_until_a_call_comes() -> None:
    clock, breaker = make_breaker()
    open_up(breaker)
    clock.advance(1000)
    assert state_of(breaker) is BreakerState.OPEN
    assert breaker.metrics().state is BreakerState.OPEN


def test_with_automatic_transition_a_look_is_enough() -> None:
    clock, breaker = make_breaker(automatic_transition_from_open_to_half_open_enabled=True)
    open_up(breaker)
    clock.advance(WAIT_SECONDS - 1)
    assert state_of(breaker) is BreakerState.OPEN
    clock.advance(1)
    assert state_of(breaker) is BreakerState.HALF_OPEN


def test_half_open_permits_so_many_calls_and_no_more() -> None:
    _, breaker, _ = make_half_open()
    breaker.acquire()
    refused = refusal(breaker)
    assert refused.retry_after_seconds == HALF_OPEN_RETRY_SECONDS
    assert breaker.metrics().not_permitted_calls == 1


def test_half_open_tells_nobody_to_wait_longer_than_open_does() -> None:
    clock, breaker = make_breaker(wait_duration_in_open_state_seconds=0.25)
    open_up(breaker)
    clock.advance(0.25)
    breaker.acquire()
    breaker.acquire()
    assert refusal(breaker).retry_after_seconds == 0.25


def test_trial_calls_that_go_well_close_it_with_an_empty_window() -> None:
    _, breaker, first = make_half_open()
    second = breaker.acquire()
    first.success(FAST)
    assert state_of(breaker) is BreakerState.HALF_OPEN
    second.success(FAST)
    assert state_of(breaker) is BreakerState.CLOSED
    assert breaker.metrics().buffered_calls == 0


@pytest.mark.parametrize("duration_and_failed", [(FAST, True), (SLOW, False)])
def test_trial_calls_that_fail_or_are_slow_open_it_for_the_whole_wait_again(
    duration_and_failed: tuple[float, bool],
) -> None:
    duration, failed = duration_and_failed
    clock, breaker, first = make_half_open(slow_call_rate_threshold=50)
    second = breaker.acquire()
    clock.advance(5)
    first.success(FAST)
    if failed:
        second.failure(duration)
    else:
        second.success(duration)
    assert state_of(breaker) is BreakerState.OPEN
    assert refusal(breaker).retry_after_seconds == WAIT_SECONDS


def test_the_minimum_holds_for_trial_calls_if_it_is_smaller_than_their_number() -> None:
    _, breaker, first = make_half_open(
        minimum_number_of_calls=1, permitted_number_of_calls_in_half_open_state=3
    )
    second = breaker.acquire()
    first.success(FAST)
    assert state_of(breaker) is BreakerState.CLOSED
    second.failure(FAST)
    assert breaker.metrics().buffered_calls == 0


def test_a_released_trial_permit_goes_to_the_next_call() -> None:
    _, breaker, first = make_half_open()
    breaker.acquire()
    refusal(breaker)
    first.release()
    breaker.acquire()
    refusal(breaker)
    assert breaker.metrics().buffered_calls == 0


def test_a_permit_can_not_be_given_back_twice() -> None:
    _, breaker, first = make_half_open()
    breaker.acquire()
    first.release()
    first.release()
    breaker.acquire()
    refusal(breaker)


def test_a_settled_trial_permit_is_not_given_back() -> None:
    _, breaker, first = make_half_open()
    first.success(FAST)
    first.release()
    breaker.acquire()
    refusal(breaker)


def test_a_straggler_from_before_the_outage_neither_closes_nor_opens() -> None:
    clock, breaker = make_breaker()
    stragglers = [breaker.acquire() for _ in range(6)]
    open_up(breaker)
    stragglers.pop().success(FAST)
    assert breaker.metrics().failed_calls == breaker.metrics().buffered_calls == 4
    clock.advance(WAIT_SECONDS)
    trial = breaker.acquire()
    stragglers.pop().success(FAST)
    stragglers.pop().failure(FAST)
    stragglers.pop().release()
    assert breaker.metrics().buffered_calls == 0
    breaker.acquire()
    refusal(breaker)
    trial.success(FAST)
    assert state_of(breaker) is BreakerState.HALF_OPEN


def test_half_open_may_last_only_so_long_if_that_is_set() -> None:
    clock, breaker, _ = make_half_open(max_wait_duration_in_half_open_state_seconds=10)
    clock.advance(9)
    assert state_of(breaker) is BreakerState.HALF_OPEN
    clock.advance(1)
    assert state_of(breaker) is BreakerState.OPEN
    assert refusal(breaker).retry_after_seconds == WAIT_SECONDS


def test_a_half_open_that_nobody_saw_end_does_not_prolong_the_wait() -> None:
    clock, breaker, stuck = make_half_open(max_wait_duration_in_half_open_state_seconds=10)
    clock.advance(10 + WAIT_SECONDS - 1)
    assert refusal(breaker).retry_after_seconds == 1
    clock.advance(1)
    breaker.acquire()
    breaker.acquire()
    refusal(breaker)
    stuck.release()
    refusal(breaker)


def test_without_it_half_open_lasts_as_long_as_its_calls() -> None:
    clock, breaker, first = make_half_open()
    breaker.acquire().success(FAST)
    clock.advance(100_000)
    assert state_of(breaker) is BreakerState.HALF_OPEN
    first.success(FAST)
    assert state_of(breaker) is BreakerState.CLOSED
