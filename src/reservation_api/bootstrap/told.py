"""What adapters say of a setting, said as a fault of the configuration."""

from collections.abc import Callable
from typing import TypeVar

from reservation_api.config.tree import ConfigError

T = TypeVar("T")


def told(open_it: Callable[[], T]) -> T:
    """Raise ConfigError where an adapter says ValueError: its sentences are for the operator."""
    try:
        return open_it()
    except ValueError as error:
        raise ConfigError([str(error)]) from error
