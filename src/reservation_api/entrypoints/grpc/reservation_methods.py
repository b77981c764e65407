"""The methods of `reservation.v1.ReservationService`: read, call one use case, render."""

import secrets
from dataclasses import dataclass, field
from time import perf_counter

from reservation_api.application.command import Answer, Command, digest
from reservation_api.application.use_cases import UseCases
from reservation_api.domain.reservation import Reservation
from reservation_api.domain.values import ReservationId, UserId
from reservation_api.entrypoints.grpc import reservation_replies as replies
from reservation_api.entrypoints.grpc import reservation_requests as requests
from reservation_api.entrypoints.grpc.reservation_authentication import Identity
from reservation_api.entrypoints.http.cursors import ListId, cursor_of, position_of
from reservation_api.entrypoints.http.refusals import IdempotencyKeyMissingError
from reservation_api.entrypoints.overload.rate_limit import RateLimit
from reservation_proto.reservation.v1 import reservation_pb2 as wire

LIST = "ReservationService.ListReservations"
"""The name that cursors carry: one of HTTP's is not good here, nor the other way round."""
NOBODY = Identity(is_gateway=False, token_subject=None)
"""Whoever has not been identified yet; no method ever sees it."""
UNNAMED = UserId("")
_KEY_BYTES = 16


@dataclass(slots=True)
class Call:
    """A request on its way through a method; what is learnt of it goes into the log."""

    trace_id: str
    identity: Identity = NOBODY
    subject: UserId = UNNAMED
    reservation_id: str | None = None
    replayed: bool = False
    failure: str | None = None
    """What failed here, if anything did; a refusal is no failure."""
    began: float = field(default_factory=perf_counter)

    @property
    def milliseconds(self) -> float:
        """How long it has taken so far."""
        return (perf_counter() - self.began) * 1000


class ReservationMethods:
    """Answers each method with its reply; refusals are raised.

    A call may end at any await, when its client's deadline passes: what a use case does up to its point of
    no return may be abandoned, and what comes after it is made good by a retry or the workers.
    """

    def __init__(self, use_cases: UseCases, rates: RateLimit) -> None:
        self._rates = rates
        self._hold = use_cases.hold
        self._confirm = use_cases.confirm
        self._cancel = use_cases.cancel
        self._extend = use_cases.extend
        self._queries = use_cases.queries

    async def create(
        self, request: wire.CreateReservationRequest, call: Call
    ) -> wire.CreateReservationResponse:
        """Hold seats; `metadata` is for gateways' own logs, and neither kept nor part of the request."""
        wanted = requests.seats_wanted(request)
        call.subject = requests.named_user(self._user_of(request.user_id, call))
        what = (wanted.event_id, str(wanted.qty), wanted.reservation_token or "", *wanted.seat_ids)
        command = _command(call, request.idempotency_key, "CreateReservation", *what)
        answer = await self._hold(command, wanted)
        reservation = _reservation_of(answer, call)
        return replies.create_reply(reservation)

    async def get(self, request: wire.GetReservationRequest, call: Call) -> wire.GetReservationResponse:
        """Show a reservation."""
        reservation_id = requests.reservation_id_of(request.reservation_id)
        await self._act_as_user_or_owner(request.user_id, reservation_id, call)
        return replies.get_reply(await self._queries.reservation(call.subject, reservation_id))

    async def confirm(
        self, request: wire.ConfirmReservationRequest, call: Call
    ) -> wire.ConfirmReservationResponse:
        """Turn a paid hold into an order."""
        payment = requests.payment_of(request)
        await self._act_as_user_or_owner(request.user_id, payment.reservation_id, call)
        what = (payment.reservation_id, payment.payment_intent_id)
        command = _command(call, request.idempotency_key, "ConfirmReservation", *what)
        answer = await self._confirm(command, payment)
        _reservation_of(answer, call)
        if answer.order is None:
            raise ValueError("a confirm is answered with its order")
        return replies.confirm_reply(answer.order)

    async def cancel(
        self, request: wire.CancelReservationRequest, call: Call
    ) -> wire.CancelReservationResponse:
        """Give the seats back; `reason` changes nothing and is no part of the request."""
        reservation_id = requests.reservation_id_of(request.reservation_id)
        await self._act_as_user_or_owner(request.user_id, reservation_id, call)
        command = _command(call, request.idempotency_key, "CancelReservation", reservation_id)
        answer = await self._cancel(command, reservation_id)
        reservation = _reservation_of(answer, call)
        return replies.cancel_reply(reservation)

    async def extend(self, request: wire.ExtendHoldRequest, call: Call) -> wire.ExtendHoldResponse:
        """Make a hold last longer; `reason` changes nothing and is no part of the request."""
        extension = requests.extension_of(request)
        call.reservation_id = extension.reservation_id
        call.subject = requests.named_user(self._user_of(request.user_id, call))
        what = (extension.reservation_id, str(extension.seconds))
        command = _command(call, request.idempotency_key, "ExtendHold", *what)
        answer = await self._extend(command, extension)
        return replies.extend_reply(_reservation_of(answer, call), answer)

    async def list(self, request: wire.ListReservationsRequest, call: Call) -> wire.ListReservationsResponse:
        """Show a page of the user's reservations.

        Those of other events are left out of the page that they are on, so with an event_id a page may be
        short or empty, and the list still go on: `has_next_page` tells.
        """
        requests.check_list(request)
        call.subject = requests.named_user(self._user_of(request.user_id, call))
        this_list = ListId(LIST, call.subject, f"{request.status}:{request.event_id}")
        cursor = request.pagination.cursor
        after = position_of(this_list, cursor) if cursor else None
        status = requests.STATUSES.get(request.status)
        if request.status and status is None:
            return replies.list_reply((), None, is_first=not cursor)
        page = await self._queries.reservations(call.subject, status, requests.page_size_of(request), after)
        shown = [item for item in page.items if request.event_id in ("", item.event_id)]
        next_cursor = None if page.next is None else cursor_of(this_list, page.next)
        return replies.list_reply(shown, next_cursor, is_first=not cursor)

    async def _act_as_user_or_owner(self, user_id: str, reservation_id: ReservationId, call: Call) -> None:
        """Find out for whom a call about a reservation is made; a gateway that names no user: its owner."""
        call.reservation_id = reservation_id
        user = self._user_of(user_id, call)
        call.subject = await self._queries.owner_of(reservation_id) if user is None else user

    def _user_of(self, user_id: str, call: Call) -> UserId | None:
        """Return the user whom a call is made for, who asks not too often; None if a gateway names none."""
        requests.check_user_id(user_id)
        user = call.identity.speaks_for(user_id)
        if user is not None:
            self._rates.take(user)
        return user


def _command(call: Call, key: str, *what: str) -> Command:
    """Make the command: its hash is over method and fields that have an effect, so that a retry replays."""
    if key:
        requests.check_key(key)
    elif call.identity.is_gateway:
        key = secrets.token_hex(_KEY_BYTES)  # as good as none: nobody can repeat it
    else:
        raise IdempotencyKeyMissingError("an idempotency_key is required")
    return Command(call.subject, key, digest(*what), call.trace_id)


def _reservation_of(answer: Answer, call: Call) -> Reservation:
    """Return the answer's reservation, and note for the log what the command was about."""
    if answer.reservation is None:
        raise ValueError("a command is answered with its reservation")
    call.reservation_id = answer.reservation.reservation_id
    call.replayed = answer.replayed
    return answer.reservation
