"""What callers ask of an inventory: checked and read, before the inventory is asked."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from reservation_api.domain.errors import InvalidRequestError
from reservation_api.domain.values import EventId, PaymentIntentId, ReservationId, SeatId, UserId
from reservation_api.ports.inventory import MAX_LISTED_SEATS, CommitSeats, ReleaseSeats, ReserveSeats
from reservation_proto.reservation.v1 import inventory_pb2 as wire

MAX_TEXT_LENGTH = 256
"""Of an id, a key, a name, a reason."""


def reserve_seats(request: wire.ReserveSeatRequest) -> ReserveSeats:
    """Read a reserve; raises InvalidRequestError."""
    _check_texts(
        {
            "reservation_id": request.reservation_id,
            "event_id": request.event_id,
            "idempotency_key": request.idempotency_key,
        }
    )
    if not request.HasField("hold_expires_at"):
        raise _invalid(["hold_expires_at: must be set"])
    return ReserveSeats(
        reservation_id=ReservationId(request.reservation_id),
        event_id=EventId(request.event_id),
        user_id=UserId(request.user_id),
        seat_ids=seat_ids_of(request.seat_ids),
        qty=request.quantity,
        expires_at=_instant(request.hold_expires_at),
        idempotency_key=request.idempotency_key,
    )


def commit_seats(request: wire.CommitReservationRequest) -> CommitSeats:
    """Read a commit; raises InvalidRequestError."""
    _check_texts({"reservation_id": request.reservation_id, "event_id": request.event_id})
    return CommitSeats(
        reservation_id=ReservationId(request.reservation_id),
        event_id=EventId(request.event_id),
        user_id=UserId(request.user_id),
        seat_ids=seat_ids_of(request.seat_ids),
        payment_intent_id=PaymentIntentId(request.payment_intent_id),
        idempotency_key=request.idempotency_key,
    )


def release_seats(request: wire.ReleaseHoldRequest) -> ReleaseSeats:
    """Read a release; raises InvalidRequestError."""
    _check_texts({"reservation_id": request.reservation_id, "event_id": request.event_id})
    return ReleaseSeats(
        reservation_id=ReservationId(request.reservation_id),
        event_id=EventId(request.event_id),
        seat_ids=seat_ids_of(request.seat_ids),
        reason=request.reason,
        idempotency_key=request.idempotency_key,
    )


def event_of(request: wire.CheckAvailabilityRequest | wire.GetInventoryStatusRequest) -> EventId:
    """Read the event of a question; raises InvalidRequestError."""
    _check_texts({"event_id": request.event_id})
    return EventId(request.event_id)


def seat_ids_of(seat_ids: Iterable[str]) -> tuple[SeatId, ...]:
    """Read seat ids; raises InvalidRequestError for too many, or one that can be none."""
    read = tuple(map(SeatId, seat_ids))
    if len(read) > MAX_LISTED_SEATS:
        raise _invalid([f"seat_ids: at most {MAX_LISTED_SEATS}"])
    if not all(0 < len(seat_id) <= MAX_TEXT_LENGTH for seat_id in read):
        raise _invalid([f"seat_ids: each must be 1 to {MAX_TEXT_LENGTH} characters"])
    return read


def _check_texts(texts: Mapping[str, str]) -> None:
    faults = [
        f"{name}: must be 1 to {MAX_TEXT_LENGTH} characters"
        for name, text in texts.items()
        if not 0 < len(text) <= MAX_TEXT_LENGTH
    ]
    if faults:
        raise _invalid(faults)


def _instant(timestamp: Timestamp) -> datetime:
    try:
        return timestamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise _invalid(["hold_expires_at: not an instant"]) from error


def _invalid(faults: list[str]) -> InvalidRequestError:
    return InvalidRequestError("the request can not be read", errors=faults)
