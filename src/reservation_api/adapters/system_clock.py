"""The machine's clock."""

from datetime import UTC, datetime
from time import time_ns


class SystemClock:
    """Wall-clock time; the machine is expected to keep it by NTP."""

    def now(self) -> datetime:
        """Return the present instant, cut to whole milliseconds as it is stored."""
        return datetime.fromtimestamp(time_ns() // 1_000_000 / 1000, UTC)
