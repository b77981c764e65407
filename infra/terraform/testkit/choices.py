"""Attributes of which one excludes the other; what is not yet known is given the benefit of the doubt."""

from collections.abc import Iterator, Mapping
from typing import Any

from testkit.kind import Fault
from testkit.values import Unknown


def _written(config: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    return [name for name in names if _is_written(config[name])]


def _is_written(value: Any) -> bool:
    return value is not None and not isinstance(value, Unknown) and value != []


def at_most_one(config: Mapping[str, Any], *names: str) -> Iterator[Fault]:
    """Yield a fault if two of these are set."""
    written = _written(config, names)
    if len(written) > 1:
        yield Fault(f"{written[0]} conflicts with {' and '.join(written[1:])}", written[0])


def at_least_one(config: Mapping[str, Any], *names: str) -> Iterator[Fault]:
    """Yield a fault if none of these is set."""
    unknown = any(isinstance(config[name], Unknown) for name in names)
    if not unknown and not _written(config, names):
        yield Fault(f"one of {', '.join(names)} must be specified", names[0])


def exactly_one(config: Mapping[str, Any], *names: str) -> Iterator[Fault]:
    """Yield a fault unless one of these is set, and no other."""
    yield from at_most_one(config, *names)
    yield from at_least_one(config, *names)


def within(config: Mapping[str, Any], name: str, low: int, high: int) -> Iterator[Fault]:
    """Yield a fault for a number that is out of AWS's range."""
    value = config[name]
    if isinstance(value, int | float) and not isinstance(value, bool) and not low <= value <= high:
        yield Fault(f"{name} must be from {low} to {high}", name)
