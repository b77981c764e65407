"""Spans of what leaves the process: calls of DynamoDB and of gRPC peers, and events that are published.

Attributes are named as OpenTelemetry's semantic conventions have them (version 1.26). None of them holds what
a client has sent.
"""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from reservation_api.adapters.aws_wire.errors import AwsCaller, AwsRefusedError
from reservation_api.bootstrap.tracing import Call, Outcome, Spans, by_its_class
from reservation_api.ports.event_bus import EventBus, OutgoingEvent, PublishOutcome
from reservation_api.ports.request_context import new_span_id
from reservation_api.telemetry.spans import Attributes, Link, Span, SpanKind, Tracer

Reply = TypeVar("Reply", bound=Message)


class TracedDynamoDb:
    """An AwsCaller whose calls are spans."""

    def __init__(self, caller: AwsCaller, tracer: Tracer) -> None:
        self._caller = caller
        self._spans = Spans(tracer, SpanKind.CLIENT, _judge_aws)

    def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Call[Any]:
        """Make the call; see AwsCaller."""
        call = self._caller.call(operation, request, repeatable=repeatable)
        return self._spans.around(call, f"DynamoDB.{operation}", lambda: _of_dynamodb(operation, request))


class Peer(Protocol):
    """How a gRPC peer is called; adapters.grpc_inventory.peer.GrpcPeer is one."""

    def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Call[Reply]:
        """Return the reply; raises grpc.aio.AioRpcError whatever went wrong."""
        ...

    async def close(self) -> None:
        """Give back the connections; may be repeated."""
        ...


class TracedPeer:
    """A Peer whose calls are spans."""

    def __init__(self, peer: Peer, tracer: Tracer) -> None:
        self._peer = peer
        self._spans = Spans(tracer, SpanKind.CLIENT, _judge_grpc)

    def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Call[Reply]:
        """Make the call, a second try included; the peer is told of this span as its caller's."""
        call = self._peer.call(path, request, reply_type, repeatable=repeatable)
        return self._spans.around(call, path[1:], lambda: _of_grpc(path))

    async def close(self) -> None:
        """Give back the connections; may be repeated."""
        await self._peer.close()


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


def _of_dynamodb(operation: str, request: Mapping[str, Any]) -> Attributes:
    return {
        "db.system": "dynamodb",
        "db.operation.name": operation,
        "aws.dynamodb.table_names": _tables_of(request),
        "rpc.system": "aws-api",
        "rpc.service": "DynamoDB",
        "rpc.method": operation,
    }


def _tables_of(request: Mapping[str, Any]) -> list[str]:
    if "TableName" in request:
        return [request["TableName"]]
    if "RequestItems" in request:
        return list(request["RequestItems"])
    actions = (action for item in request["TransactItems"] for action in item.values())
    return list(dict.fromkeys(action["TableName"] for action in actions))


def _judge_aws(error: BaseException | None) -> Outcome:
    return Outcome(error.code) if isinstance(error, AwsRefusedError) else by_its_class(error)


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
