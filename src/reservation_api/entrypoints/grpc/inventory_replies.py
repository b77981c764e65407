"""What an inventory answers, as it goes over the wire."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from reservation_api.entrypoints.grpc.common_messages import money_message, seat_messages
from reservation_api.ports.inventory import (
    Availability,
    CommitOutcome,
    CommitSeats,
    InventoryStatus,
    ReleaseOutcome,
    ReserveSeats,
    SeatHold,
    SectionStatus,
)
from reservation_proto.common.v1 import errors_pb2 as codes
from reservation_proto.common.v1 import types_pb2 as types
from reservation_proto.reservation.v1 import inventory_pb2 as wire

COMMITS: Mapping[CommitOutcome, tuple[wire.CommitStatus, codes.ErrorCode | None]] = {
    CommitOutcome.SOLD: (wire.COMMIT_STATUS_SUCCESS, None),
    CommitOutcome.PAYMENT_REFUSED: (
        wire.COMMIT_STATUS_FAILED_PAYMENT,
        codes.ERROR_CODE_PAYMENT_NOT_APPROVED,
    ),
    CommitOutcome.HOLD_EXPIRED: (wire.COMMIT_STATUS_FAILED_EXPIRED, codes.ERROR_CODE_RESERVATION_EXPIRED),
    CommitOutcome.SEATS_CONFLICT: (wire.COMMIT_STATUS_FAILED_CONFLICT, codes.ERROR_CODE_INVENTORY_CONFLICT),
}
# An id that is unknown or released holds nothing, which is what a release is for: no error.
RELEASES: Mapping[ReleaseOutcome, tuple[wire.ReleaseStatus, codes.ErrorCode | None]] = {
    ReleaseOutcome.RELEASED: (wire.RELEASE_STATUS_SUCCESS, None),
    ReleaseOutcome.ALREADY_RELEASED: (wire.RELEASE_STATUS_ALREADY_RELEASED, None),
    ReleaseOutcome.NOT_FOUND: (wire.RELEASE_STATUS_NOT_FOUND, None),
    ReleaseOutcome.FAILED: (wire.RELEASE_STATUS_FAILED, codes.ERROR_CODE_FAILED_PRECONDITION),
}


def reserve_reply(request: ReserveSeats, hold: SeatHold) -> wire.ReserveSeatResponse:
    """Name the seats with their prices, and the expiry that counts; the hold's id is the reservation's."""
    return wire.ReserveSeatResponse(
        hold_id=request.reservation_id,
        reserved_seats=seat_messages(hold.seats, types.SEAT_STATUS_RESERVED),
        hold_expires_at=hold.expires_at,
        status=wire.HOLD_STATUS_ACTIVE,
    )


def commit_reply(
    request: CommitSeats, outcome: CommitOutcome, now: datetime, trace_id: str
) -> wire.CommitReservationResponse:
    """Name the seats if they are sold: they are the ones asked for, or it is a conflict.

    Without prices: they were told when the seats were held, and the port does not repeat them.
    """
    status, code = COMMITS[outcome]
    if code is not None:
        error = codes.Error(code=code, message="the seats are not sold", trace_id=trace_id)
        return wire.CommitReservationResponse(status=status, error=error)
    return wire.CommitReservationResponse(
        order_id=request.reservation_id,
        sold_seats=[types.Seat(id=seat_id, status=types.SEAT_STATUS_SOLD) for seat_id in request.seat_ids],
        status=status,
        committed_at=now,
    )


def release_reply(outcome: ReleaseOutcome, now: datetime, trace_id: str) -> wire.ReleaseHoldResponse:
    """Say what came of a release; it names no seats: the port frees what the id holds, whatever it is."""
    status, code = RELEASES[outcome]
    if code is not None:
        error = codes.Error(code=code, message="the seats are sold", trace_id=trace_id)
        return wire.ReleaseHoldResponse(status=status, error=error)
    return wire.ReleaseHoldResponse(status=status, released_at=now)


def availability_reply(
    request: wire.CheckAvailabilityRequest, answer: Availability
) -> wire.CheckAvailabilityResponse:
    """List free seats; `available` tells of the seats asked for, or else of their number."""
    enough = answer.remaining >= max(request.quantity, 1)
    return wire.CheckAvailabilityResponse(
        available=not answer.unavailable_seat_ids if request.seat_ids else enough,
        available_seats=seat_messages(answer.available_seats, types.SEAT_STATUS_AVAILABLE),
        unavailable_seat_ids=answer.unavailable_seat_ids,
        remaining_in_section=answer.remaining,
    )


def status_reply(status: InventoryStatus, now: datetime) -> wire.GetInventoryStatusResponse:
    """Count seats by section and in sum."""
    stats = _sums(status.sections)
    stats.last_updated.FromDatetime(now)
    event = types.Event(
        id=status.event_id,
        name=status.name,
        total_seats=stats.total_seats,
        remaining_seats=stats.available_seats,
    )
    return wire.GetInventoryStatusResponse(event=event, sections=map(_section, status.sections), stats=stats)


def _sums(sections: Iterable[SectionStatus]) -> wire.InventoryStats:
    stats = wire.InventoryStats()
    for section in sections:
        stats.total_seats += section.total
        stats.available_seats += section.available
        stats.reserved_seats += section.held
        stats.sold_seats += section.sold
        stats.blocked_seats += section.blocked
    stats.availability_percentage = 100 * stats.available_seats / max(stats.total_seats, 1)
    return stats


def _section(section: SectionStatus) -> wire.SectionInventory:
    return wire.SectionInventory(
        section_id=section.section,
        section_name=section.section,
        total_seats=section.total,
        available_seats=section.available,
        reserved_seats=section.held,
        sold_seats=section.sold,
        blocked_seats=section.blocked,
        min_price=money_message(section.min_price),
        max_price=money_message(section.max_price),
    )
