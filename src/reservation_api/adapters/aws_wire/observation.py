"""What can be seen of a client from outside."""

from dataclasses import dataclass


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
