"""What is asked of the inventory, as it goes over the wire."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from reservation_api.domain.values import EventId, SeatId
from reservation_api.ports.inventory import CommitSeats, ReleaseSeats, ReserveSeats
from reservation_proto.reservation.v1 import inventory_pb2 as wire

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def reserve_request(request: ReserveSeats) -> wire.ReserveSeatRequest:
    """Ask for a hold, or for a later expiry."""
    return wire.ReserveSeatRequest(
        reservation_id=request.reservation_id,
        event_id=request.event_id,
        seat_ids=request.seat_ids,
        quantity=request.qty,
        user_id=request.user_id,
        hold_expires_at=_timestamp(request.expires_at),
        idempotency_key=request.idempotency_key,
    )


def commit_request(request: CommitSeats) -> wire.CommitReservationRequest:
    """Ask for a sale."""
    return wire.CommitReservationRequest(
        reservation_id=request.reservation_id,
        event_id=request.event_id,
        seat_ids=request.seat_ids,
        quantity=len(request.seat_ids),
        payment_intent_id=request.payment_intent_id,
        user_id=request.user_id,
        idempotency_key=request.idempotency_key,
    )


def release_request(request: ReleaseSeats) -> wire.ReleaseHoldRequest:
    """Give seats back."""
    return wire.ReleaseHoldRequest(
        reservation_id=request.reservation_id,
        event_id=request.event_id,
        seat_ids=request.seat_ids,
        quantity=len(request.seat_ids),
        reason=request.reason,
        idempotency_key=request.idempotency_key,
    )


def availability_request(
    event_id: EventId, seat_ids: Sequence[SeatId], section: str | None
) -> wire.CheckAvailabilityRequest:
    """Ask for free seats; the quantity decides no more than the reply's `available`, which is not read."""
    return wire.CheckAvailabilityRequest(
        event_id=event_id, seat_ids=seat_ids, quantity=len(seat_ids) or 1, section=section
    )


def status_request(event_id: EventId, section: str | None) -> wire.GetInventoryStatusRequest:
    """Ask for an event's counts."""
    return wire.GetInventoryStatusRequest(event_id=event_id, section=section)


def _timestamp(instant: datetime) -> Timestamp:
    """Write an aware instant; protobuf's own conversion takes five times as long."""
    microseconds = (instant - _EPOCH) // _MICROSECOND
    return Timestamp(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1000)
