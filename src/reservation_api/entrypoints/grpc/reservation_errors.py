"""Refusals as `common.v1.Error`: the one table from our errors to the codes that gateways read.

Whatever this service decides is an answer: gRPC status OK, and the reply's `error` says why not. That goes
for callers who prove nothing and for outages too, because gateways look nowhere else. Other gRPC statuses
come from gRPC itself only: deadline passed, call cancelled, message too large, too many calls.
"""

from collections.abc import Iterator, Mapping, Sequence

from reservation_api.domain import errors
from reservation_api.domain.errors import ReservationApiError
from reservation_api.entrypoints.http import refusals
from reservation_proto.common.v1 import errors_pb2 as codes

# UNAVAILABLE says to callers: nobody knows, try again with the same key. So it is the code of every
# outage, whatever is out; UPSTREAM_ERROR and the time-outs would leave them to guess whether they may.
CODES: Mapping[type[ReservationApiError], codes.ErrorCode] = {
    ReservationApiError: codes.ERROR_CODE_INTERNAL,
    errors.RefusedError: codes.ERROR_CODE_FAILED_PRECONDITION,
    errors.InvalidRequestError: codes.ERROR_CODE_INVALID_ARGUMENT,
    errors.NotFoundError: codes.ERROR_CODE_NOT_FOUND,
    errors.SeatsTakenError: codes.ERROR_CODE_INVENTORY_CONFLICT,
    errors.SoldOutError: codes.ERROR_CODE_INSUFFICIENT_INVENTORY,
    errors.WrongStateError: codes.ERROR_CODE_FAILED_PRECONDITION,
    errors.HoldExpiredError: codes.ERROR_CODE_RESERVATION_EXPIRED,
    errors.PaymentRefusedError: codes.ERROR_CODE_PAYMENT_NOT_APPROVED,
    errors.PaymentAlreadyUsedError: codes.ERROR_CODE_ALREADY_EXISTS,
    errors.IdempotencyMismatchError: codes.ERROR_CODE_IDEMPOTENCY_CONFLICT,
    errors.UnavailableError: codes.ERROR_CODE_UNAVAILABLE,
    errors.StoreUnavailableError: codes.ERROR_CODE_UNAVAILABLE,
    errors.InventoryUnavailableError: codes.ERROR_CODE_UNAVAILABLE,
    errors.EventBusUnavailableError: codes.ERROR_CODE_UNAVAILABLE,
    errors.PaymentUnavailableError: codes.ERROR_CODE_UNAVAILABLE,
    errors.IdentityUnavailableError: codes.ERROR_CODE_UNAVAILABLE,
    errors.OverloadedError: codes.ERROR_CODE_UNAVAILABLE,
    # Of what HTTP refuses at the door, the part that goes for callers of any kind.
    refusals.UnauthenticatedError: codes.ERROR_CODE_UNAUTHENTICATED,
    refusals.ForbiddenError: codes.ERROR_CODE_FORBIDDEN,
    refusals.TooManyRequestsError: codes.ERROR_CODE_RATE_LIMITED,
    refusals.IdempotencyKeyMissingError: codes.ERROR_CODE_IDEMPOTENCY_REQUIRED,
}

_OURS = frozenset({codes.ERROR_CODE_INTERNAL, codes.ERROR_CODE_UNAVAILABLE})
_FACTS = ("remaining", "status", "hold_expires_at", "retry_after_seconds")
"""What a client may be told beside faults and taken seats, by the names that HTTP has for it."""


def code_of(error_type: type[ReservationApiError]) -> codes.ErrorCode:
    """Return the code of an error class, or of its nearest base that has one."""
    return next(CODES[base] for base in error_type.__mro__ if base in CODES)


def is_our_failure(error: ReservationApiError) -> bool:
    """Tell whether an operator should hear of it."""
    return code_of(type(error)) in _OURS


def error_of(error: ReservationApiError, trace_id: str) -> codes.Error:
    """Render a refusal; one that is on record shows the trace of the request first answered with it."""
    return codes.Error(
        code=code_of(type(error)),
        message=error.message,
        trace_id=error.trace_id or trace_id,
        details=_details(error.data),
    )


def _details(data: Mapping[str, object]) -> Iterator[codes.ErrorDetail]:
    """Yield a detail for each fault (`field: what is wrong`), each taken seat and each other fact."""
    for fault in _listed(data, "errors"):
        field, _, reason = str(fault).partition(": ")
        yield codes.ErrorDetail(field=field, reason=reason)
    for seat_id in _listed(data, "conflicts"):
        yield codes.ErrorDetail(field="seat_ids", reason="taken", value=str(seat_id))
    for name in _FACTS:
        if name in data:
            yield codes.ErrorDetail(field=name, value=str(data[name]))


def _listed(data: Mapping[str, object], name: str) -> Sequence[object]:
    listed = data.get(name)
    return listed if isinstance(listed, list | tuple) else ()
