"""Endpoints that always say the same, some milliseconds later: DynamoDB, EventBridge, an inventory.

What they do costs the process that is measured nothing, and stays the same for every peer beside it.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final

import grpc
import grpc.aio
import uvloop

from bench.cpu import pinned_to
from bench.server import EVENT_ID, HOST
from bench.workloads import QTY
from reservation_proto.common.v1 import types_pb2 as types
from reservation_proto.reservation.v1 import inventory_pb2 as wire

DYNAMODB_SECONDS: Final = 0.005
INVENTORY_SECONDS: Final = 0.003
SUBJECT: Final = "bench"
"""Whose reservation every read finds."""
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: keep-alive\r\n"
    b"content-length: %d\r\n\r\n"
)
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TARGET: Final = re.compile(rb"x-amz-target: *[^.]+\.(\w+)", re.IGNORECASE)
_SEATS: Final = tuple(f"A-1-{number}" for number in range(1, QTY + 1))
_FAR = "2099-01-01T00:00:00.000Z"
_EVENTS_A_CALL: Final = 10


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where they answer."""

    aws_url: str
    inventory_address: str


@contextmanager
def canned_endpoints(core: int | None) -> Iterator[Endpoints]:
    """Answer, in a process of its own on this core, until the end of the block."""
    spawning = get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(theirs,), daemon=True)
    with pinned_to(core):
        process.start()
    try:
        aws_port, inventory_port = ours.recv()
        yield Endpoints(f"http://{HOST}:{aws_port}", f"{HOST}:{inventory_port}")
    finally:
        process.terminate()
        process.join()


def held_item() -> dict[str, Any]:
    """Return the item that every read of a reservation finds: on hold, for long."""
    texts = {
        "pk": "rsv_" + "0" * 32,
        "sk": EVENT_ID,
        "user_id": SUBJECT,
        "status": "HOLD",
        "hold_expires_at": _FAR,
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
        "idempotency_key": "0" * 64,
        "currency": "KRW",
    }
    seat = {
        "M": {"section": {"S": "A"}, "row": {"S": "1"}, "number": {"S": "1"}, "price": {"N": "50000"}},
    }
    return {
        **{name: {"S": text} for name, text in texts.items()},
        "qty": {"N": str(QTY)},
        "version": {"N": "1"},
        "extensions": {"N": "0"},
        "total_amount": {"N": str(50_000 * QTY)},
        "seat_ids": {"L": [{"S": seat_id} for seat_id in _SEATS]},
        "seats": {"L": [seat] * QTY},
    }


def _answers() -> dict[bytes, bytes]:
    events = {"FailedEntryCount": 0, "Entries": [{"EventId": "0" * 36}] * _EVENTS_A_CALL}
    answers: dict[bytes, Any] = {
        b"Query": {"Count": 1, "ScannedCount": 1, "Items": [held_item()]},
        b"PutEvents": events,
        b"BatchWriteItem": {"UnprocessedItems": {}},
    }
    return {operation: _response(answer) for operation, answer in answers.items()}


def _response(answer: Any) -> bytes:
    body = json.dumps(answer).encode()
    return _HEAD % len(body) + body


class _Aws(asyncio.Protocol):
    """One connection: a request, a wait, an answer."""

    _answers = _answers()
    _empty = _response({})

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            asyncio.get_running_loop().call_later(DYNAMODB_SECONDS, self._answer, head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        target = _TARGET.search(head)
        operation = target[1] if target else b""
        if operation == b"PutEvents":
            count = len(json.loads(body)["Entries"])
            events = {"FailedEntryCount": 0, "Entries": [{"EventId": "0" * 36}] * count}
            self._transport.write(_response(events))
            return
        self._transport.write(self._answers.get(operation, self._empty))


def _sold(_: bytes) -> bytes:
    return _SOLD


def _held(request: bytes) -> bytes:
    """Hold for as long as is asked: a service that checks replies believes no more."""
    ends_at = wire.ReserveSeatRequest.FromString(request).hold_expires_at
    reply = wire.ReserveSeatResponse(
        reserved_seats=_SEAT_MESSAGES, hold_expires_at=ends_at, status=wire.HOLD_STATUS_ACTIVE
    )
    return reply.SerializeToString()


_SEAT_MESSAGES: Final = tuple(
    types.Seat(
        id=seat_id,
        section="A",
        row="1",
        number=seat_id[-1],
        price=types.Money(amount=50_000, currency="KRW"),
    )
    for seat_id in _SEATS
)
_SOLD: Final = wire.CommitReservationResponse(
    sold_seats=_SEAT_MESSAGES, status=wire.COMMIT_STATUS_SUCCESS
).SerializeToString()


class _Inventory(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        reply = _sold if details.method.endswith("/CommitReservation") else _held

        async def answer(request: bytes, __: Any) -> bytes:
            await asyncio.sleep(INVENTORY_SECONDS)
            return reply(request)

        return grpc.unary_unary_rpc_method_handler(answer)


def _serve(told: Connection) -> None:
    async def serve() -> None:
        aws = await asyncio.get_running_loop().create_server(_Aws, HOST, 0, backlog=1024)
        inventory = grpc.aio.server(handlers=[_Inventory()])
        inventory_port = inventory.add_insecure_port(f"{HOST}:0")
        await inventory.start()
        told.send((aws.sockets[0].getsockname()[1], inventory_port))
        await inventory.wait_for_termination()

    uvloop.run(serve())
