"""How patiently, how often and how widely a service is called."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

_KIBIBYTE = 1024
_MEBIBYTE = 1024 * _KIBIBYTE
_MOST_ATTEMPTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsWireSettings:
    """The bounds of one client; raises ValueError naming every value that makes no sense."""

    connect_seconds: float = 1.0
    """Name, TCP and TLS together; in one region they take some 10 ms."""
    read_seconds: float = 1.0
    """From the request to the end of its reply: far beyond DynamoDB's slowest thousandth. A long poll of SQS
    needs its own 20 s more."""
    total_seconds: float = 3.0
    """For all tries of a call, with their waits: an HTTP client is still there to hear of it."""
    max_attempts: int = 3
    """As the AWS SDKs do in their standard mode; at most ten."""
    backoff_base_seconds: float = 0.05
    """The longest wait before the second try, doubled for each one after it; jitter takes 0 to all of it."""
    backoff_cap_seconds: float = 0.5
    """More would leave no time for the try itself."""
    pool_size: int = 128
    """Connections; at 5 ms a call that is 25,000 calls a second, more than one process has CPU for."""
    max_waiting_calls: int = 4096
    """For a connection; beyond it nobody waits: they would all be let down when their time is over."""
    max_age_seconds: float = 600.0
    """A connection is replaced then, so that a change of the service's addresses is followed."""
    max_idle_seconds: float = 20.0
    """Below every keep-alive of AWS: a request must not cross with the service's own good-bye."""
    max_reply_bytes: int = 16 * _MEBIBYTE
    """With its head. The largest reply asked for, a BatchGetItem, has 16 MB; pages of a Query have 1 MB."""

    def __post_init__(self) -> None:
        listed = "; ".join(_faults(self))
        if listed:
            raise ValueError(listed)


def _faults(settings: AwsWireSettings) -> Iterator[str]:
    if settings.max_attempts > _MOST_ATTEMPTS:
        yield f"max_attempts must be at most {_MOST_ATTEMPTS}"
    for name, least in (
        ("max_attempts", 1),
        ("pool_size", 1),
        ("max_waiting_calls", 0),
        ("max_reply_bytes", _KIBIBYTE),
        ("backoff_base_seconds", 0),
        ("backoff_cap_seconds", 0),
    ):
        value = getattr(settings, name)
        if not (value >= least and isfinite(value)):
            yield f"{name} must be at least {least}"
    for name in ("connect_seconds", "read_seconds", "total_seconds", "max_age_seconds", "max_idle_seconds"):
        value = getattr(settings, name)
        if not (value > 0 and isfinite(value)):
            yield f"{name} must be above 0"
