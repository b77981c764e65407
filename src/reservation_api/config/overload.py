"""The part of the tree that is about too much traffic: of all together, and of one subject."""

from collections.abc import Iterator

from reservation_api.config.tree import OverloadConfig, RateLimitConfig
from reservation_api.config.values import Values

_LOWEST, _HIGHEST = "APP_OVERLOAD_MIN_IN_FLIGHT", "APP_OVERLOAD_MAX_IN_FLIGHT"
_RATE, _BURST = "APP_RATE_LIMIT_REQUESTS_PER_SECOND", "APP_RATE_LIMIT_BURST"


def overload_of(values: Values) -> OverloadConfig:
    """Return when a process takes on no more."""
    return OverloadConfig(
        target_wait_seconds=values.get("APP_OVERLOAD_TARGET_WAIT_MILLISECONDS") / 1000,
        min_in_flight=values.get(_LOWEST),
        max_in_flight=values.get(_HIGHEST),
        reserved_share=values.get("APP_OVERLOAD_RESERVED_PERCENT") / 100,
    )


def rate_limit_of(values: Values) -> RateLimitConfig:
    """Return how often one subject may ask."""
    return RateLimitConfig(values.get(_RATE), values.get(_BURST))


def overload_faults(values: Values) -> Iterator[str]:
    """Find bounds in the wrong order, and a depth of what is switched off."""
    lowest, highest = values.get(_LOWEST), values.get(_HIGHEST)
    if lowest is not None and highest is not None and lowest > highest:
        yield f"{_LOWEST} ({lowest}) must not be more than {_HIGHEST} ({highest})"
    if values.get(_RATE) == 0 and values.has(_BURST):
        yield f"{_BURST} needs {_RATE} above 0"
