"""The request that is being served, as calls for it tell it: its trace, and how long its caller waits."""

import random
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from types import TracebackType
from typing import Final, NamedTuple


def new_span_id() -> str:
    """Return a random span id, 16 hexadecimal digits, not all zero; a name, not a secret."""
    return f"{random.getrandbits(64) or 1:016x}"


class Trace(NamedTuple):
    """The trace that a request belongs to, and where in it we are (W3C Trace Context)."""

    trace_id: str
    """32 hexadecimal digits, not all zero."""
    is_sampled: bool = False
    """It is recorded: somebody before us said so, or the lot has fallen on it here."""
    span_id: str | None = None
    """The span that what is done now is part of, 16 hexadecimal digits; None: none is recorded."""
    parent_id: str | None = None
    """The span of the caller that this one is part of."""
    state: str = ""
    """`tracestate` as it came: what others on the way want to be passed on."""

    @property
    def traceparent(self) -> str:
        """Name the trace to others; as part of a new span, which nobody records, if there is no other."""
        return f"00-{self.trace_id}-{self.span_id or new_span_id()}-{self.is_sampled:02x}"

    def part(self) -> "Trace":
        """Return the place of a new span within the present one."""
        return self._replace(span_id=new_span_id(), parent_id=self.span_id)


class RequestContext:
    """Stands around all that is done for a request: `with RequestContext(trace, seconds):`.

    Tasks that are begun in the block see it too; one that outlives the block has no deadline any more.
    """

    __slots__ = ("_outer", "ends_at", "request", "trace")

    def __init__(self, trace: Trace, seconds: float | None = None) -> None:
        """Take how long the caller still waits for the answer; None: it did not say."""
        self.trace = trace
        self.ends_at = None if seconds is None else monotonic() + seconds
        self.request: RequestContext | None = None
        """The request that this is a part of, whose deadline counts; None: this is a request."""

    def __enter__(self) -> None:
        self._outer = _PRESENT.set(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ends_at = None
        _PRESENT.reset(self._outer)


_PRESENT: Final[ContextVar[RequestContext | None]] = ContextVar("_PRESENT", default=None)


present_request: Final[Callable[[], RequestContext | None]] = _PRESENT.get
"""Return the request that this task serves, or the part of it; None: it serves none."""


def present_trace() -> Trace | None:
    """Return the trace of the request that this task serves; None: it serves none."""
    present = _PRESENT.get()
    return None if present is None else present.trace


def present_seconds_left() -> float | None:
    """Return how long the caller still waits, not above 0 when it is over; None: there is no deadline."""
    present = _PRESENT.get()
    if present is not None and present.request is not None:
        present = present.request
    return None if present is None or present.ends_at is None else present.ends_at - monotonic()


def part_of_request(trace: Trace) -> RequestContext:
    """Return a block within the present request: what is done in it is part of another span."""
    inner, present = RequestContext(trace), _PRESENT.get()
    if present is not None:
        inner.request = present.request or present
    return inner
