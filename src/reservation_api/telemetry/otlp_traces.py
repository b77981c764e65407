"""Spans as OTLP has them, in protobuf; and the signal of traces, for the exporter."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1 import trace_pb2 as wire

from reservation_api.telemetry.otlp_export import Taken
from reservation_api.telemetry.otlp_values import SCOPE, attributes_of, resource_of
from reservation_api.telemetry.resource import resource_of_process
from reservation_api.telemetry.spans import Link, Span, SpanKind, Tracer

BATCH_SPANS: Final = 512
"""Some 200 KB before compression; as OpenTelemetry's own exporters have it."""
INTERVAL_SECONDS: Final = 1.0
"""Whoever looks for a trace has just made it."""
_IS_SAMPLED: Final = 1
_KINDS: Final = {
    SpanKind.INTERNAL: wire.Span.SPAN_KIND_INTERNAL,
    SpanKind.SERVER: wire.Span.SPAN_KIND_SERVER,
    SpanKind.CLIENT: wire.Span.SPAN_KIND_CLIENT,
    SpanKind.PRODUCER: wire.Span.SPAN_KIND_PRODUCER,
}


class TracesSignal:
    """Implements otlp_export.Signal: the spans that wait in a tracer."""

    name = "traces"
    items = "spans of traces"
    interval_seconds = INTERVAL_SECONDS

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def take(self) -> Taken | None:
        """Return the spans that have waited longest."""
        spans = self._tracer.take(BATCH_SPANS)
        return Taken(len(spans), partial(encode_spans, spans, resource_of_process())) if spans else None

    def waiting(self) -> int:
        """Return how many spans are still to be taken."""
        return self._tracer.waiting()

    def is_pressing(self) -> bool:
        """Tell whether there is a batch already: the queue has an end."""
        return self._tracer.waiting() >= BATCH_SPANS

    def rejected(self, body: bytes) -> tuple[int, str]:
        """Return how many spans an answer says were rejected, and why; raises DecodeError."""
        answer = ExportTraceServiceResponse.FromString(body).partial_success
        return answer.rejected_spans, answer.error_message


def encode_spans(spans: Sequence[Span], resource: Mapping[str, str]) -> bytes:
    """Return the body of a request to /v1/traces."""
    scope_spans = wire.ScopeSpans(scope=SCOPE, spans=map(_span, spans))
    resource_spans = wire.ResourceSpans(resource=resource_of(resource), scope_spans=[scope_spans])
    return ExportTraceServiceRequest(resource_spans=[resource_spans]).SerializeToString()


def _span(span: Span) -> wire.Span:
    found = wire.Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id or ""),
        trace_state=span.state,
        flags=_IS_SAMPLED,
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.began_at_nanoseconds,
        end_time_unix_nano=span.ended_at_nanoseconds,
        attributes=attributes_of(span.attributes),
        links=map(_link, span.links),
    )
    if span.error is not None:
        # Success is left unset: only an operator may call something OK.
        found.status.code = wire.Status.STATUS_CODE_ERROR
        found.attributes.extend(attributes_of({"error.type": span.error}))
    return found


def _link(link: Link) -> wire.Span.Link:
    trace_id, span_id = bytes.fromhex(link.trace_id), bytes.fromhex(link.span_id)
    return wire.Span.Link(trace_id=trace_id, span_id=span_id, flags=_IS_SAMPLED)
