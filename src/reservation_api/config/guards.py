"""Settings of what guards calls of another service, by Resilience4j's names, the unit at the end.

Its defaults or the original's, unless a meaning says why.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from reservation_api.config.kinds import Choice, Kind, Number, WholeNumber
from reservation_api.config.setting import Setting
from reservation_api.config.tree import (
    BulkheadConfig,
    CircuitBreakerConfig,
    GuardConfig,
    RetryBudgetConfig,
)
from reservation_api.config.values import Values

TRUE = "true"
_TIME_LIMIT = "TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS"
_BREAKER = "CIRCUITBREAKER"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A service whose calls are guarded."""

    prefix: str
    subject: str
    time_limit_milliseconds: int
    max_concurrent_calls: int
    explains: bool = False
    """The first one in the README says what the settings mean; the others refer to it."""
    why_so_many: str = ""


INVENTORY_GUARD = Guarded("APP_INVENTORY_", "the inventory", 250, 500, explains=True)
PAYMENT_GUARD = Guarded("APP_PAYMENT_", "the payment service", 250, 500)
STORE_GUARD = Guarded(
    "APP_STORE_",
    "DynamoDB",
    1_000,
    1_000,
    why_so_many="; a hold has one in hand while it asks the inventory: keep it above the inventory's number,"
    " or a slow inventory leaves nothing to those who only read",
)
EVENT_BUS_GUARD = Guarded("APP_EVENTBUS_", "EventBridge", 3_000, 64)
"""A batch of ten events has no client that waits for it."""


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    kind: Kind
    meaning: str
    default: str


_ROWS = (
    _Row(
        f"{_BREAKER}_FAILURE_RATE_THRESHOLD",
        Number(1, 100),
        "At this percentage of unanswered calls it is left alone for a while: holds get 503 at once.",
        "50",
    ),
    _Row(
        f"{_BREAKER}_SLOW_CALL_RATE_THRESHOLD",
        Number(1, 100),
        "The same at this percentage of slow calls.",
        "100",
    ),
    _Row(
        f"{_BREAKER}_SLOW_CALL_DURATION_THRESHOLD_MILLISECONDS",
        WholeNumber(1, 600_000),
        "What a slow call is; above the time limit none is: an inventory that answers late still sells.",
        "60000",
    ),
    _Row(
        f"{_BREAKER}_SLIDING_WINDOW_TYPE",
        Choice(("TIME_BASED", "COUNT_BASED")),
        "Whether the last seconds count or the last calls; a sale makes 100 calls in a tenth of a second,"
        " too short to judge by.",
        "TIME_BASED",
    ),
    _Row(
        f"{_BREAKER}_SLIDING_WINDOW_SIZE",
        WholeNumber(1, 10_000),
        "How many seconds or calls; 10 seconds outlast a hiccup and are soon over.",
        "10",
    ),
    _Row(f"{_BREAKER}_MINIMUM_NUMBER_OF_CALLS", WholeNumber(1, 1_000_000), "Fewer are not judged by.", "100"),
    _Row(
        f"{_BREAKER}_WAIT_DURATION_IN_OPEN_STATE_SECONDS",
        Number(0.1, 1_000),
        "How long it is left alone; shorter than the grace of holds.",
        "30",
    ),
    _Row(
        f"{_BREAKER}_PERMITTED_NUMBER_OF_CALLS_IN_HALF_OPEN_STATE",
        WholeNumber(1, 10_000),
        "How many calls try it then; they decide.",
        "10",
    ),
    _Row(
        f"{_BREAKER}_MAX_WAIT_DURATION_IN_HALF_OPEN_STATE_SECONDS",
        Number(0, 1_000),
        "How long they may take altogether, or it is left alone again; 0: as long as they take.",
        "0",
    ),
    _Row(
        f"{_BREAKER}_AUTOMATIC_TRANSITION_FROM_OPEN_TO_HALF_OPEN_ENABLED",
        Choice(("true", "false")),
        "Whether the state changes when somebody looks, not only when a call comes.",
        "false",
    ),
    _Row(
        "BULKHEAD_MAX_WAIT_DURATION_MILLISECONDS",
        WholeNumber(0, 10_000),
        "How long a call may wait for another to end; 0: it gets 503 at once.",
        "0",
    ),
    _Row(
        "RETRY_TOKEN_RATIO",
        Number(0, 1),
        "Second tries for each call, within the window: 0.2 is one for five.",
        "0.2",
    ),
    _Row(
        "RETRY_MIN_RETRIES_PER_SECOND",
        WholeNumber(0, 10_000),
        "Second tries allowed however few calls there are.",
        "10",
    ),
    _Row("RETRY_WINDOW_SECONDS", WholeNumber(1, 3_600), "Over how many seconds tries are counted.", "10"),
)


def guard_settings(guarded: Guarded) -> Iterator[Setting]:
    """Yield the settings of one guarded service."""
    yield Setting(
        guarded.prefix + _TIME_LIMIT,
        WholeNumber(10, 10_000),
        f"How long {guarded.subject} may take to answer, further tries included.",
        str(guarded.time_limit_milliseconds),
    )
    yield Setting(
        f"{guarded.prefix}BULKHEAD_MAX_CONCURRENT_CALLS",
        WholeNumber(1, 10_000),
        _why_so_many(guarded),
        str(guarded.max_concurrent_calls),
    )
    for row in _ROWS:
        meaning = row.meaning if guarded.explains else f"As {INVENTORY_GUARD.prefix}…, for {guarded.subject}."
        yield Setting(guarded.prefix + row.name, row.kind, meaning, row.default)


def _why_so_many(guarded: Guarded) -> str:
    if not guarded.explains:
        return f"Calls of {guarded.subject} under way at once from one process{guarded.why_so_many}."
    return (
        "Calls under way at once from one process: 2,000 a second at 250 ms each, more than a core makes, and"
        " half the requests that a process takes in."
    )


def time_limit_of(values: Values, guarded: Guarded) -> float:
    """Return the time limit in seconds."""
    milliseconds: int = values.get(guarded.prefix + _TIME_LIMIT)
    return milliseconds / 1000


def guard_of(values: Values, guarded: Guarded) -> GuardConfig:
    """Return breaker, bulkhead and retry budget of one guarded service."""
    prefix = guarded.prefix
    return GuardConfig(
        circuit_breaker=_circuit_breaker_of(values, f"{prefix}{_BREAKER}_"),
        bulkhead=BulkheadConfig(
            max_concurrent_calls=values.get(f"{prefix}BULKHEAD_MAX_CONCURRENT_CALLS"),
            max_wait_duration_seconds=values.get(f"{prefix}BULKHEAD_MAX_WAIT_DURATION_MILLISECONDS") / 1000,
        ),
        retry=RetryBudgetConfig(
            token_ratio=values.get(f"{prefix}RETRY_TOKEN_RATIO"),
            min_retries_per_second=values.get(f"{prefix}RETRY_MIN_RETRIES_PER_SECOND"),
            window_seconds=values.get(f"{prefix}RETRY_WINDOW_SECONDS"),
        ),
    )


def _circuit_breaker_of(values: Values, prefix: str) -> CircuitBreakerConfig:
    slow_milliseconds = values.get(f"{prefix}SLOW_CALL_DURATION_THRESHOLD_MILLISECONDS")
    automatic = values.get(f"{prefix}AUTOMATIC_TRANSITION_FROM_OPEN_TO_HALF_OPEN_ENABLED")
    return CircuitBreakerConfig(
        failure_rate_threshold=values.get(f"{prefix}FAILURE_RATE_THRESHOLD"),
        slow_call_rate_threshold=values.get(f"{prefix}SLOW_CALL_RATE_THRESHOLD"),
        slow_call_duration_threshold_seconds=slow_milliseconds / 1000,
        sliding_window_type=values.get(f"{prefix}SLIDING_WINDOW_TYPE"),
        sliding_window_size=values.get(f"{prefix}SLIDING_WINDOW_SIZE"),
        minimum_number_of_calls=values.get(f"{prefix}MINIMUM_NUMBER_OF_CALLS"),
        wait_duration_in_open_state_seconds=values.get(f"{prefix}WAIT_DURATION_IN_OPEN_STATE_SECONDS"),
        permitted_number_of_calls_in_half_open_state=values.get(
            f"{prefix}PERMITTED_NUMBER_OF_CALLS_IN_HALF_OPEN_STATE"
        ),
        max_wait_duration_in_half_open_state_seconds=values.get(
            f"{prefix}MAX_WAIT_DURATION_IN_HALF_OPEN_STATE_SECONDS"
        ),
        automatic_transition_from_open_to_half_open_enabled=automatic == TRUE,
    )
