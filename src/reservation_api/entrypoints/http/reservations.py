"""`/v1/reservations`: hold, look, confirm, cancel, extend."""

from msgspec import UNSET

from reservation_api.application.confirm import Payment
from reservation_api.application.extend import Extension
from reservation_api.application.hold import SeatsWanted
from reservation_api.application.use_cases import UseCases
from reservation_api.domain.reservation import Status
from reservation_api.domain.values import ReservationId
from reservation_api.entrypoints.http.commands import command_response, read_command, reservation_of
from reservation_api.entrypoints.http.cursors import ListId, cursor_of, position_of
from reservation_api.entrypoints.http.decoding import BodyCodec, decode_query
from reservation_api.entrypoints.http.queries import ReservationsQuery
from reservation_api.entrypoints.http.render import (
    held_answer,
    json_response,
    order_answer,
    reservation_answer,
)
from reservation_api.entrypoints.http.request import JSON_HEADERS, Call, Response
from reservation_api.entrypoints.http.wire import (
    CancelBody,
    ConfirmBody,
    ExtendBody,
    HoldBody,
    ReservationList,
)
from reservation_api.ports.clock import Clock

_HOLD = BodyCodec(HoldBody)
_CONFIRM = BodyCodec(ConfirmBody)
_EXTEND = BodyCodec(ExtendBody)
_CANCEL = BodyCodec(CancelBody, empty=CancelBody())


class ReservationHandlers:
    """Parse, call one use case, render."""

    def __init__(self, use_cases: UseCases, clock: Clock) -> None:
        self._hold = use_cases.hold
        self._confirm = use_cases.confirm
        self._cancel = use_cases.cancel
        self._extend = use_cases.extend
        self._queries = use_cases.queries
        self._clock = clock

    async def hold(self, call: Call) -> Response:
        """POST /v1/reservations."""
        command, body = await read_command(call, _HOLD)
        wanted = SeatsWanted(body.event_id, body.qty, body.seat_ids or (), body.reservation_token)
        answer = await self._hold(command, wanted)
        reservation = reservation_of(call, answer)
        location = ("location", f"/v1/reservations/{reservation.reservation_id}")
        return command_response(call, 201, [*JSON_HEADERS, location], held_answer(reservation, answer.as_of))

    async def confirm(self, call: Call) -> Response:
        """POST /v1/reservations/{reservation_id}/confirm."""
        command, body = await read_command(call, _CONFIRM)
        answer = await self._confirm(command, Payment(_id(call), body.payment_intent_id))
        reservation_of(call, answer)
        if answer.order is None:
            raise ValueError("a confirm is answered with its order")
        return command_response(call, 200, JSON_HEADERS, order_answer(answer.order))

    async def cancel(self, call: Call) -> Response:
        """POST /v1/reservations/{reservation_id}/cancel."""
        command, _ = await read_command(call, _CANCEL)
        answer = await self._cancel(command, _id(call))
        reservation = reservation_of(call, answer)
        return command_response(call, 200, JSON_HEADERS, reservation_answer(reservation, answer.as_of))

    async def extend(self, call: Call) -> Response:
        """POST /v1/reservations/{reservation_id}/extend."""
        command, body = await read_command(call, _EXTEND)
        answer = await self._extend(command, Extension(_id(call), body.seconds))
        reservation = reservation_of(call, answer)
        return command_response(call, 200, JSON_HEADERS, reservation_answer(reservation, answer.as_of))

    async def get(self, call: Call) -> Response:
        """GET /v1/reservations/{reservation_id}."""
        reservation = await self._queries.reservation(call.caller.subject, _id(call))
        return json_response(reservation_answer(reservation, self._clock.now()))

    async def list(self, call: Call) -> Response:
        """GET /v1/reservations."""
        query = decode_query(call.request.query, ReservationsQuery)
        status = None if query.status is UNSET else Status(query.status)
        this_list = ListId("reservations", call.caller.subject, status or "")
        after = None if query.cursor is UNSET else position_of(this_list, query.cursor)
        page = await self._queries.reservations(call.caller.subject, status, query.limit, after)
        now = self._clock.now()
        items = [reservation_answer(reservation, now) for reservation in page.items]
        next_cursor = UNSET if page.next is None else cursor_of(this_list, page.next)
        return json_response(ReservationList(items, next_cursor))


def _id(call: Call) -> ReservationId:
    return ReservationId(call.parameter)
