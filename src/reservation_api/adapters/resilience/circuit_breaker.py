"""A circuit breaker with Resilience4j's rules: who fails too often, or too slowly, is left alone for a while.

                    rate at its threshold                       wait is over, and a call comes
        CLOSED ─────────────────────────────▶ OPEN ───────────────────────────────────────────▶ HALF_OPEN
          ▲                                     ▲         trial calls failed, or took too long      │ │
          │                                     └───────────────────────────────────────────────────┘ │
          └────────────────────────────── trial calls went well ──────────────────────────────────────┘

    FORCED_OPEN, DISABLED and METRICS_ONLY are set by hand and left by `reset()`.

Each stay in a state is an *era* with a window of its own. A permit counts in the era that it was given in:
a straggler from before an outage neither closes the breaker nor opens it again (Resilience4j counts it).

It has no locks: nothing but a guarded call awaits, so one event loop runs each method to its end. Not for
several threads.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, assert_never

from reservation_api.adapters.resilience.errors import CallNotPermittedError
from reservation_api.adapters.resilience.events import (
    UNKNOWN_RATE,
    BreakerEvent,
    BreakerListener,
    BreakerMetrics,
    CallFailed,
    CallNotPermitted,
    StateTransition,
)
from reservation_api.adapters.resilience.guarded_call import (
    Judge,
    call_with,
    every_exception_is_a_failure,
)
from reservation_api.adapters.resilience.permit import NO_ERA, Permit
from reservation_api.adapters.resilience.settings import (
    BreakerState,
    CircuitBreakerSettings,
    SlidingWindowType,
)
from reservation_api.adapters.resilience.sliding_window import CountWindow, SlidingWindow, TimeWindow

T = TypeVar("T")

HALF_OPEN_RETRY_SECONDS: Final = 1.0
"""Trial calls decide within their time limit, so whoever is refused beside them may come back soon."""
_FAILED: Final = 1
_SLOW: Final = 2
"""These two add up to an Outcome; an enum member a call would cost as much as the window."""

_log = logging.getLogger(__name__)


class CircuitBreaker:
    """One for each dependency and process; `monotonic` returns seconds that never go back."""

    def __init__(
        self, name: str, settings: CircuitBreakerSettings, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.settings = settings
        self.monotonic = monotonic
        self._listeners: tuple[BreakerListener, ...] = ()
        self._not_permitted_calls = 0
        self._slow_seconds = settings.slow_call_duration_threshold_seconds
        self._era = NO_ERA
        self._window, self._minimum_calls = self._fresh_window()
        self._begin(settings.initial_state, monotonic())

    @property
    def state(self) -> BreakerState:
        """The state at this moment."""
        if self._state is not BreakerState.CLOSED:
            self._catch_up(self.monotonic(), call_waits=False)
        return self._state

    def acquire(self) -> Permit:
        """Return a permit for one call, to be settled or released; raises CallNotPermittedError at once."""
        return Permit(self, self.admit())

    def admit(self) -> int:
        """Return the era of one call, to be settled or given back; raises CallNotPermittedError at once."""
        return self._era if self._state is BreakerState.CLOSED else self._admit()

    async def call(self, fn: Callable[[], Awaitable[T]], judge: Judge = every_exception_is_a_failure) -> T:
        """Make one call if it is permitted, and record it as `judge` says; raises CallNotPermittedError."""
        return await call_with(self.acquire(), fn, judge, self.monotonic)

    def settle(self, era: int, duration_seconds: float, *, failed: bool, error: BaseException | None) -> None:
        """Record what became of a call, and move if that is what it leads to; permits call this."""
        if failed and self._listeners and era == self._era:
            self._tell(CallFailed(self.name, duration_seconds, error))
        if era != self._era:
            return
        outcome = _FAILED if failed else 0
        if duration_seconds > self._slow_seconds:
            outcome += _SLOW
        window = self._window
        window.record(outcome)
        successes, failures, slow_successes, slow_failures, *_ = window.counts
        if failures or slow_successes or slow_failures or self._state is BreakerState.HALF_OPEN:
            calls = successes + failures + slow_successes + slow_failures
            if calls >= self._minimum_calls:
                self._judge(calls, failures + slow_failures, slow_successes + slow_failures)

    def give_back(self, era: int) -> None:
        """Take back a permit that was not used, so that another trial call may go; permits call this.

        Outside of HALF_OPEN nobody looks at how many are left, and each era begins anew.
        """
        if era == self._era:
            self._permits_left += 1

    def metrics(self) -> BreakerMetrics:
        """Return the numbers of the present state's window; in OPEN, of the window that opened it."""
        return self._metrics_in(self.state)

    def subscribe(self, listener: BreakerListener) -> None:
        """Tell `listener` of every event from now on."""
        self._listeners = (*self._listeners, listener)

    def force_open(self) -> None:
        """Refuse every call until `reset()`."""
        self._move(BreakerState.FORCED_OPEN, self.monotonic())

    def disable(self) -> None:
        """Permit every call and record none until `reset()`: forced closed."""
        self._move(BreakerState.DISABLED, self.monotonic())

    def observe(self) -> None:
        """Permit and record every call, and open for none, until `reset()`: METRICS_ONLY."""
        self._move(BreakerState.METRICS_ONLY, self.monotonic())

    def reset(self) -> None:
        """Close it and forget all calls."""
        self._move(BreakerState.CLOSED, self.monotonic())

    def _metrics_in(self, state: BreakerState) -> BreakerMetrics:
        self._window.expire()
        successes, failures, slow_successes, slow_failures, *_ = self._window.counts
        failed, slow = failures + slow_failures, slow_successes + slow_failures
        calls = successes + slow_successes + failed
        known = calls >= self._minimum_calls
        return BreakerMetrics(
            state=state,
            failure_rate=100.0 * failed / calls if known else UNKNOWN_RATE,
            slow_call_rate=100.0 * slow / calls if known else UNKNOWN_RATE,
            buffered_calls=calls,
            failed_calls=failed,
            slow_calls=slow,
            slow_failed_calls=slow_failures,
            not_permitted_calls=self._not_permitted_calls,
        )

    def _admit(self) -> int:
        """Return the era to count the call in, or raise CallNotPermittedError."""
        now = self.monotonic()
        self._catch_up(now, call_waits=True)
        match self._state:
            case BreakerState.CLOSED | BreakerState.METRICS_ONLY:
                return self._era
            case BreakerState.DISABLED:
                return NO_ERA
            case BreakerState.HALF_OPEN if self._permits_left > 0:
                self._permits_left -= 1
                return self._era
            case BreakerState.OPEN | BreakerState.HALF_OPEN | BreakerState.FORCED_OPEN as state:
                raise self._refusal(state, now)
            case unknown:
                assert_never(unknown)

    def _refusal(self, state: BreakerState, now: float) -> CallNotPermittedError:
        retry_after_seconds = self.settings.wait_duration_in_open_state_seconds
        if state is BreakerState.OPEN:
            retry_after_seconds -= now - self._since
        elif state is BreakerState.HALF_OPEN:
            retry_after_seconds = min(retry_after_seconds, HALF_OPEN_RETRY_SECONDS)
        self._not_permitted_calls += 1
        if self._listeners:
            self._tell(CallNotPermitted(self.name, state))
        return CallNotPermittedError(self.name, f"the circuit breaker is {state}", retry_after_seconds)

    def _judge(self, calls: int, failed: int, slow: int) -> None:
        """Open, or close after the trial calls, if the window says so."""
        settings = self.settings
        bad = (
            100 * failed >= settings.failure_rate_threshold * calls
            or 100 * slow >= settings.slow_call_rate_threshold * calls
        )
        if bad and self._state is not BreakerState.METRICS_ONLY:
            self._move(BreakerState.OPEN, self.monotonic())
        elif self._state is BreakerState.HALF_OPEN:
            self._move(BreakerState.CLOSED, self.monotonic())

    def _catch_up(self, now: float, *, call_waits: bool) -> None:
        """Make the moves that time alone brings about: there is no timer, they are made when somebody looks.

        The end of a half-open state is dated back to when it was due: nobody looking must not prolong it.
        """
        settings = self.settings
        longest = settings.max_wait_duration_in_half_open_state_seconds
        if self._state is BreakerState.HALF_OPEN and 0 < longest <= now - self._since:
            self._move(BreakerState.OPEN, self._since + longest)
        may_try = call_waits or settings.automatic_transition_from_open_to_half_open_enabled
        waited = now - self._since >= settings.wait_duration_in_open_state_seconds
        if self._state is BreakerState.OPEN and waited and may_try:
            self._move(BreakerState.HALF_OPEN, now)

    def _move(self, to_state: BreakerState, since: float) -> None:
        from_state = self._state
        metrics = self._metrics_in(from_state) if self._listeners else None
        self._begin(to_state, since)
        if metrics is not None and to_state is not from_state:
            self._tell(StateTransition(self.name, from_state, to_state, metrics))

    def _begin(self, state: BreakerState, since: float) -> None:
        """Start an era: permits given before say nothing any more, and all but OPEN start with no calls."""
        settings = self.settings
        self._state = state
        self._since = since
        self._era += 1
        self._permits_left = 0
        if state is BreakerState.HALF_OPEN:
            self._permits_left = settings.permitted_number_of_calls_in_half_open_state
            self._window = CountWindow(self._permits_left)
            self._minimum_calls = min(settings.minimum_number_of_calls, self._permits_left)
        elif state is not BreakerState.OPEN:
            self._window, self._minimum_calls = self._fresh_window()

    def _fresh_window(self) -> tuple[SlidingWindow, int]:
        """Return a window and how many calls it must have seen before it is judged by."""
        size, minimum = self.settings.sliding_window_size, self.settings.minimum_number_of_calls
        match self.settings.sliding_window_type:
            case SlidingWindowType.COUNT_BASED:
                return CountWindow(size), min(minimum, size)
            case SlidingWindowType.TIME_BASED:
                return TimeWindow(size, self.monotonic), minimum
            case unknown:
                assert_never(unknown)

    def _tell(self, event: BreakerEvent) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 (a listener only watches: the call is not its to break)
                _log.exception("a listener of the circuit breaker %s failed", self.name)
