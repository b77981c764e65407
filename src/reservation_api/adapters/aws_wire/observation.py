"""What can be seen of a client from outside."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class AttemptOutcome(StrEnum):
    """How one try of a call ended."""

    ANSWERED = "answered"
    REFUSED = "refused"
    THROTTLED = "throttled"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


Observer = Callable[[str, float, AttemptOutcome], None]
"""Told of every try when it is over: operation, seconds, outcome. It must neither wait nor raise."""


@dataclass(frozen=True, slots=True)
class AwsWireMetrics:
    """How a client stands; what is counted, is counted since it was made."""

    calls_in_flight: int
    """Waits and further tries included."""
    calls_waiting: int
    """For a connection."""
    waited_seconds: float
    """For a connection: all calls together, those that are over."""
    retries: int
    throttles: int
    """Tries that the service asked to make later, those of a transaction's single items included."""
    connections_open: int
    connections_opened: int
    """Counted."""
