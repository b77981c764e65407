"""Endpoints that always say the same, some milliseconds later: DynamoDB, EventBridge, an inventory.

What they do costs the process that is measured nothing, and stays the same for every peer beside it. A
reservation that is read belongs to the subject that is written in its id (`canned_id`), so that many may ask.
"""

import asyncio
import json
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final

import uvloop

from bench.canned_http2 import CannedGrpc
from bench.cpu import pinned_to
from bench.identity import subject_of
from bench.server import EVENT_ID, HOST, QTY
from reservation_proto.common.v1 import types_pb2 as types
from reservation_proto.reservation.v1 import inventory_pb2 as wire

DYNAMODB_SECONDS: Final = 0.005
INVENTORY_SECONDS: Final = 0.003
SIGMA: Final = 0.35
"""Of the logarithm: one answer in a hundred takes 2.3 times the median."""
SLOW_SHARE, SLOW_FACTOR = 0.001, 10.0
"""And one in a thousand takes ten times as long: a node that is replaced, a lost packet."""
DELAYS: Final = 8192
"""Drawn once, and taken in turns: every peer waits for the same."""
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: keep-alive\r\n"
    b"content-length: %d\r\n\r\n"
)
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TARGET: Final = re.compile(rb"x-amz-target: *[^.]+\.(\w+)", re.IGNORECASE)
_RESERVATION: Final = re.compile(rb"rsv_([0-9a-f]{8})[0-9a-f]{24}")
_SEATS: Final = tuple(f"A-1-{number}" for number in range(1, QTY + 1))
_FAR = "2099-01-01T00:00:00.000Z"
_EVENTS_A_CALL: Final = 10


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where they answer, and who answers."""

    aws_url: str
    inventory_address: str
    pid: int


@contextmanager
def canned_endpoints(core: int | None) -> Iterator[Endpoints]:
    """Answer, in a process of its own on this core, until the end of the block."""
    spawning = get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(theirs,), daemon=True)
    with pinned_to(core):
        process.start()
    theirs.close()  # or a process that does not get as far would be waited for, for ever
    try:
        aws_port, inventory_port = ours.recv()
        yield Endpoints(f"http://{HOST}:{aws_port}", f"{HOST}:{inventory_port}", process.pid or 0)
    finally:
        process.terminate()
        process.join()


def delays(median_seconds: float, seed: int) -> Iterator[float]:
    """Draw how long answers take, in seconds: a lognormal body, and a tail beyond it."""
    draw = random.Random(seed)
    drawn = [
        median_seconds * (SLOW_FACTOR if draw.random() < SLOW_SHARE else draw.lognormvariate(0.0, SIGMA))
        for _ in range(DELAYS)
    ]
    return cycle(drawn)


def canned_id(subject: int, number: int) -> str:
    """Return a reservation's id that says whose it is."""
    return f"rsv_{subject:08x}{number:024x}"


def held_item() -> dict[str, Any]:
    """Return the item that every read of a reservation finds: on hold, for long."""
    texts = {
        "pk": canned_id(0, 0),
        "sk": EVENT_ID,
        "user_id": subject_of(0),
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


_ZERO_ID: Final = canned_id(0, 0).encode()
_ZERO_SUBJECT: Final = subject_of(0).encode()


def _subject(digits: bytes) -> bytes:
    """Return whose reservation it is; as long as every other subject, so that lengths stay true."""
    return subject_of(int(digits, 16)).encode()


class _Aws(asyncio.Protocol):
    """One connection: a request, a wait, an answer."""

    _answers = _answers()
    _empty = _response({})

    def __init__(self, delays: Iterator[float]) -> None:
        self._delays = delays
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
            asyncio.get_running_loop().call_later(next(self._delays), self._answer, head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if self._transport.is_closing():
            return
        target = _TARGET.search(head)
        operation = target[1] if target else b""
        if operation == b"PutEvents":
            count = len(json.loads(body)["Entries"])
            events = {"FailedEntryCount": 0, "Entries": [{"EventId": "0" * 36}] * count}
            self._transport.write(_response(events))
            return
        answer = self._answers.get(operation, self._empty)
        asked = _RESERVATION.search(body) if operation == b"Query" else None
        if asked:
            answer = answer.replace(_ZERO_ID, asked[0]).replace(_ZERO_SUBJECT, _subject(asked[1]))
        self._transport.write(answer)


def _inventory(request: bytes) -> bytes:
    """Tell by the key what is asked; a hold lasts as long as is asked, since replies are checked."""
    if b":confirm:" in request:
        return _SOLD
    if b":release:" in request:
        return _RELEASED
    asked = wire.ReserveSeatRequest.FromString(request)
    return _HELD + wire.ReserveSeatResponse(hold_expires_at=asked.hold_expires_at).SerializeToString()


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
_RELEASED: Final = wire.ReleaseHoldResponse(status=wire.RELEASE_STATUS_SUCCESS).SerializeToString()
_HELD: Final = wire.ReserveSeatResponse(
    reserved_seats=_SEAT_MESSAGES, status=wire.HOLD_STATUS_ACTIVE
).SerializeToString()


def _serve(told: Connection) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        waits, answers = delays(DYNAMODB_SECONDS, seed=5), delays(INVENTORY_SECONDS, seed=3)
        aws = await loop.create_server(lambda: _Aws(waits), HOST, 0, backlog=1024)
        inventory = await loop.create_server(lambda: CannedGrpc(_inventory, answers), HOST, 0, backlog=1024)
        told.send(tuple(server.sockets[0].getsockname()[1] for server in (aws, inventory)))
        await aws.serve_forever()

    uvloop.run(serve())
