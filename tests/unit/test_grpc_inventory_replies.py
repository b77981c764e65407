"""Replies of the inventory: what is wrong in itself is not believed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.support.clock import FakeClock
from tests.support.grpc_peers import CannedPeer
from tests.support.venues import EVENT, HOLD, ids, return_of, sale, wanted

from reservation_api.adapters.grpc_inventory.inventory import GrpcInventory
from reservation_api.domain.errors import InventoryUnavailableError
from reservation_api.domain.values import EventId, Money, Seat, SeatId
from reservation_api.ports.inventory import (
    MAX_LISTED_SEATS,
    CommitOutcome,
    HoldEndedError,
    ReleaseOutcome,
    SeatHold,
    SectionStatus,
)
from reservation_proto.common.v1 import errors_pb2 as codes
from reservation_proto.common.v1 import types_pb2 as types
from reservation_proto.reservation.v1 import inventory_pb2 as wire

NOW = FakeClock().now()
ASKED = wanted("r1", "A-1-1 A-1-2", NOW + HOLD)


def seat(seat_id: str = "A-1-1", amount: int = 120_000, currency: str = "KRW") -> types.Seat:
    price = types.Money(amount=amount, currency=currency)
    return types.Seat(id=seat_id, section="A", row="1", number="1", price=price)


def hold() -> wire.ReserveSeatResponse:
    return wire.ReserveSeatResponse(
        hold_id="h1",
        reserved_seats=[seat("A-1-1"), seat("A-1-2")],
        hold_expires_at=NOW + HOLD,
        status=wire.HOLD_STATUS_ACTIVE,
    )


def section() -> wire.SectionInventory:
    return wire.SectionInventory(
        section_id="A",
        section_name="Stalls",
        total_seats=10,
        available_seats=4,
        reserved_seats=3,
        sold_seats=2,
        blocked_seats=1,
        min_price=types.Money(amount=1, currency="KRW"),
        max_price=types.Money(amount=2, currency="KRW"),
    )


def counts() -> wire.GetInventoryStatusResponse:
    event = types.Event(id=EVENT, name="An event")
    return wire.GetInventoryStatusResponse(event=event, sections=[section()])


async def reserved(reply: wire.ReserveSeatResponse) -> SeatHold:
    return await GrpcInventory(CannedPeer(reply)).reserve(ASKED)


async def test_a_sound_hold_is_believed() -> None:
    answer = await reserved(hold())
    price = Money(120_000, "KRW")
    assert answer == SeatHold(
        (Seat(SeatId("A-1-1"), "A", "1", "1", price), Seat(SeatId("A-1-2"), "A", "1", "1", price)),
        NOW + HOLD,
    )


async def test_an_expiry_is_cut_to_the_millisecond_never_rounded_up() -> None:
    reply = hold()
    reply.hold_expires_at.CopyFrom(Timestamp(seconds=1_800_000_000, nanos=999_999_999))
    answer = await reserved(reply)
    assert answer.expires_at == datetime.fromtimestamp(1_800_000_000, UTC) + timedelta(milliseconds=999)


async def test_a_free_seat_costs_nothing_and_that_is_a_price() -> None:
    reply = hold()
    reply.reserved_seats[0].price.amount = 0
    assert (await reserved(reply)).seats[0].price == Money(0, "KRW")


async def test_seats_that_nobody_asked_for_are_handed_on_so_that_the_use_case_gives_them_back() -> None:
    reply = hold()
    reply.reserved_seats[0].id = "Z-9-9"
    assert [seat.seat_id for seat in (await reserved(reply)).seats] == ["Z-9-9", "A-1-2"]


HOLDS: dict[str, Callable[[wire.ReserveSeatResponse], object]] = {
    "no status": lambda reply: reply.ClearField("status"),
    "a status of tomorrow": lambda reply: setattr(reply, "status", 9),
    "no seats": lambda reply: reply.ClearField("reserved_seats"),
    "eleven seats": lambda reply: reply.reserved_seats.extend(seat(f"B-{n}") for n in range(9)),
    "a seat twice": lambda reply: setattr(reply.reserved_seats[1], "id", "A-1-1"),
    "a seat without an id": lambda reply: reply.reserved_seats[0].ClearField("id"),
    "a seat with an endless id": lambda reply: setattr(reply.reserved_seats[0], "id", "A" * 257),
    "a seat in a state of tomorrow": lambda reply: setattr(reply.reserved_seats[0], "status", 9),
    "a seat without a price": lambda reply: reply.reserved_seats[0].ClearField("price"),
    "a negative price": lambda reply: setattr(reply.reserved_seats[0].price, "amount", -1),
    "a price that overflows": lambda reply: setattr(reply.reserved_seats[0].price, "amount", 2**63 - 1),
    "a price in nothing": lambda reply: setattr(reply.reserved_seats[0].price, "currency", ""),
    "a price in words": lambda reply: setattr(reply.reserved_seats[0].price, "currency", "won"),
    "no expiry": lambda reply: reply.ClearField("hold_expires_at"),
    "an expiry never set": lambda reply: reply.hold_expires_at.CopyFrom(Timestamp()),
    "an expiry that is no instant": lambda reply: setattr(reply.hold_expires_at, "seconds", 2**62),
    "an expiry with too many nanoseconds": lambda reply: setattr(reply.hold_expires_at, "nanos", 2**30),
    "an expiry at the end of time": lambda reply: setattr(reply.hold_expires_at, "seconds", 253402300799),
}


@pytest.mark.parametrize("spoil", HOLDS.values(), ids=HOLDS)
async def test_a_hold_that_can_not_be_is_not_believed(
    spoil: Callable[[wire.ReserveSeatResponse], object],
) -> None:
    reply = hold()
    spoil(reply)
    with pytest.raises(InventoryUnavailableError, match="can not be believed"):
        await reserved(reply)


@pytest.mark.parametrize(
    "status", [wire.HOLD_STATUS_EXPIRED, wire.HOLD_STATUS_RELEASED, wire.HOLD_STATUS_COMMITTED]
)
async def test_a_hold_that_is_over_is_refused_also_without_an_error(status: wire.HoldStatus) -> None:
    reply = hold()
    reply.status = status
    with pytest.raises(HoldEndedError):
        await reserved(reply)


COMMIT_STATUSES = {
    wire.COMMIT_STATUS_SUCCESS: CommitOutcome.SOLD,
    wire.COMMIT_STATUS_FAILED_PAYMENT: CommitOutcome.PAYMENT_REFUSED,
    wire.COMMIT_STATUS_FAILED_EXPIRED: CommitOutcome.HOLD_EXPIRED,
    wire.COMMIT_STATUS_FAILED_CONFLICT: CommitOutcome.SEATS_CONFLICT,
}
RELEASE_STATUSES = {
    wire.RELEASE_STATUS_SUCCESS: ReleaseOutcome.RELEASED,
    wire.RELEASE_STATUS_ALREADY_RELEASED: ReleaseOutcome.ALREADY_RELEASED,
    wire.RELEASE_STATUS_NOT_FOUND: ReleaseOutcome.NOT_FOUND,
    wire.RELEASE_STATUS_FAILED: ReleaseOutcome.FAILED,
}


async def committed(reply: wire.CommitReservationResponse) -> CommitOutcome:
    return await GrpcInventory(CannedPeer(reply)).commit(sale("r1", "A-1-1 A-1-2"))


@pytest.mark.parametrize("status", [*wire.CommitStatus.values(), 9])
async def test_every_status_of_a_commit_is_an_outcome_or_unknown(status: wire.CommitStatus) -> None:
    seats = [types.Seat(id="A-1-2"), types.Seat(id="A-1-1")]
    reply = wire.CommitReservationResponse(status=status, sold_seats=seats)
    if status in COMMIT_STATUSES:
        assert await committed(reply) is COMMIT_STATUSES[status]
    else:
        with pytest.raises(InventoryUnavailableError):
            await committed(reply)


@pytest.mark.parametrize("seats", ["", "A-1-1", "A-1-1 A-1-3", "A-1-1 A-1-2 A-1-3", "A-1-1 A-1-2 A-1-2"])
async def test_a_sale_of_other_seats_than_were_asked_for_is_not_believed(seats: str) -> None:
    reply = wire.CommitReservationResponse(
        status=wire.COMMIT_STATUS_SUCCESS, sold_seats=[types.Seat(id=name) for name in seats.split()]
    )
    with pytest.raises(InventoryUnavailableError, match="can not be believed"):
        await committed(reply)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (wire.COMMIT_STATUS_SUCCESS, codes.ERROR_CODE_RESERVATION_EXPIRED),
        (wire.COMMIT_STATUS_SUCCESS, codes.ERROR_CODE_UNSPECIFIED),
        (wire.COMMIT_STATUS_FAILED_EXPIRED, codes.ERROR_CODE_INTERNAL),
        (wire.COMMIT_STATUS_FAILED_EXPIRED, codes.ERROR_CODE_PAYMENT_NOT_APPROVED),
    ],
)
async def test_a_commit_that_contradicts_itself_is_unknown(
    status: wire.CommitStatus, code: codes.ErrorCode
) -> None:
    seats = [types.Seat(id="A-1-1"), types.Seat(id="A-1-2")]
    error = codes.Error(code=code)
    with pytest.raises(InventoryUnavailableError):
        await committed(wire.CommitReservationResponse(status=status, sold_seats=seats, error=error))


async def test_a_commit_that_says_the_same_twice_is_believed() -> None:
    error = codes.Error(code=codes.ERROR_CODE_RESERVATION_EXPIRED)
    reply = wire.CommitReservationResponse(status=wire.COMMIT_STATUS_FAILED_EXPIRED, error=error)
    assert await committed(reply) is CommitOutcome.HOLD_EXPIRED


@pytest.mark.parametrize("status", [*wire.ReleaseStatus.values(), 9])
async def test_every_status_of_a_release_is_an_outcome_or_unknown(status: wire.ReleaseStatus) -> None:
    inventory = GrpcInventory(CannedPeer(wire.ReleaseHoldResponse(status=status)))
    if status in RELEASE_STATUSES:
        assert await inventory.release(return_of("r1")) is RELEASE_STATUSES[status]
    else:
        with pytest.raises(InventoryUnavailableError):
            await inventory.release(return_of("r1"))


async def test_a_release_that_failed_inside_the_inventory_is_unknown_not_refused() -> None:
    error = codes.Error(code=codes.ERROR_CODE_INTERNAL)
    reply = wire.ReleaseHoldResponse(status=wire.RELEASE_STATUS_FAILED, error=error)
    with pytest.raises(InventoryUnavailableError):
        await GrpcInventory(CannedPeer(reply)).release(return_of("r1"))


async def test_a_list_of_free_seats_is_cut_and_its_count_is_not() -> None:
    seats = [seat(f"A-{n}") for n in range(MAX_LISTED_SEATS + 1)]
    reply = wire.CheckAvailabilityResponse(available_seats=seats, remaining_in_section=501)
    answer = await GrpcInventory(CannedPeer(reply)).availability(EVENT)
    assert (len(answer.available_seats), answer.remaining) == (MAX_LISTED_SEATS, 501)


@pytest.mark.parametrize(
    "reply",
    [
        wire.CheckAvailabilityResponse(available_seats=[seat("Z-9-9")]),
        wire.CheckAvailabilityResponse(unavailable_seat_ids=["Z-9-9"]),
        wire.CheckAvailabilityResponse(available_seats=[types.Seat(id="A-1-1")]),
        wire.CheckAvailabilityResponse(remaining_in_section=-1),
    ],
    ids=["a free seat nobody asked for", "a taken one", "no price", "a negative count"],
)
async def test_an_availability_that_can_not_be_is_not_believed(reply: wire.CheckAvailabilityResponse) -> None:
    with pytest.raises(InventoryUnavailableError, match="can not be believed"):
        await GrpcInventory(CannedPeer(reply)).availability(EVENT, seat_ids=ids("A-1-1"))


async def test_sound_counts_are_believed() -> None:
    status = await GrpcInventory(CannedPeer(counts())).status(EVENT)
    assert (status.event_id, status.name) == (EVENT, "An event")
    assert status.sections == (SectionStatus("A", 10, 4, 3, 2, 1, Money(1, "KRW"), Money(2, "KRW")),)


def nameless(reply: wire.GetInventoryStatusResponse) -> None:
    reply.sections[0].section_id = reply.sections[0].section_name = ""


STATUSES: dict[str, Callable[[wire.GetInventoryStatusResponse], object]] = {
    "no event": lambda reply: reply.ClearField("event"),
    "another event": lambda reply: setattr(reply.event, "id", EventId("evt_2")),
    "a section without a name": nameless,
    "a negative count": lambda reply: setattr(reply.sections[0], "sold_seats", -1),
    "no price": lambda reply: reply.sections[0].ClearField("min_price"),
    "two currencies": lambda reply: setattr(reply.sections[0].max_price, "currency", "USD"),
    "the lowest above the highest": lambda reply: setattr(reply.sections[0].min_price, "amount", 3),
}


@pytest.mark.parametrize("spoil", STATUSES.values(), ids=STATUSES)
async def test_counts_that_can_not_be_are_not_believed(
    spoil: Callable[[wire.GetInventoryStatusResponse], object],
) -> None:
    reply = counts()
    spoil(reply)
    with pytest.raises(InventoryUnavailableError, match="can not be believed"):
        await GrpcInventory(CannedPeer(reply)).status(EVENT)
