"""Every metric there is: name, unit, labels and meaning, in this one place.

The first four are the document's (section 4.1), to the letter. What is `essential` goes to CloudWatch
(section 7.3: "only essential business metrics"); all goes to Prometheus and OTLP. Prometheus has rules of its
own for names (`promtool check metrics`), so each has a second one.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """How numbers of a metric add up."""

    COUNTER = "counter"
    """Only grows; the sum over processes counts."""
    GAUGE = "gauge"
    """Stands as it is; the sum over processes counts."""
    PEAK = "peak"
    """A gauge of which the greatest over processes counts: an age, a lag."""
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric, and what is told of it; as a key it is itself, since its fields take long to hash."""

    name: str
    """For CloudWatch, OTLP and the actuator."""
    prometheus: str
    """As Prometheus wants names, in seconds where others get milliseconds; counters get `_total` there."""
    kind: Kind
    unit: str
    """UCUM, as OTLP has it: `ms`, `s`, `1`."""
    description: str
    labels: tuple[str, ...] = ()
    essential: bool = False


RESERVATION_STATUS_COUNT: Final = Metric(
    "ReservationStatusCount",
    "reservation_status_count",
    Kind.COUNTER,
    "1",
    "Reservations moved to a status, counted once, by the process that committed the move.",
    ("status",),
    essential=True,
)
API_LATENCY: Final = Metric(
    "APILatency",
    "api_latency_seconds",
    Kind.HISTOGRAM,
    "ms",
    "From a request's arrival to its answer.",
    ("endpoint",),
    essential=True,
)
GRPC_CALL_DURATION: Final = Metric(
    "gRPCCallDuration",
    "grpc_call_duration_seconds",
    Kind.HISTOGRAM,
    "ms",
    "Calls of the inventory and the payment service, a second try included.",
    ("method",),
    essential=True,
)
DYNAMODB_OPERATION_LATENCY: Final = Metric(
    "DynamoDBOperationLatency",
    "dynamodb_operation_latency_seconds",
    Kind.HISTOGRAM,
    "ms",
    "Calls of DynamoDB, further tries included; a transaction counts for the table of its first item.",
    ("table", "operation"),
    essential=True,
)
HTTP_REQUESTS: Final = Metric(
    "HTTPRequests",
    "http_requests",
    Kind.COUNTER,
    "1",
    "Requests answered over HTTP, but for the actuator's.",
    essential=True,
)
HTTP_ERRORS: Final = Metric(
    "HTTPErrors", "http_errors", Kind.COUNTER, "1", "Those of them answered with 5xx.", essential=True
)
OUTBOX_OLDEST_PENDING_AGE: Final = Metric(
    "OutboxOldestPendingAge",
    "outbox_oldest_pending_age_seconds",
    Kind.PEAK,
    "s",
    "Age of the oldest outbox row that is still to be done, as a worker saw it last.",
    essential=True,
)
OUTBOX_FAILED: Final = Metric(
    "OutboxFailed",
    "outbox_failed",
    Kind.PEAK,
    "1",
    "Outbox rows that were given up and wait for a person, as a worker saw them last; counted up to 100.",
)
RELAY_DELIVERIES: Final = Metric(
    "RelayDeliveries",
    "relay_deliveries",
    Kind.COUNTER,
    "1",
    "Outbox rows tried, by what became of them: done, refused, outage.",
    ("type", "outcome"),
)
EXPIRY_LAG: Final = Metric(
    "ExpiryLag", "expiry_lag_seconds", Kind.HISTOGRAM, "ms", "From the end of a hold to its expiry's commit."
)
REQUESTS_IN_FLIGHT: Final = Metric(
    "RequestsInFlight", "requests_in_flight", Kind.GAUGE, "1", "Requests under way."
)
REQUESTS_SHED: Final = Metric(
    "RequestsShed",
    "requests_shed",
    Kind.COUNTER,
    "1",
    "Requests refused before anything was tried: overload, overload_urgent (confirm, cancel), rate_limit.",
    ("reason",),
)
CONCURRENCY_LIMIT: Final = Metric(
    "ConcurrencyLimit",
    "concurrency_limit",
    Kind.GAUGE,
    "1",
    "Requests that may be under way at once, as it stands now.",
)
IDEMPOTENT_REPLAYS: Final = Metric(
    "IdempotentReplays",
    "idempotent_replays",
    Kind.COUNTER,
    "1",
    "Commands answered from the record of their first answer.",
)
CALL_RETRIES: Final = Metric(
    "CallRetries",
    "call_retries",
    Kind.COUNTER,
    "1",
    "Calls of another service that were made again.",
    ("peer",),
)
CALLS_THROTTLED: Final = Metric(
    "CallsThrottled",
    "calls_throttled",
    Kind.COUNTER,
    "1",
    "Tries of a call that another service asked to make later, those that went well in the end included.",
    ("peer",),
)
CALLS_WAITING: Final = Metric(
    "CallsWaiting",
    "calls_waiting",
    Kind.GAUGE,
    "1",
    "Calls of another service that wait for a connection.",
    ("peer",),
)
EVENT_LOOP_LAG: Final = Metric(
    "EventLoopLag",
    "event_loop_lag_seconds",
    Kind.PEAK,
    "ms",
    "How late the event loop was at most, in the last ten seconds.",
)
TELEMETRY_DROPPED: Final = Metric(
    "TelemetryDropped",
    "telemetry_dropped",
    Kind.COUNTER,
    "1",
    "Pieces of telemetry given up, since nobody took them in time.",
    ("signal",),
)
CIRCUIT_BREAKER_STATE: Final = Metric(
    "resilience4j_circuitbreaker_state",
    "resilience4j_circuitbreaker_state",
    Kind.GAUGE,
    "1",
    "The states of the circuit breaker.",
    ("name", "state"),
)
"""As Resilience4j has it, so that its dashboards fit: 1 for the state a breaker is in, 0 for the others."""

METRICS: Final[tuple[Metric, ...]] = (
    RESERVATION_STATUS_COUNT,
    API_LATENCY,
    GRPC_CALL_DURATION,
    DYNAMODB_OPERATION_LATENCY,
    HTTP_REQUESTS,
    HTTP_ERRORS,
    OUTBOX_OLDEST_PENDING_AGE,
    OUTBOX_FAILED,
    RELAY_DELIVERIES,
    EXPIRY_LAG,
    REQUESTS_IN_FLIGHT,
    REQUESTS_SHED,
    CONCURRENCY_LIMIT,
    IDEMPOTENT_REPLAYS,
    CALL_RETRIES,
    CALLS_THROTTLED,
    CALLS_WAITING,
    EVENT_LOOP_LAG,
    TELEMETRY_DROPPED,
    CIRCUIT_BREAKER_STATE,
)
