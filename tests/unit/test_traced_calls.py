"""Spans of calls that leave the process, and of rows and events that pass through the relay."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from tests.support.clock import FakeClock
from tests.support.scripted_caller import ScriptedCaller

from reservation_api.adapters.aws_wire.errors import AwsOutcomeUnknownError, AwsRefusedError
from reservation_api.application.outbox_entries import (
    ReleasePayload,
    event_entry,
    recovery_entry,
    release_entry,
    trace_of,
)
from reservation_api.bootstrap.aws_calls import MeasuredDynamoDb
from reservation_api.bootstrap.grpc_calls import MeasuredPeer
from reservation_api.bootstrap.traced_bus import traced_bus
from reservation_api.domain.errors import EventBusUnavailableError
from reservation_api.domain.reservation import NewHold, Reservation, held
from reservation_api.domain.values import (
    EventId,
    Money,
    OrderId,
    RecordKey,
    ReservationId,
    Seat,
    SeatId,
    UserId,
)
from reservation_api.ports.event_bus import OutgoingEvent, PublishOutcome
from reservation_api.ports.outbox import OutboxEntry
from reservation_api.ports.request_context import RequestContext, Trace, present_trace
from reservation_api.telemetry import names
from reservation_api.telemetry.instruments import Counter
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.spans import Link, Span, SpanKind, Tracer
from reservation_proto.reservation.v1 import inventory_pb2 as wire

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RECORDED = Trace(TRACE_ID, is_sampled=True, span_id=SPAN_ID, state="vendor=1")
RESERVE = "/reservation.v1.InventoryService/ReserveSeat"
CLOCK = FakeClock()
NOW = CLOCK.now()
Reply = TypeVar("Reply", bound=Message)


@pytest.fixture
def tracer() -> Tracer:
    return Tracer(1.0, CLOCK.now, Counter())


def only(tracer: Tracer) -> Span:
    [span] = tracer.take(100)
    return span


TABLE: Mapping[str, Any] = {"TableName": "t-orders", "Key": {"pk": {"S": "alice"}}}
TRANSACTION: Mapping[str, Any] = {
    "TransactItems": [
        {"Put": {"TableName": "t-idempotency", "Item": {"pk": {"S": "alice"}}}},
        {"Update": {"TableName": "t-reservations"}},
        {"Put": {"TableName": "t-outbox"}},
        {"Delete": {"TableName": "t-outbox"}},
    ]
}


@pytest.mark.parametrize(
    ("operation", "request_", "tables"),
    [
        ("GetItem", TABLE, ["t-orders"]),
        ("BatchGetItem", {"RequestItems": {"t-orders": {}}}, ["t-orders"]),
        ("TransactWriteItems", TRANSACTION, ["t-idempotency", "t-reservations", "t-outbox"]),
    ],
)
async def test_a_call_of_dynamodb_is_a_span_with_the_tables_it_is_about(
    tracer: Tracer, operation: str, request_: Mapping[str, Any], tables: list[str]
) -> None:
    caller = ScriptedCaller([{"Item": {}}])
    with RequestContext(RECORDED):
        assert await MeasuredDynamoDb(caller, Metrics(), tracer).call(
            operation, request_, repeatable=True
        ) == {"Item": {}}
    span = only(tracer)
    assert (span.name, span.kind, span.error) == (f"DynamoDB.{operation}", SpanKind.CLIENT, None)
    assert (span.trace_id, span.parent_id, span.state) == (TRACE_ID, SPAN_ID, "vendor=1")
    assert span.attributes == {
        "db.system": "dynamodb",
        "db.operation.name": operation,
        "aws.dynamodb.table_names": tables,
        "rpc.system": "aws-api",
        "rpc.service": "DynamoDB",
        "rpc.method": operation,
    }
    assert [call.repeatable for call in caller.calls] == [True]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AwsRefusedError("PutItem", 400, "ThrottlingException", {}), "ThrottlingException"),
        (AwsOutcomeUnknownError("PutItem: alice"), "AwsOutcomeUnknownError"),
    ],
)
async def test_a_call_of_dynamodb_that_fails_says_how(tracer: Tracer, error: Exception, kind: str) -> None:
    with RequestContext(RECORDED), pytest.raises(type(error)):
        await MeasuredDynamoDb(ScriptedCaller([error]), Metrics(), tracer).call(
            "PutItem", TABLE, repeatable=True
        )
    assert only(tracer).error == kind


@pytest.mark.parametrize("trace", [None, Trace(TRACE_ID)])
async def test_a_call_for_nobody_or_for_a_request_that_is_not_recorded_is_the_call_itself(
    tracer: Tracer, trace: Trace | None
) -> None:
    metrics = Metrics()
    traced = MeasuredDynamoDb(ScriptedCaller([1]), metrics, tracer)
    if trace is None:
        assert await traced.call("GetItem", TABLE, repeatable=True) == 1
    else:
        with RequestContext(trace):
            assert await traced.call("GetItem", TABLE, repeatable=True) == 1
    assert tracer.waiting() == 0
    assert metrics.histogram(names.DYNAMODB_OPERATION_LATENCY, "t-orders", "GetItem").read().count == 1


@pytest.mark.parametrize("error", [None, asyncio.CancelledError()])
async def test_calls_that_are_spans_take_time_like_all_others(
    tracer: Tracer, error: BaseException | None
) -> None:
    metrics = Metrics()
    peer = MeasuredPeer(Peer(error), metrics, tracer)
    caller = MeasuredDynamoDb(ScriptedCaller([{}]), metrics, tracer)
    with nullcontext() if error is None else pytest.raises(asyncio.CancelledError):
        await ask(peer)
    with RequestContext(RECORDED):
        await caller.call("GetItem", TABLE, repeatable=True)
    assert len(tracer.take(3)) == 2
    assert metrics.histogram(names.GRPC_CALL_DURATION, RESERVE[1:]).read().count == 1
    assert metrics.histogram(names.DYNAMODB_OPERATION_LATENCY, "t-orders", "GetItem").read().count == 1


class Peer:
    """Answers or fails, and remembers as part of what it was called."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.told: Trace | None = None
        self.is_closed = False

    async def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Reply:
        del path, request, repeatable
        self.told = present_trace()
        if self.error is not None:
            raise self.error
        return reply_type()

    async def close(self) -> None:
        self.is_closed = True


async def ask(peer: MeasuredPeer) -> object:
    with RequestContext(RECORDED):
        return await peer.call(RESERVE, wire.ReserveSeatRequest(), wire.ReserveSeatResponse, repeatable=True)


async def test_a_call_of_a_peer_is_a_span_and_the_peer_is_told_of_it(tracer: Tracer) -> None:
    peer = Peer()
    traced = MeasuredPeer(peer, Metrics(), tracer)
    assert await ask(traced) == wire.ReserveSeatResponse()
    span = only(tracer)
    assert peer.told is not None
    assert (peer.told.trace_id, peer.told.span_id, peer.told.state) == (TRACE_ID, span.span_id, "vendor=1")
    assert (span.name, span.parent_id) == ("reservation.v1.InventoryService/ReserveSeat", SPAN_ID)
    assert span.attributes == {
        "rpc.system": "grpc",
        "rpc.service": "reservation.v1.InventoryService",
        "rpc.method": "ReserveSeat",
        "rpc.grpc.status_code": 0,
    }
    await traced.close()
    assert peer.is_closed


@pytest.mark.parametrize(
    ("error", "kind", "number"),
    [
        (grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, details="alice"), "UNAVAILABLE", 14),
        (grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED), "DEADLINE_EXCEEDED", 4),
        (asyncio.CancelledError(), "CancelledError", None),
    ],
)
async def test_a_call_of_a_peer_that_fails_says_how(
    tracer: Tracer, error: BaseException, kind: str, number: int | None
) -> None:
    with pytest.raises(type(error)):
        await ask(MeasuredPeer(Peer(error), Metrics(), tracer))
    span = only(tracer)
    assert (span.error, span.attributes.get("rpc.grpc.status_code")) == (kind, number)


class Bus:
    def __init__(self, *outcomes: PublishOutcome) -> None:
        self.outcomes = outcomes

    async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[PublishOutcome]:
        if not self.outcomes:
            raise EventBusUnavailableError(f"{len(events)} events")
        return self.outcomes


def event(n: int, span_id: str | None) -> OutgoingEvent:
    trace_id = f"{n}" * 32
    return OutgoingEvent(
        f"rsv_{n}.1", "reservation.service", "Reservation Created", "{}", NOW, trace_id, span_id
    )


async def test_each_recorded_event_of_a_batch_has_a_span_in_its_own_trace(tracer: Tracer) -> None:
    unavailable = EventBusUnavailableError("throttled")
    bus = traced_bus(Bus(None, None, "too large", unavailable), tracer, "aws_eventbridge", "the-bus")
    events = [event(1, "1" * 16), event(2, None), event(3, "3" * 16), event(4, "4" * 16)]
    assert await bus.publish(events) == (None, None, "too large", unavailable)
    spans = tracer.take(10)
    assert [(span.trace_id, span.parent_id) for span in spans] == [
        ("1" * 32, "1" * 16),
        ("3" * 32, "3" * 16),
        ("4" * 32, "4" * 16),
    ]
    assert [list(span.links) for span in spans] == [[Link(n * 32, n * 16)] for n in "134"]
    assert [span.error for span in spans] == [None, "refused", "EventBusUnavailableError"]
    assert {span.kind for span in spans} == {SpanKind.PRODUCER}
    assert spans[0].attributes == {
        "messaging.system": "aws_eventbridge",
        "messaging.destination.name": "the-bus",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "publish",
        "messaging.message.id": "rsv_1.1",
        "messaging.batch.message_count": 4,
    }


async def test_a_bus_that_takes_nothing_is_told_of_as_such(tracer: Tracer) -> None:
    with pytest.raises(EventBusUnavailableError):
        await traced_bus(Bus(), tracer, "x", "y").publish([event(1, "1" * 16), event(2, None)])
    assert only(tracer).error == "EventBusUnavailableError"


def test_without_a_tracer_a_bus_is_itself() -> None:
    bus = Bus(None)
    assert traced_bus(bus, None, "x", "y") is bus


def reservation(token: str | None = None) -> Reservation:
    hold = NewHold(ReservationId("rsv_1"), EventId("evt_1"), UserId("alice"), RecordKey("r"), token)
    return held(hold, (Seat(SeatId("A-1"), "A", "1", "1", Money(1, "KRW")),), NOW, NOW)


def rows(token: str | None = None) -> list[OutboxEntry]:
    one = reservation(token)
    release = ReleasePayload(one.event_id, one.seat_ids, "cancelled")
    return [
        event_entry(one, TRACE_ID),
        release_entry(one.reservation_id, release, TRACE_ID, NOW),
        recovery_entry(one, OrderId("ord_1"), TRACE_ID),
    ]


def test_rows_of_a_recorded_request_know_its_span() -> None:
    with RequestContext(RECORDED):
        made = rows()
    assert [trace_of(row) for row in made] == [Trace(TRACE_ID, is_sampled=True, span_id=SPAN_ID)] * 3


@pytest.mark.parametrize("trace", [Trace(TRACE_ID), RECORDED._replace(trace_id="a" * 32)])
def test_rows_of_another_request_or_of_one_that_is_not_recorded_know_none(trace: Trace) -> None:
    with RequestContext(trace):
        made = rows()
    assert [trace_of(row) for row in [*made, *rows()]] == [Trace(TRACE_ID)] * 6
    assert not [row.payload for row in made if "traceparent" in row.payload]


def test_what_a_client_writes_into_an_event_is_never_taken_for_its_trace() -> None:
    [row, *_] = rows(token='"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"')
    assert trace_of(row) == Trace(TRACE_ID)
