"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    def __init__(self, start: datetime = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(milliseconds=round(seconds * 1000))


class SkewedClock:
    """Another process's view of the same time, off by a constant."""

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self._clock = clock
        self._offset = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self._clock.now() + self._offset
