"""Where use cases and adapters get the time from."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time of this process; other processes may differ by two seconds (design section 3)."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC, in whole milliseconds."""
        ...
