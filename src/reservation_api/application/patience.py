"""How long to wait for what AWS does by itself, and how often to look."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

POLL_SECONDS = 2.0
"""Replays and backups take from seconds to minutes."""


@dataclass(frozen=True, slots=True)
class Patience:
    """A wait with an end."""

    pause: Callable[[float], None]
    seconds: float

    def looks(self) -> Iterator[None]:
        """Yield when it is time to look, from now on until the time is over."""
        yield
        for _ in range(round(self.seconds / POLL_SECONDS)):
            self.pause(POLL_SECONDS)
            yield
