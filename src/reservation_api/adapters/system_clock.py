"""The machine's clock."""

from datetime import UTC, datetime

from reservation_api.domain.values import whole_milliseconds


class SystemClock:
    """Wall-clock time; the machine is expected to keep it by NTP."""

    def now(self) -> datetime:
        """Return the present instant."""
        return whole_milliseconds(datetime.now(UTC))
