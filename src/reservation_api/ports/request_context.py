"""The request that is being served, as calls for it tell it: its trace, and how long its caller waits."""

from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Final


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace that a request belongs to (W3C Trace Context)."""

    trace_id: str
    """32 hexadecimal digits, not all zero."""
    is_sampled: bool = False
    """Somebody before us records it."""


class RequestContext:
    """Stands around all that is done for a request: `with RequestContext(trace, seconds):`.

    Tasks that are begun in the block see it too; one that outlives the block has no deadline any more.
    """

    __slots__ = ("_outer", "ends_at", "trace")

    def __init__(self, trace: Trace, seconds: float | None = None) -> None:
        """Take how long the caller still waits for the answer; None: it did not say."""
        self.trace = trace
        self.ends_at = None if seconds is None else monotonic() + seconds

    def __enter__(self) -> None:
        self._outer = _PRESENT.set(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ends_at = None
        _PRESENT.reset(self._outer)


_PRESENT: Final[ContextVar[RequestContext | None]] = ContextVar("_PRESENT", default=None)


def present_trace() -> Trace | None:
    """Return the trace of the request that this task serves; None: it serves none."""
    present = _PRESENT.get()
    return None if present is None else present.trace


def present_seconds_left() -> float | None:
    """Return how long the caller still waits, not above 0 when it is over; None: there is no deadline."""
    present = _PRESENT.get()
    return None if present is None or present.ends_at is None else present.ends_at - monotonic()
