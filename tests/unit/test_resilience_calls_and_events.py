"""`CircuitBreaker.call`, and what listeners hear."""

import asyncio
import logging

import pytest
from tests.unit.test_resilience_circuit_breaker import FAST, feed, make_breaker, make_half_open, open_up
from tests.unit.test_resilience_virtual_time import turns

from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.errors import CallNotPermittedError
from reservation_api.adapters.resilience.events import (
    BreakerEvent,
    CallFailed,
    CallNotPermitted,
    StateTransition,
    log_transitions,
)
from reservation_api.adapters.resilience.guarded_call import Verdict
from reservation_api.adapters.resilience.settings import BreakerState


class SeatsGoneError(Exception):
    """An answer, though not the wanted one."""


async def answers() -> int:
    return 7


async def refuses() -> int:
    raise SeatsGoneError


def listen(breaker: CircuitBreaker) -> list[BreakerEvent]:
    heard: list[BreakerEvent] = []
    breaker.subscribe(heard.append)
    return heard


async def test_a_call_returns_what_it_returns_and_is_a_success() -> None:
    _, breaker = make_breaker()
    assert await breaker.call(answers) == 7
    assert (breaker.metrics().buffered_calls, breaker.metrics().failed_calls) == (1, 0)


async def test_an_exception_goes_through_and_is_a_failure() -> None:
    _, breaker = make_breaker()
    with pytest.raises(SeatsGoneError):
        await breaker.call(refuses)
    assert (breaker.metrics().buffered_calls, breaker.metrics().failed_calls) == (1, 1)


@pytest.mark.parametrize(
    ("verdict", "buffered", "failed"),
    [(Verdict.FAILURE, 1, 1), (Verdict.SUCCESS, 1, 0), (Verdict.IGNORED, 0, 0)],
)
async def test_the_caller_says_what_an_exception_means(verdict: Verdict, buffered: int, failed: int) -> None:
    _, breaker = make_breaker()
    with pytest.raises(SeatsGoneError):
        await breaker.call(refuses, lambda _: verdict)
    assert (breaker.metrics().buffered_calls, breaker.metrics().failed_calls) == (buffered, failed)


async def test_a_call_is_as_slow_as_it_took() -> None:
    clock, breaker = make_breaker()

    async def takes(seconds: float) -> None:
        clock.advance(seconds)

    async def fails_after(seconds: float) -> None:
        clock.advance(seconds)
        raise SeatsGoneError

    await breaker.call(lambda: takes(1.0))
    assert breaker.metrics().slow_calls == 0
    await breaker.call(lambda: takes(1.25))
    with pytest.raises(SeatsGoneError):
        await breaker.call(lambda: fails_after(1.25))
    assert (breaker.metrics().slow_calls, breaker.metrics().slow_failed_calls) == (2, 1)


async def test_an_open_breaker_does_not_make_the_call() -> None:
    _, breaker = make_breaker()
    open_up(breaker)
    made: list[int] = []

    async def make() -> None:
        made.append(1)

    with pytest.raises(CallNotPermittedError):
        await breaker.call(make)
    assert made == []


async def test_a_cancelled_trial_call_gives_its_permit_back_and_says_nothing() -> None:
    _, breaker, first = make_half_open()
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def hang() -> None:
        await never

    task = asyncio.create_task(breaker.call(hang))
    await turns()
    with pytest.raises(CallNotPermittedError):
        breaker.acquire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert breaker.metrics().buffered_calls == 0
    breaker.acquire().success(FAST)
    first.success(FAST)
    assert breaker.state is BreakerState.CLOSED


async def test_a_judge_that_fails_does_not_keep_the_permit() -> None:
    _, breaker, _ = make_half_open()

    def broken(error: Exception) -> Verdict:
        raise LookupError from error

    with pytest.raises(LookupError):
        await breaker.call(refuses, broken)
    breaker.acquire()


def test_listeners_hear_of_each_change_with_the_numbers_that_led_to_it() -> None:
    clock, breaker = make_breaker()
    heard = listen(breaker)
    feed(breaker, "..")
    open_up(breaker)
    clock.advance(30)
    feed(breaker, "..")
    changes = [event for event in heard if isinstance(event, StateTransition)]
    assert [(event.from_state, event.to_state) for event in changes] == [
        (BreakerState.CLOSED, BreakerState.OPEN),
        (BreakerState.OPEN, BreakerState.HALF_OPEN),
        (BreakerState.HALF_OPEN, BreakerState.CLOSED),
    ]
    assert {event.breaker for event in changes} == {"inventory"}
    opened = changes[0].metrics
    assert (opened.state, opened.failure_rate, opened.buffered_calls) == (BreakerState.CLOSED, 50.0, 4)


def test_listeners_hear_of_what_is_set_by_hand_but_not_of_what_changes_nothing() -> None:
    _, breaker = make_breaker()
    heard = listen(breaker)
    breaker.reset()
    breaker.force_open()
    breaker.force_open()
    breaker.reset()
    assert [event.to_state for event in heard if isinstance(event, StateTransition)] == [
        BreakerState.FORCED_OPEN,
        BreakerState.CLOSED,
    ]


def test_listeners_hear_of_refused_calls_and_of_failures_with_their_errors() -> None:
    _, breaker = make_breaker()
    heard = listen(breaker)
    error = OSError("reset by peer")
    breaker.acquire().failure(FAST, error)
    breaker.force_open()
    with pytest.raises(CallNotPermittedError):
        breaker.acquire()
    assert heard[0] == CallFailed("inventory", FAST, error)
    assert heard[-1] == CallNotPermitted("inventory", BreakerState.FORCED_OPEN)
    assert len(heard) == 3


def test_failures_that_do_not_count_are_not_told() -> None:
    _, breaker = make_breaker()
    heard = listen(breaker)
    straggler, settled = breaker.acquire(), breaker.acquire()
    settled.success(FAST)
    settled.failure(FAST)
    breaker.disable()
    straggler.failure(FAST)
    breaker.acquire().failure(FAST)
    assert [event for event in heard if isinstance(event, CallFailed)] == []


def test_a_listener_that_fails_breaks_neither_the_call_nor_the_other_listeners(
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, breaker = make_breaker()

    def broken(event: BreakerEvent) -> None:
        raise RuntimeError(event)

    breaker.subscribe(broken)
    heard = listen(breaker)
    open_up(breaker)
    assert breaker.state is BreakerState.OPEN
    assert len(heard) == 5
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert len(caplog.records) == 5


def test_a_listener_may_reset_the_breaker() -> None:
    _, breaker = make_breaker()
    breaker.subscribe(lambda event: breaker.reset() if isinstance(event, CallFailed) else None)
    feed(breaker, "xxxxxxxx")
    assert breaker.state is BreakerState.CLOSED
    assert breaker.metrics().buffered_calls == 0


def test_changes_of_state_are_logged_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    clock, breaker = make_breaker()
    breaker.subscribe(log_transitions)
    open_up(breaker)
    with pytest.raises(CallNotPermittedError):
        breaker.acquire()
    clock.advance(30)
    feed(breaker, "..")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "circuit breaker inventory: CLOSED to OPEN"),
        ("WARNING", "circuit breaker inventory: OPEN to HALF_OPEN"),
        ("INFO", "circuit breaker inventory: HALF_OPEN to CLOSED"),
    ]
    fields = vars(caplog.records[0])["fields"]
    assert fields["breaker"] == "inventory"
    assert (fields["from_state"], fields["to_state"]) == ("CLOSED", "OPEN")
    assert (fields["failure_rate"], fields["slow_call_rate"], fields["buffered_calls"]) == (100.0, 0.0, 4)
    assert vars(caplog.records[1])["fields"]["not_permitted_calls"] == 1
