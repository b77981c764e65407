"""Calls of gRPC peers, counted, and spans of those that are made for recorded requests.

Attributes are named as OpenTelemetry's semantic conventions have them (version 1.26). None of them holds what
a client has sent.
"""

from time import perf_counter
from typing import Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from reservation_api.bootstrap.tracing import Call, Outcome, Spans, by_its_class
from reservation_api.telemetry import names
from reservation_api.telemetry.instruments import Counter
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.spans import Attributes, SpanKind, Tracer

Reply = TypeVar("Reply", bound=Message)


class Peer(Protocol):
    """How a gRPC peer is called; adapters.grpc_inventory.peer.GrpcPeer is one."""

    def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Call[Reply]:
        """Return the reply; raises grpc.aio.AioRpcError whatever went wrong."""
        ...

    async def close(self) -> None:
        """Give back the connections; may be repeated."""
        ...


class PeerMetrics:
    """What is measured of the calls of one gRPC peer."""

    def __init__(self, peer: str, metrics: Metrics) -> None:
        self.retries: Counter = metrics.counter(names.CALL_RETRIES, peer)
        self._durations = metrics.histograms(names.GRPC_CALL_DURATION)

    def observe(self, path: str, began: float) -> None:
        """Take the time of a call that began then, by perf_counter, and is over."""
        self._durations[path[1:],].observe((perf_counter() - began) * 1000)


class TracedPeer:
    """A Peer whose calls are spans."""

    def __init__(self, peer: Peer, tracer: Tracer) -> None:
        self._peer = peer
        self._spans = Spans(tracer, SpanKind.CLIENT, _judge_grpc)

    def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Call[Reply]:
        """Make the call, a second try included; the peer is told of this span as its caller's."""
        call = self._peer.call(path, request, reply_type, repeatable=repeatable)
        return self._spans.around(call, path[1:], _of_grpc, path)

    async def close(self) -> None:
        """Give back the connections; may be repeated."""
        await self._peer.close()


def _of_grpc(path: str) -> Attributes:
    service, _, method = path[1:].rpartition("/")
    return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}


def _judge_grpc(error: BaseException | None) -> Outcome:
    if error is None:
        return Outcome(attributes={"rpc.grpc.status_code": _number(grpc.StatusCode.OK)})
    if isinstance(error, grpc.aio.AioRpcError):
        return Outcome(error.code().name, {"rpc.grpc.status_code": _number(error.code())})
    return by_its_class(error)


def _number(status: grpc.StatusCode) -> int:
    number: int = status.value[0]
    return number
