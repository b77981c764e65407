"""What became of the latest calls: the last N of them, or those of the last N seconds. O(1) a call.

calls      ring   [. x . . x s]            a new call takes the place of the oldest
seconds    ring   [7 0][9 1][8 4]          one bucket a second; the oldest is taken off the totals
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Final, Protocol


class Outcome(IntEnum):
    """What became of a call; slow is apart from failed, a call can be both."""

    SUCCESS = 0
    FAILURE = 1
    SLOW_SUCCESS = 2
    SLOW_FAILURE = 3


_UNUSED: Final = len(Outcome)
"""A place of the ring that has not seen a call yet; counted like an outcome, which saves an `if` a call."""


class SlidingWindow(Protocol):
    """`counts[outcome]` is how many calls of the window ended so; there may be more entries after these."""

    counts: list[int]

    def record(self, outcome: int) -> None:
        """Take a call in, and let go of those that are too old."""

    def expire(self) -> None:
        """Let go of the calls that are too old."""


class CountWindow:
    """The last `size` calls."""

    __slots__ = ("_position", "_ring", "_size", "counts")

    def __init__(self, size: int) -> None:
        self._ring = bytearray([_UNUSED]) * size
        self._size = size
        self._position = 0
        self.counts = [0] * len(Outcome) + [size]

    def record(self, outcome: int) -> None:
        """Take a call in; the oldest goes when the ring is full."""
        ring, counts, position = self._ring, self.counts, self._position
        counts[ring[position]] -= 1
        ring[position] = outcome
        counts[outcome] += 1
        position += 1
        self._position = position if position < self._size else 0

    def expire(self) -> None:
        """Do nothing: calls get old by other calls only."""


class TimeWindow:
    """The calls of this second and the `size - 1` before it; seconds are whole ones of the monotonic clock.

    Also counts other things than outcomes: `kinds` is how many there are.
    """

    __slots__ = ("_bucket", "_buckets", "_monotonic", "_second", "_size", "counts")

    def __init__(self, size: int, monotonic: Callable[[], float], kinds: int = len(Outcome)) -> None:
        self._monotonic = monotonic
        self._size = size
        self._second = int(monotonic())
        self._buckets = [[0] * kinds for _ in range(size)]
        self._bucket = self._buckets[self._second % size]
        self.counts = [0] * kinds

    def record(self, outcome: int) -> None:
        """Count it in the bucket of this second."""
        second = int(self._monotonic())
        if second > self._second:
            self._advance_to(second)
        self._bucket[outcome] += 1
        self.counts[outcome] += 1

    def expire(self) -> None:
        """Take the buckets that are too old off the totals."""
        second = int(self._monotonic())
        if second > self._second:
            self._advance_to(second)

    def _advance_to(self, second: int) -> None:
        """Empty the bucket of each second that has begun: at most `size`, once a second."""
        last = min(second, self._second + self._size)
        for begun in range(self._second + 1, last + 1):
            bucket = self._buckets[begun % self._size]
            for kind, count in enumerate(bucket):
                self.counts[kind] -= count
                bucket[kind] = 0
        self._second = second
        self._bucket = self._buckets[second % self._size]
