"""What adapters say of a setting, said as a fault of the configuration."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from reservation_api.config.tree import ConfigError

T = TypeVar("T")


def told(open_it: Callable[[], T]) -> T:
    """Raise ConfigError where an adapter says ValueError: its sentences are for the operator."""
    try:
        return open_it()
    except ValueError as error:
        raise ConfigError([str(error)]) from error


def read_pem(file: Path) -> bytes:
    """Return a file of certificates or a key; raises ConfigError if it can not be read or holds none."""
    try:
        pem = file.read_bytes()
    except OSError as error:
        raise ConfigError([f"{file} can not be read: {error.strerror}"]) from error
    if b"-----BEGIN " not in pem:
        raise ConfigError([f"{file} holds no PEM"])
    return pem
