"""The part that all commands share: key, body and request hash."""

from typing import TypeVar

from reservation_api.application.command import Answer, Command, digest
from reservation_api.domain.reservation import Reservation
from reservation_api.entrypoints.http.decoding import BodyCodec
from reservation_api.entrypoints.http.idempotency import idempotency_key_of
from reservation_api.entrypoints.http.request import Call, HeaderList, Response
from reservation_api.entrypoints.http.wire import CommandBody, encode

B = TypeVar("B", bound=CommandBody)

REPLAYED = ("idempotency-replayed", "true")


async def read_command(call: Call, codec: BodyCodec[B]) -> tuple[Command, B]:
    """Return the command and its body.

    The hash is over the decoded body, written again: spaces, order and escapes do not make another
    request of it. Raises what idempotency_key_of, Body.read and BodyCodec.decode raise.
    """
    request = call.request
    key = idempotency_key_of(request.headers)
    body = codec.decode(await request.body.read(), request.headers)
    request_hash = digest(request.method, request.path, encode(body).decode())
    return Command(call.caller.subject, key, request_hash, call.trace_id), body


def reservation_of(call: Call, answer: Answer) -> Reservation:
    """Return the answer's reservation, and note for the log what the command was about."""
    if answer.reservation is None:
        raise ValueError("a command is answered with its reservation")
    call.reservation_id = answer.reservation.reservation_id
    call.replayed = answer.replayed
    return answer.reservation


def command_response(call: Call, status: int, headers: HeaderList, body: object) -> Response:
    """Make the response of a command: a replay has the same status and body, and says that it is one."""
    return Response(status, [*headers, REPLAYED] if call.replayed else headers, encode(body))
