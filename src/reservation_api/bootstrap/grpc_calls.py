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
from reservation_api.ports.request_context import present_request
from reservation_api.telemetry import names
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


class MeasuredPeer:
    """A Peer that takes the time of each call, by method, and makes spans of calls.

    One wrapper for both: each costs every call a frame, also of the many that are not recorded.
    """

    def __init__(self, peer: Peer, metrics: Metrics, tracer: Tracer | None) -> None:
        self._peer = peer
        self._durations = metrics.histograms(names.GRPC_CALL_DURATION)
        self._spans = None if tracer is None else Spans(tracer, SpanKind.CLIENT, _judge_grpc)

    async def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Reply:
        """Make the call, a second try included; the peer is told of its span as its caller's."""
        began = perf_counter()
        call = self._peer.call(path, request, reply_type, repeatable=repeatable)
        present = present_request()
        if present is not None and present.trace.is_sampled and self._spans is not None:
            call = self._spans.recorded(call, path[1:], _of_grpc(path), present.trace)
        try:
            return await call
        finally:
            self._durations[path[1:],].observe((perf_counter() - began) * 1000)

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
