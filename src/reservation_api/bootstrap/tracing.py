"""Where spans come from: calls that the parts of a process make, for requests whose trace is recorded.

For all others such a call costs a look at the request's context, and nothing is made.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

from reservation_api.config.tree import TelemetryConfig
from reservation_api.ports.clock import Clock
from reservation_api.ports.request_context import Trace, part_of_request, present_request
from reservation_api.telemetry import names
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.spans import Attributes, Span, SpanKind, Tracer

T = TypeVar("T")
Call = Coroutine[Any, Any, T]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call."""

    error: str | None = None
    """The kind of failure; None: it did not fail."""
    attributes: Attributes = field(default_factory=dict)


Judge = Callable[[BaseException | None], Outcome]
"""Says what came of a call that raised this, or (None) was answered."""


def open_tracer(config: TelemetryConfig, metrics: Metrics, clock: Clock) -> Tracer | None:
    """Return what records traces, if anything does."""
    if config.traces is None:
        return None
    return Tracer(config.traces.ratio, clock.now, metrics.counter(names.TELEMETRY_DROPPED, "traces"))


def by_its_class(error: BaseException | None) -> Outcome:
    """Call a failure by its class."""
    return Outcome(None if error is None else type(error).__name__)


class Spans:
    """Makes a span of each call of one kind that is made for a recorded request."""

    def __init__(self, tracer: Tracer, kind: SpanKind, judge: Judge = by_its_class, prefix: str = "") -> None:
        self._tracer = tracer
        self._prefix = prefix
        self._kind = kind
        self._judge = judge

    def around(
        self, call: Call[T], name: str, describe: Callable[..., Attributes], *about: object
    ) -> Call[T]:
        """Return the call itself, or one that is a span: what is done in it is part of that span.

        `describe(*about)` has its attributes.
        """
        present = present_request()
        if present is None or not present.trace.is_sampled:
            return call
        return self.recorded(call, name, describe(*about), present.trace)

    async def recorded(self, call: Call[T], name: str, attributes: Attributes, present: Trace) -> T:
        """Make the call, as a span of a trace that is recorded: for who has looked at that."""
        began, trace = perf_counter(), present.part()
        outcome = Outcome()
        try:
            with part_of_request(trace):
                answer = await call
            outcome = self._judge(None)
        except BaseException as error:
            outcome = self._judge(error)
            raise
        finally:
            self._tracer.keep(
                Span(
                    trace_id=trace.trace_id,
                    span_id=trace.span_id or "",
                    parent_id=trace.parent_id,
                    state=trace.state,
                    name=self._prefix + name,
                    kind=self._kind,
                    began=began,
                    attributes={**attributes, **outcome.attributes},
                    error=outcome.error,
                )
            )
        return answer
