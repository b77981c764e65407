"""Spans: what was done for a request, from when to when, as part of what; and which traces are recorded.

Nothing here knows what is being done now: who opens a span says which trace it belongs to.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from time import perf_counter
from typing import Final

from reservation_api.telemetry.instruments import Counter

MAX_WAITING_SPANS: Final = 8_192
"""Some 8 MB: at 7,000 requests a second, 1 percent of them recorded, half a minute without a collector."""

_LOW_DIGITS: Final = 16
_LOW: Final = slice(-_LOW_DIGITS, None)
"""Of a trace id, which is hexadecimal in lower case: they decide."""
_ABOVE_ALL: Final = "g"

_DRIFT_NANOSECONDS: Final = 5_000_000
"""The wall clock has milliseconds; it is looked at again when both clocks have gone so far apart."""

Value = str | int | Sequence[str]
Attributes = Mapping[str, Value]


class SpanKind(Enum):
    """What a span is to those around it."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"


@dataclass(frozen=True, slots=True)
class Link:
    """Another span that this one has to do with."""

    trace_id: str
    span_id: str


@dataclass(slots=True, kw_only=True)
class Span:
    """One thing that was done, and is over."""

    trace_id: str
    span_id: str
    parent_id: str | None
    state: str = ""
    name: str
    kind: SpanKind
    began: float
    """By perf_counter."""
    attributes: Attributes = field(default_factory=dict)
    links: Sequence[Link] = ()
    error: str | None = None
    """Why it counts as failed; None: it does not."""
    began_at_nanoseconds: int = 0
    """Since 1970; this and the next are set when it is kept."""
    ended_at_nanoseconds: int = 0


class Tracer:
    """Says which traces are recorded, and keeps their spans until they are sent: so many and no more."""

    def __init__(self, ratio: float, now: Callable[[], datetime], dropped: Counter) -> None:
        """Record the given part of the traces that begin here: 0 none, 1 all."""
        bound = round(ratio * 16**_LOW_DIGITS)
        self._bound = f"{bound:0{_LOW_DIGITS}x}" if bound < 16**_LOW_DIGITS else _ABOVE_ALL
        """As text: digits of the same number and case compare as the numbers do, without being read."""
        self._now = now
        self._offset = 0
        """Nanoseconds from perf_counter's beginning to 1970's: one measure for all spans of a trace."""
        self._dropped = dropped
        self._waiting: deque[Span] = deque()

    def samples(self, trace_id: str) -> bool:
        """Decide on a trace that begins here, by its id: whoever has the same ratio decides alike.

        As OpenTelemetry's TraceIdRatioBased does it.
        """
        return trace_id[_LOW] < self._bound

    def keep(self, span: Span) -> None:
        """Take a span that has just ended; one that finds no room is counted and gone."""
        if len(self._waiting) >= MAX_WAITING_SPANS:
            self._dropped.inc()
            return
        ended = perf_counter()
        offset = round((self._now().timestamp() - ended) * 1e9)
        if abs(offset - self._offset) > _DRIFT_NANOSECONDS:
            self._offset = offset
        span.began_at_nanoseconds = self._offset + round(span.began * 1e9)
        span.ended_at_nanoseconds = self._offset + round(ended * 1e9)
        self._waiting.append(span)

    def waiting(self) -> int:
        """Return how many spans wait to be sent."""
        return len(self._waiting)

    def take(self, limit: int) -> list[Span]:
        """Return up to so many spans, the oldest first, and forget them."""
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
