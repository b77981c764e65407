"""Refusals as `common.v1.Error`: the one table from the domain's errors to codes of the wire.

A refusal goes into the reply's `error` with gRPC status OK: that is where callers look for it. What
leaves the outcome unknown is a gRPC status instead, and never gets here.
"""

from collections.abc import Mapping

from reservation_api.domain import errors
from reservation_api.domain.errors import RefusedError
from reservation_api.ports.inventory import HoldEndedError
from reservation_proto.common.v1 import errors_pb2 as codes

CODES: Mapping[type[Exception], codes.ErrorCode] = {
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
    HoldEndedError: codes.ERROR_CODE_RESERVATION_EXPIRED,
}


def error_of(refusal: RefusedError | HoldEndedError, trace_id: str) -> codes.Error:
    """Render a refusal with its data as details."""
    code = next(CODES[base] for base in type(refusal).__mro__ if base in CODES)
    details = _details(refusal.data) if isinstance(refusal, RefusedError) else []
    return codes.Error(code=code, message=str(refusal), trace_id=trace_id, details=details)


def _details(data: Mapping[str, object]) -> list[codes.ErrorDetail]:
    """One detail for each taken seat, for each fault (`field: what is wrong`), and for other facts."""
    details = []
    for name, value in data.items():
        listed = value if isinstance(value, list) else [value]
        details += [_detail(name, str(item)) for item in listed]
    return details


def _detail(name: str, text: str) -> codes.ErrorDetail:
    match name:
        case "conflicts":
            return codes.ErrorDetail(field="seat_ids", reason="taken", value=text)
        case "errors":
            field, _, fault = text.partition(": ")
            return codes.ErrorDetail(field=field, reason=fault)
        case _:
            return codes.ErrorDetail(field=name, value=text)
