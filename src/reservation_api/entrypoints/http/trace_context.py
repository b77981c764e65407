"""The trace a request belongs to (W3C Trace Context), and the span that tells of the request."""

import re
from dataclasses import dataclass
from typing import Protocol

from reservation_api.application.tracing import new_trace_id
from reservation_api.ports.request_context import Trace, new_span_id
from reservation_api.telemetry.spans import Span, SpanKind, Tracer, Value

_HEXADECIMAL = "0123456789abcdef"
_LENGTH = 55
"""Of version 00: `00-{32 digits}-{16 digits}-{2 digits}`; later versions begin the same."""
_NO_TRACE = "0" * 32
_NO_PARENT = "0" * 16
_SAMPLED = 1
"""The one flag of version 00; the others mean nothing yet, and are not passed on."""
_STATE = re.compile(r"[ -~]{1,512}")
"""What is passed on of `tracestate`: what gRPC can carry, and no longer than all must be able to take."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_ANOTHER_METHOD = "_OTHER"


class Headers(Protocol):
    """Of a request over HTTP, or the metadata of a gRPC call."""

    def get(self, key: str, /) -> str | None:
        """Return the first value, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a request."""

    name: str
    attributes: dict[str, Value]
    error: str | None = None
    """The kind of failure, if it is one of ours; what clients do wrong is none."""


class RequestTraces:
    """Says which trace a request belongs to, and tells of the request if it is recorded."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        """Without a tracer nothing is recorded here; what the caller says is passed on all the same."""
        self._tracer = tracer

    def of(self, headers: Headers) -> Trace:
        """Return the caller's trace, or a new one if there is none or it is not valid."""
        traceparent = headers.get("traceparent")
        if traceparent is None or not _is_valid(traceparent):
            return self._begun()
        trace_id, parent_id = traceparent[3:35], traceparent[36:52]
        state = headers.get("tracestate") or ""
        if state and not _STATE.fullmatch(state):
            state = ""
        if not int(traceparent[53:55], 16) & _SAMPLED:
            return Trace(trace_id, state=state)
        span_id = parent_id if self._tracer is None else new_span_id()
        return Trace(trace_id, is_sampled=True, span_id=span_id, parent_id=parent_id, state=state)

    def keep(self, trace: Trace, began: float, told: Told) -> None:
        """Tell of a request that began then (by perf_counter) and is over, if it is recorded."""
        if not trace.is_sampled or self._tracer is None:
            return
        self._tracer.keep(
            Span(
                trace_id=trace.trace_id,
                span_id=trace.span_id or "",
                parent_id=trace.parent_id,
                state=trace.state,
                name=told.name,
                kind=SpanKind.SERVER,
                began=began,
                attributes=told.attributes,
                error=told.error,
            )
        )

    def _begun(self) -> Trace:
        trace_id = new_trace_id()
        if self._tracer is None or not self._tracer.samples(trace_id):
            return Trace(trace_id)
        return Trace(trace_id, is_sampled=True, span_id=new_span_id())


def told_of_http(method: str, route: str | None, status: int | None) -> Told:
    """Describe a request as the semantic conventions do, but for its path: clients send anything there."""
    known = method if method in _METHODS else _ANOTHER_METHOD
    attributes: dict[str, Value] = {"http.request.method": known, "url.scheme": "http"}
    if route is not None:
        attributes["http.route"] = route
    if status is not None:
        attributes["http.response.status_code"] = status
    return Told(known if route is None else f"{known} {route}", attributes)


def told_of_grpc(service: str, method: str, failure: str | None) -> Told:
    """Describe a call that was answered: refusals stand in the message, below a status that is OK."""
    attributes: dict[str, Value] = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    return Told(f"{service}/{method}", attributes, failure)


def _is_valid(text: str) -> bool:
    version, trace_id, parent_id, flags = text[:2], text[3:35], text[36:52], text[53:55]
    digits = version + trace_id + parent_id + flags
    return (
        len(digits) == _LENGTH - 3
        and not digits.strip(_HEXADECIMAL)
        and text[2] == text[35] == text[52] == "-"
        and trace_id != _NO_TRACE
        and parent_id != _NO_PARENT
        and (len(text) == _LENGTH if version == "00" else version != "ff" and text[55:56] in ("", "-"))
    )
