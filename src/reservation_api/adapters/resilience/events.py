"""What a circuit breaker tells its listeners, and what it says of itself when asked."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from reservation_api.adapters.resilience.settings import BreakerState

UNKNOWN_RATE: Final = -1.0
"""Too few calls for a rate; Resilience4j's own number, which its dashboards know."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BreakerMetrics:
    """The window of the present state, by Resilience4j's names; rates are percentages or UNKNOWN_RATE."""

    state: BreakerState
    failure_rate: float
    slow_call_rate: float
    buffered_calls: int
    failed_calls: int
    slow_calls: int
    slow_failed_calls: int
    not_permitted_calls: int
    """Since the start of the process, so that it can be a counter."""


@dataclass(frozen=True, slots=True)
class StateTransition:
    """The breaker went from one state to another; `metrics` are those that it had before."""

    breaker: str
    from_state: BreakerState
    to_state: BreakerState
    metrics: BreakerMetrics


@dataclass(frozen=True, slots=True)
class CallNotPermitted:
    """A call was refused. As many as there are requests: count them, do not log them."""

    breaker: str
    state: BreakerState


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A call failed; `error` if whoever made the call told."""

    breaker: str
    duration_seconds: float
    error: BaseException | None


BreakerEvent = StateTransition | CallNotPermitted | CallFailed
BreakerListener = Callable[[BreakerEvent], None]
"""Called inside the call that caused the event, so it must be quick; what it raises is logged and dropped."""


def log_transitions(event: BreakerEvent) -> None:
    """Log each change of state with the numbers that led to it: a listener for every breaker."""
    if not isinstance(event, StateTransition):
        return
    metrics = event.metrics
    fields = {
        "breaker": event.breaker,
        "from_state": event.from_state.value,
        "to_state": event.to_state.value,
        "failure_rate": metrics.failure_rate,
        "slow_call_rate": metrics.slow_call_rate,
        "buffered_calls": metrics.buffered_calls,
        "not_permitted_calls": metrics.not_permitted_calls,
    }
    level = logging.INFO if event.to_state is BreakerState.CLOSED else logging.WARNING
    _log.log(
        level,
        "circuit breaker %s: %s to %s",
        event.breaker,
        event.from_state.value,
        event.to_state.value,
        extra={"fields": fields},
    )
