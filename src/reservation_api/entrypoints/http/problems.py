"""Refusals as RFC 9457 problem details: the one table from error to status."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from msgspec import UNSET

from reservation_api.domain import errors
from reservation_api.domain.errors import ReservationApiError, UnavailableError
from reservation_api.entrypoints.http import refusals
from reservation_api.entrypoints.http.request import SAFETY_HEADERS, HeaderList, Response
from reservation_api.entrypoints.http.wire import Problem, encode

PROBLEM_TYPE_PREFIX = "urn:traffic-tacos:reservation:"
RETRY_AFTER_SECONDS = 1
"""Outages that outlast this are met by clients backing off; shorter ones should cost no more.

An error that knows better says so in its data, as `retry_after_seconds`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a class of errors is answered."""

    status: int
    title: str


KINDS: Mapping[type[ReservationApiError], Kind] = {
    ReservationApiError: Kind(500, "Internal error"),
    errors.RefusedError: Kind(409, "Refused"),
    errors.InvalidRequestError: Kind(400, "Invalid request"),
    errors.NotFoundError: Kind(404, "Not found"),
    errors.SeatsTakenError: Kind(409, "Seats are taken"),
    errors.SoldOutError: Kind(409, "Not enough free seats"),
    errors.WrongStateError: Kind(409, "The reservation's state forbids this"),
    errors.HoldExpiredError: Kind(410, "The hold has expired"),
    errors.PaymentRefusedError: Kind(402, "Payment refused"),
    errors.PaymentAlreadyUsedError: Kind(409, "Payment already used"),
    errors.IdempotencyMismatchError: Kind(422, "Idempotency-Key used for another request"),
    errors.UnavailableError: Kind(503, "Temporarily unavailable"),
    errors.StoreUnavailableError: Kind(503, "The store is unavailable"),
    errors.InventoryUnavailableError: Kind(503, "The inventory is unavailable"),
    errors.EventBusUnavailableError: Kind(503, "The event bus is unavailable"),
    errors.PaymentUnavailableError: Kind(503, "The payment service is unavailable"),
    errors.IdentityUnavailableError: Kind(503, "The token issuer is unavailable"),
    errors.OverloadedError: Kind(503, "Overloaded"),
    refusals.HttpRefusedError: Kind(400, "Refused"),
    refusals.UnauthenticatedError: Kind(401, "Authentication required"),
    refusals.ForbiddenError: Kind(403, "Forbidden"),
    refusals.NoSuchPathError: Kind(404, "Not found"),
    refusals.MethodNotAllowedError: Kind(405, "Method not allowed"),
    refusals.TooManyRequestsError: Kind(429, "Too many requests"),
    refusals.PayloadTooLargeError: Kind(413, "Payload too large"),
    refusals.UnsupportedMediaTypeError: Kind(415, "Unsupported media type"),
    refusals.IncompleteBodyError: Kind(400, "Incomplete body"),
    refusals.SlowBodyError: Kind(408, "Request timeout"),
    refusals.IdempotencyKeyMissingError: Kind(400, "Idempotency-Key missing"),
    refusals.IdempotencyKeyMalformedError: Kind(400, "Idempotency-Key malformed"),
}

PROBLEM_HEADERS: HeaderList = [("content-type", "application/problem+json"), *SAFETY_HEADERS]


def problem_response(error: ReservationApiError, trace_id: str) -> Response:
    """Render a refusal; one that is on record shows the trace of the request first answered with it."""
    kind = kind_of(type(error))
    body = encode(_problem(kind, error, error.trace_id or trace_id))
    headers = _headers(error)
    if error.replayed:
        headers = [*headers, ("idempotency-replayed", "true")]
    return Response(kind.status, headers, body)


def kind_of(error_type: type[ReservationApiError]) -> Kind:
    """Return the row of an error class, or of its nearest base that has one."""
    return next(KINDS[base] for base in error_type.__mro__ if base in KINDS)


def _problem(kind: Kind, error: ReservationApiError, trace_id: str) -> Problem:
    data: Mapping[str, Any] = error.data
    return Problem(
        type=PROBLEM_TYPE_PREFIX + error.code,
        title=kind.title,
        status=kind.status,
        detail=error.message,
        code=error.code,
        trace_id=trace_id,
        errors=data.get("errors", UNSET),
        conflicts=data.get("conflicts", UNSET),
        remaining=data.get("remaining", UNSET),
        reservation_status=data.get("status", UNSET),
        hold_expires_at=data.get("hold_expires_at", UNSET),
    )


def _headers(error: ReservationApiError) -> HeaderList:
    match error:
        case UnavailableError() | refusals.TooManyRequestsError():
            seconds = ceil(error.data.get("retry_after_seconds", RETRY_AFTER_SECONDS))
            return [*PROBLEM_HEADERS, ("retry-after", str(max(seconds, 1)))]
        case refusals.UnauthenticatedError(invalid=invalid):
            return [*PROBLEM_HEADERS, ("www-authenticate", _challenge("invalid_token" if invalid else None))]
        case refusals.ForbiddenError(scope=scope):
            challenge = _challenge("insufficient_scope") + f', scope="{scope}"'
            return [*PROBLEM_HEADERS, ("www-authenticate", challenge)]
        case refusals.MethodNotAllowedError(allow=allow):
            return [*PROBLEM_HEADERS, ("allow", allow)]
        case _:
            return PROBLEM_HEADERS


def _challenge(error: str | None) -> str:
    return "Bearer" if error is None else f'Bearer error="{error}"'
