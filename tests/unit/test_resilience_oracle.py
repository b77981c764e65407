"""The circuit breaker beside interlock-cb, over random histories: the same calls go through, the same way.

Where the two differ by intent, one of them is told so (docs/decisions/0006), and the rule has its own test:

    slow                ours above the threshold (Resilience4j), theirs from it on: theirs gets the next float
    window < minimum    ours judges a full window (Resilience4j), theirs never: theirs gets the smaller one
    trial calls         ours judges after min(minimum, permitted) (Resilience4j), theirs after all permitted:
                        only minimum >= permitted is drawn
    at once             ours lets all permitted trial calls run at once (Resilience4j): theirs is allowed to
    METRICS_ONLY        ours starts with no calls (Resilience4j), theirs goes on with its old ones: reset
    window              theirs shows the calls before the outage while it is half-open: compared when closed
    half-open's end     `max_wait_duration_in_half_open_state` and automatic transition: theirs has none, or a
                        thread: not drawn
"""

import asyncio
import math
import random
import types
from collections.abc import Coroutine, Generator, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import interlock
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.unit.test_resilience_virtual_time import ManualClock

from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.errors import CallNotPermittedError
from reservation_api.adapters.resilience.events import BreakerEvent, StateTransition
from reservation_api.adapters.resilience.guarded_call import Verdict
from reservation_api.adapters.resilience.permit import Permit
from reservation_api.adapters.resilience.settings import (
    INITIAL_STATES,
    BreakerState,
    CircuitBreakerSettings,
    SlidingWindowType,
)

QUARTERS = [0.25, 0.5, 1.0, 1.25]
"""Steps of time that floats add exactly, so that thresholds are met and not only crossed."""
STEPS = [0.25, 0.25, 0.5, 0.75, 1.0, 1.25, 2.0, 5.0]
PERCENTAGES = [1, 20, 25, 33, 50, 50, 60, 67, 75, 100]


EXAMPLES = 100
STEPS_EACH = 50
WALKS = 100
STEPS_OF_A_WALK = 150
OF_THEMSELVES = {
    (BreakerState.CLOSED, BreakerState.OPEN),
    (BreakerState.OPEN, BreakerState.HALF_OPEN),
    (BreakerState.HALF_OPEN, BreakerState.OPEN),
    (BreakerState.HALF_OPEN, BreakerState.CLOSED),
}


class BoomError(Exception):
    """The dependency failed."""


class RefusalError(Exception):
    """The dependency answered, and not kindly: a success for the breaker."""


class OurFaultError(Exception):
    """No fault of the dependency, and no merit: not recorded."""


VERDICTS = {
    BoomError: Verdict.FAILURE,
    RefusalError: Verdict.SUCCESS,
    OurFaultError: Verdict.IGNORED,
}


class End(Enum):
    """How a call ends: with what exception ours does, with what theirs."""

    ANSWER = (None, None)
    REFUSAL = (RefusalError, RefusalError)
    BOOM = (BoomError, BoomError)
    OUR_FAULT = (OurFaultError, asyncio.CancelledError)
    """Interlock knows no error that says nothing; what it does not record is a call that is cancelled."""
    CANCELLED = (asyncio.CancelledError, asyncio.CancelledError)


COMMON_ENDS = [End.ANSWER, End.ANSWER, End.ANSWER, End.BOOM, End.BOOM, *End]
COMMON_SECONDS = [0.0, 0.0, 0.0, *STEPS]
BY_HAND = [BreakerState.CLOSED, *sorted(INITIAL_STATES)]


@types.coroutine
def until_told() -> Generator[None, None, None]:
    """Suspend without an event loop; whoever holds the coroutine says what comes of it."""
    yield


async def body() -> None:
    await until_told()


class OnlyBooms:
    """Interlock's classifier."""

    def is_failure(self, *, result: object, exception: Exception | None) -> bool:
        del result
        return isinstance(exception, BoomError)


Call = Coroutine[Any, Any, None]


@dataclass
class Running:
    """A call under way in both; ours is a permit, or a coroutine as theirs is."""

    ours: Permit | Call
    theirs: Call
    started: float


def finish(call: Call, error: type[BaseException] | None) -> None:
    with pytest.raises(error or StopIteration):
        call.throw(error()) if error else call.send(None)


def finish_permit(permit: Permit, end: End, seconds: float) -> None:
    match end:
        case End.ANSWER | End.REFUSAL:
            permit.success(seconds)
        case End.BOOM:
            permit.failure(seconds)
        case End.OUR_FAULT | End.CANCELLED:
            permit.release()


@dataclass(frozen=True)
class Limits:
    """What both are told."""

    window_type: SlidingWindowType
    size: int
    minimum: int
    failure_rate: int
    slow_rate: int
    slow_seconds: float
    wait_seconds: float
    permitted: int

    def ours(self) -> CircuitBreakerSettings:
        return CircuitBreakerSettings(
            failure_rate_threshold=self.failure_rate,
            slow_call_rate_threshold=self.slow_rate,
            slow_call_duration_threshold_seconds=self.slow_seconds,
            wait_duration_in_open_state_seconds=self.wait_seconds,
            sliding_window_type=self.window_type,
            sliding_window_size=self.size,
            minimum_number_of_calls=max(self.minimum, self.permitted),
            permitted_number_of_calls_in_half_open_state=self.permitted,
        )

    def theirs(self) -> interlock.Config:
        minimum = max(self.minimum, self.permitted)
        by_count = self.window_type is SlidingWindowType.COUNT_BASED
        return interlock.Config(
            failure_rate_threshold=self.failure_rate / 100,
            slow_call_rate_threshold=self.slow_rate / 100,
            slow_call_duration_threshold=math.nextafter(self.slow_seconds, math.inf),
            wait_duration_in_open=self.wait_seconds,
            window_type=interlock.WindowType(self.window_type.value.lower()),
            window_size=self.size,
            minimum_number_of_calls=min(minimum, self.size) if by_count else minimum,
            permitted_calls_in_half_open=self.permitted,
            max_concurrent_probes=self.permitted,
        )


class Both:
    """The two breakers on one clock, and the calls that are under way."""

    def __init__(self, limits: Limits) -> None:
        self.clock = ManualClock()
        self.running: list[Running] = []
        self.seen: set[tuple[BreakerState, BreakerState]] = set()
        self.ours = CircuitBreaker("both", limits.ours(), self.clock)
        self.theirs = interlock.CircuitBreaker(
            name="both", config=limits.theirs(), clock=self.clock, classifier=OnlyBooms()
        )
        self.ours.subscribe(self.see)

    def see(self, event: BreakerEvent) -> None:
        if isinstance(event, StateTransition):
            self.seen.add((event.from_state, event.to_state))

    def begin(self, *, with_a_permit: bool) -> bool:
        """Begin a call in both, or see both refuse it."""
        theirs = self.theirs.call_async(body)
        assert isinstance(theirs, Coroutine)
        refusal = None
        try:
            theirs.send(None)
        except interlock.CircuitOpenError as error:
            refusal = error
        try:
            ours = self._begin_ours(with_a_permit=with_a_permit)
        except CallNotPermittedError as error:
            assert refusal is not None, "ours refuses, theirs does not"
            if self.ours.state is BreakerState.OPEN:  # in other states theirs does not know
                assert error.retry_after_seconds == refusal.retry_after
            return False
        assert refusal is None, "theirs refuses, ours does not"
        self.running.append(Running(ours, theirs, self.clock.now))
        return True

    def _begin_ours(self, *, with_a_permit: bool) -> Permit | Call:
        if with_a_permit:
            return self.ours.acquire()
        call = self.ours.call(body, lambda error: VERDICTS[type(error)])
        call.send(None)
        return call

    def end(self, pick: int, end: End) -> None:
        if not self.running:
            return
        call = self.running.pop(pick % len(self.running))
        our_error, their_error = end.value
        if isinstance(call.ours, Permit):
            finish_permit(call.ours, end, self.clock.now - call.started)
        else:
            finish(call.ours, our_error)
        finish(call.theirs, their_error)

    def whole_calls(self, ends: Iterable[End], seconds: float, *, with_a_permit: bool) -> None:
        for end in ends:
            if self.begin(with_a_permit=with_a_permit):
                self.clock.advance(seconds)
                self.end(-1, end)

    def wait(self) -> None:
        self.clock.advance(self.ours.settings.wait_duration_in_open_state_seconds)

    def by_hand(self, to: BreakerState) -> None:
        match to:
            case BreakerState.FORCED_OPEN:
                self.ours.force_open()
                self.theirs.force_open()
            case BreakerState.DISABLED:
                self.ours.disable()
                self.theirs.disable()
            case BreakerState.METRICS_ONLY:
                self.theirs.reset()
                self.ours.observe()
                self.theirs.metrics_only()
            case _:
                self.ours.reset()
                self.theirs.reset()

    def compare(self) -> None:
        state = self.ours.state
        assert state.value == self.theirs.state.value.upper()
        if state in {BreakerState.CLOSED, BreakerState.METRICS_ONLY}:
            ours, theirs = self.ours.metrics(), self.theirs.snapshot()
            assert ours.buffered_calls == theirs.total_calls
            assert (ours.failed_calls, ours.slow_calls) == (theirs.failed_calls, theirs.slow_calls)

    def close(self) -> None:
        for call in self.running:
            call.theirs.close()
            if not isinstance(call.ours, Permit):
                call.ours.close()


limits = st.builds(
    Limits,
    window_type=st.sampled_from(SlidingWindowType),
    size=st.integers(1, 6),
    minimum=st.integers(1, 8),
    failure_rate=st.sampled_from(PERCENTAGES),
    slow_rate=st.sampled_from(PERCENTAGES),
    slow_seconds=st.sampled_from(QUARTERS),
    wait_seconds=st.sampled_from(QUARTERS),
    permitted=st.integers(1, 3),
)
ends = st.sampled_from(COMMON_ENDS)


class BothInAnyOrder(RuleBasedStateMachine):
    @initialize(limits=limits, by_hand=st.integers(0, 3))
    def build(self, limits: Limits, by_hand: int) -> None:
        self.both = Both(limits)
        self.by_hand_left = by_hand

    @rule(with_a_permit=st.booleans())
    def begin(self, *, with_a_permit: bool) -> None:
        self.both.begin(with_a_permit=with_a_permit)

    @rule(pick=st.integers(0, 9), end=ends)
    def end(self, pick: int, end: End) -> None:
        self.both.end(pick, end)

    @rule(ends=st.lists(ends, max_size=8), seconds=st.sampled_from(COMMON_SECONDS), permits=st.booleans())
    def whole_calls(self, ends: list[End], seconds: float, *, permits: bool) -> None:
        self.both.whole_calls(ends, seconds, with_a_permit=permits)

    @rule(seconds=st.sampled_from(STEPS))
    def time_passes(self, seconds: float) -> None:
        self.both.clock.advance(seconds)

    @rule()
    def wait(self) -> None:
        self.both.wait()

    @precondition(lambda self: self.by_hand_left > 0)
    @rule(to=st.sampled_from(BY_HAND))
    def by_hand(self, to: BreakerState) -> None:
        self.by_hand_left -= 1
        self.both.by_hand(to)

    @invariant()
    def compare(self) -> None:
        self.both.compare()

    def teardown(self) -> None:
        if hasattr(self, "both"):
            self.both.close()


def test_it_does_what_interlock_does() -> None:
    run_state_machine_as_test(
        BothInAnyOrder,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS_EACH,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def random_limits(lots: random.Random, window_type: SlidingWindowType) -> Limits:
    return Limits(
        window_type=window_type,
        size=lots.randint(1, 6),
        minimum=lots.randint(1, 8),
        failure_rate=lots.choice(PERCENTAGES),
        slow_rate=lots.choice(PERCENTAGES),
        slow_seconds=lots.choice(QUARTERS),
        wait_seconds=lots.choice(QUARTERS),
        permitted=lots.randint(1, 4),
    )


def random_step(lots: random.Random, both: Both) -> None:
    dice = lots.randrange(100)
    if dice < 25:
        both.begin(with_a_permit=lots.random() < 0.5)
    elif dice < 55:
        both.end(lots.randrange(10), lots.choice(COMMON_ENDS))
    elif dice < 80:
        ends = lots.choices(COMMON_ENDS, k=lots.randint(1, 6))
        both.whole_calls(ends, lots.choice(COMMON_SECONDS), with_a_permit=lots.random() < 0.5)
    elif dice < 90:
        both.clock.advance(lots.choice(STEPS))
    elif dice < 97:
        both.wait()
    else:
        both.by_hand(lots.choice(BY_HAND))


@pytest.mark.parametrize("window_type", SlidingWindowType)
def test_it_does_what_interlock_does_on_long_walks_that_lead_everywhere(
    window_type: SlidingWindowType,
) -> None:
    """Always the same walks; the test above draws new ones, and finds the shortest that differs."""
    seen = set()
    for seed in range(WALKS):
        lots = random.Random(seed)
        both = Both(random_limits(lots, window_type))
        for _ in range(STEPS_OF_A_WALK):
            random_step(lots, both)
            both.compare()
        both.close()
        seen |= both.seen
    assert seen >= OF_THEMSELVES
    assert {state for states in seen for state in states} == set(BreakerState)
