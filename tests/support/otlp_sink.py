"""A collector that keeps what it is sent: OTLP over HTTP, decoded with the official messages.

with sink() as collector:
    …  # send to collector.url and collector.traces_url
    collector.counter("HTTPRequests")            # the sum over all batches and processes
    collector.spans()                            # of all processes, in the order in which they came
    collector.answers = refuse(400)              # from now on
"""

import gzip
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    Metric,
    NumberDataPoint,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACES_PATH = "/v1/traces"
NO_HEADERS: Mapping[str, str] = {}
Attributes = frozenset[tuple[str, str]]
Answer = Callable[["Handler"], None]
"""Answers a request; what it takes it keeps before it says so."""


@dataclass(frozen=True)
class Sent:
    """One metric of one batch of one process."""

    instance: str
    metric: Metric

    @property
    def points(self) -> list[NumberDataPoint] | list[ExponentialHistogramDataPoint]:
        kind = self.metric.WhichOneof("data")
        return list(getattr(self.metric, str(kind)).data_points)


@dataclass(frozen=True)
class SentSpan:
    """One span of one process."""

    instance: str
    span: Span

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def kind(self) -> str:
        return Span.SpanKind.Name(self.span.kind).removeprefix("SPAN_KIND_")

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def span_id(self) -> str:
        return self.span.span_id.hex()

    @property
    def parent_id(self) -> str:
        """Its parent's id; empty: it is the first of its trace."""
        return self.span.parent_span_id.hex()

    @property
    def attributes(self) -> dict[str, Any]:
        return {pair.key: _value(pair.value) for pair in self.span.attributes}

    @property
    def links(self) -> list[tuple[str, str]]:
        return [(link.trace_id.hex(), link.span_id.hex()) for link in self.span.links]

    @property
    def has_failed(self) -> bool:
        return self.span.status.code == 2

    @property
    def window(self) -> tuple[int, int]:
        """Nanoseconds since 1970, from and to."""
        return self.span.start_time_unix_nano, self.span.end_time_unix_nano


@dataclass
class Sink:
    """What has come in."""

    port: int
    answers: Answer
    requests: int = 0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    batches: list[ExportMetricsServiceRequest] = field(default_factory=list)
    traces: list[ExportTraceServiceRequest] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/metrics"

    @property
    def traces_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{TRACES_PATH}"

    def spans(self, trace_id: str = "") -> list[SentSpan]:
        """Return the spans that have come in, of one trace or of all."""
        with self.lock:
            batches = list(self.traces)
        found = [
            SentSpan(attributes(of.resource.attributes).get("service.instance.id", ""), span)
            for batch in batches
            for of in batch.resource_spans
            for scope in of.scope_spans
            for span in scope.spans
        ]
        return [one for one in found if trace_id in {"", one.trace_id}]

    def sent(self, name: str = "") -> list[Sent]:
        with self.lock:
            batches = list(self.batches)
        return [
            Sent(attributes(of.resource.attributes).get("service.instance.id", ""), metric)
            for batch in batches
            for of in batch.resource_metrics
            for scope in of.scope_metrics
            for metric in scope.metrics
            if name in {"", metric.name}
        ]

    def resources(self) -> list[dict[str, str]]:
        return [attributes(of.resource.attributes) for b in self.batches for of in b.resource_metrics]

    def counter(self, name: str, **labels: str) -> int:
        """Add up a sum's differences over batches and processes."""
        return sum(
            point.as_int
            for sent in self.sent(name)
            for point in sent.points
            if isinstance(point, NumberDataPoint) and labels.items() <= attributes(point.attributes).items()
        )

    def count(self, name: str, **labels: str) -> int:
        """Add up the counts of histograms."""
        return sum(
            point.count
            for sent in self.sent(name)
            for point in sent.points
            if isinstance(point, ExponentialHistogramDataPoint)
            and labels.items() <= attributes(point.attributes).items()
        )

    def series(self, name: str) -> set[Attributes]:
        """Return the attributes of each series that has come in."""
        return {
            frozenset(attributes(point.attributes).items())
            for sent in self.sent(name)
            for point in sent.points
        }


class Handler(BaseHTTPRequestHandler):
    """Reads a request and lets the sink's present answer decide."""

    protocol_version = "HTTP/1.1"
    sink: Sink
    body = b""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        sink = self.sink
        with sink.lock:
            sink.requests += 1
            sink.bodies.append(body)
            sink.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.body = body
        sink.answers(self)

    def keep(self) -> None:
        with self.sink.lock:
            if self.path == TRACES_PATH:
                self.sink.traces.append(ExportTraceServiceRequest.FromString(self.body))
            else:
                self.sink.batches.append(ExportMetricsServiceRequest.FromString(self.body))

    def say(self, status: int, body: bytes = b"", headers: Mapping[str, str] = NO_HEADERS) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name for it)
        del format, args


def take(handler: Handler) -> None:
    handler.keep()
    handler.say(200)


def take_but_reject(points: int, why: str) -> Answer:
    answer = ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = points
    answer.partial_success.error_message = why

    def reject(handler: Handler) -> None:
        handler.keep()
        handler.say(200, answer.SerializeToString())

    return reject


def refuse(status: int, headers: Mapping[str, str] = NO_HEADERS) -> Answer:
    def say_no(handler: Handler) -> None:
        handler.say(status, headers=headers)

    return say_no


def reset(handler: Handler) -> None:
    """End the connection without a word, so that the client gets RST."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def never_answer(until: threading.Event) -> Answer:
    def wait(handler: Handler) -> None:
        until.wait(60)
        handler.close_connection = True

    return wait


def attributes(pairs: "list[KeyValue] | Any") -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "array_value":
            return [_value(one) for one in value.array_value.values]
        case other:
            raise AssertionError(f"nothing of ours is {other}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that have gone."""


@contextmanager
def sink(answers: Answer = take) -> Iterator[Sink]:
    """Listen on a free port until the end of the block."""

    class Bound(Handler):
        pass

    with _Server(("127.0.0.1", 0), Bound) as server:
        found = Sink(server.server_address[1], answers)
        Bound.sink = found
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
