"""A circuit breaker and a bulkhead for a service that is called, as the settings have them."""

from dataclasses import asdict
from time import monotonic

from reservation_api.adapters.resilience.admission import Admission
from reservation_api.adapters.resilience.bulkhead import Bulkhead
from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.events import log_transitions
from reservation_api.adapters.resilience.settings import (
    BulkheadSettings,
    CircuitBreakerSettings,
    SlidingWindowType,
)
from reservation_api.config.tree import GuardConfig


def open_admission(name: str, config: GuardConfig) -> Admission:
    """Return what guards one service of this process; its breaker tells the log what becomes of it."""
    fields = asdict(config.circuit_breaker)
    window_type = SlidingWindowType(fields.pop("sliding_window_type"))
    breaker = CircuitBreaker(
        name, CircuitBreakerSettings(sliding_window_type=window_type, **fields), monotonic
    )
    breaker.subscribe(log_transitions)
    return Admission(breaker, Bulkhead(name, BulkheadSettings(**asdict(config.bulkhead))))
