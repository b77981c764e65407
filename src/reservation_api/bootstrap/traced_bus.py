"""Spans of events that are published.

Attributes are named as OpenTelemetry's semantic conventions have them (version 1.26). None of them holds what
a client has sent.
"""

from collections.abc import Sequence
from time import perf_counter

from reservation_api.ports.event_bus import EventBus, OutgoingEvent, PublishOutcome
from reservation_api.ports.request_context import new_span_id
from reservation_api.telemetry.spans import Attributes, Link, Span, SpanKind, Tracer


def traced_bus(bus: EventBus, tracer: Tracer | None, system: str, destination: str) -> EventBus:
    """Return a bus whose events are told of, if there is who tells."""
    if tracer is None:
        return bus
    return TracedEventBus(
        bus, tracer, {"messaging.system": system, "messaging.destination.name": destination}
    )


class TracedEventBus:
    """An EventBus that tells of each recorded event when it was published, as part of the request's trace.

    A batch has events of several requests: there is a span for each that is recorded, with that request for
    its parent, and linked to it, which is where the conventions have whoever made a message.
    """

    def __init__(self, bus: EventBus, tracer: Tracer, attributes: Attributes) -> None:
        self._bus = bus
        self._tracer = tracer
        self._attributes = attributes

    async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[PublishOutcome]:
        """Publish; see the port."""
        began = perf_counter()
        try:
            outcomes = await self._bus.publish(events)
        except BaseException as error:
            failed = type(error).__name__
            self._keep(began, events, [failed] * len(events))
            raise
        self._keep(began, events, [_error_of(outcome) for outcome in outcomes])
        return outcomes

    def _keep(self, began: float, events: Sequence[OutgoingEvent], errors: Sequence[str | None]) -> None:
        for event, error in zip(events, errors, strict=True):
            if event.span_id is None:
                continue
            self._tracer.keep(
                Span(
                    trace_id=event.trace_id,
                    span_id=new_span_id(),
                    parent_id=event.span_id,
                    name=f"publish {event.detail_type}",
                    kind=SpanKind.PRODUCER,
                    began=began,
                    attributes={
                        **self._attributes,
                        "messaging.operation.name": "publish",
                        "messaging.operation.type": "publish",
                        "messaging.message.id": event.id,
                        "messaging.batch.message_count": len(events),
                    },
                    links=[Link(event.trace_id, event.span_id)],
                    error=error,
                )
            )


def _error_of(outcome: PublishOutcome) -> str | None:
    if outcome is None:
        return None
    return "refused" if isinstance(outcome, str) else type(outcome).__name__
