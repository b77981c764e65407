"""What the inventory's codes and statuses mean: every one of them, for every call."""

from collections.abc import Mapping

import grpc
import pytest
from tests.support.clock import FakeClock
from tests.support.grpc_peers import CannedPeer
from tests.support.venues import EVENT, HOLD, return_of, sale, wanted

from reservation_api.adapters.grpc_inventory.inventory import GrpcInventory
from reservation_api.adapters.grpc_inventory.meanings import MEANINGS, STATUSES
from reservation_api.domain.errors import (
    InvalidRequestError,
    InventoryUnavailableError,
    NotFoundError,
    SeatsTakenError,
    SoldOutError,
)
from reservation_api.ports.inventory import CommitOutcome, HoldEndedError, ReleaseOutcome
from reservation_proto.common.v1 import errors_pb2 as codes
from reservation_proto.reservation.v1 import inventory_pb2 as wire

ALL_CODES = codes.ErrorCode.values()
A_CODE_OF_TOMORROW = 99
UNKNOWN = InventoryUnavailableError

REFUSALS: Mapping[int, type[Exception]] = {
    codes.ERROR_CODE_INVALID_ARGUMENT: InvalidRequestError,
    codes.ERROR_CODE_FAILED_PRECONDITION: InvalidRequestError,
    codes.ERROR_CODE_NOT_FOUND: NotFoundError,
    codes.ERROR_CODE_RESERVATION_EXPIRED: HoldEndedError,
    codes.ERROR_CODE_INVENTORY_CONFLICT: SeatsTakenError,
    codes.ERROR_CODE_INSUFFICIENT_INVENTORY: SoldOutError,
}
COMMITS: Mapping[int, CommitOutcome] = {
    codes.ERROR_CODE_NOT_FOUND: CommitOutcome.HOLD_EXPIRED,
    codes.ERROR_CODE_RESERVATION_EXPIRED: CommitOutcome.HOLD_EXPIRED,
    codes.ERROR_CODE_PAYMENT_NOT_APPROVED: CommitOutcome.PAYMENT_REFUSED,
    codes.ERROR_CODE_INVENTORY_CONFLICT: CommitOutcome.SEATS_CONFLICT,
    codes.ERROR_CODE_INSUFFICIENT_INVENTORY: CommitOutcome.SEATS_CONFLICT,
}
RELEASES: Mapping[int, ReleaseOutcome] = {
    codes.ERROR_CODE_NOT_FOUND: ReleaseOutcome.NOT_FOUND,
    codes.ERROR_CODE_RESERVATION_EXPIRED: ReleaseOutcome.ALREADY_RELEASED,
    codes.ERROR_CODE_INVALID_ARGUMENT: ReleaseOutcome.FAILED,
    codes.ERROR_CODE_FAILED_PRECONDITION: ReleaseOutcome.FAILED,
    codes.ERROR_CODE_INVENTORY_CONFLICT: ReleaseOutcome.FAILED,
}
QUESTION_STATUSES = {
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
}

each_code = pytest.mark.parametrize("code", [*ALL_CODES, A_CODE_OF_TOMORROW])
each_failure = pytest.mark.parametrize("status", [s for s in grpc.StatusCode if s is not grpc.StatusCode.OK])


def failing(code: int, *details: codes.ErrorDetail) -> codes.Error:
    return codes.Error(code=code, message="SELECT secret", details=details)  # type: ignore[arg-type]


def test_every_code_and_every_status_has_its_row() -> None:
    assert MEANINGS.keys() == set(ALL_CODES)
    assert STATUSES.keys() == set(grpc.StatusCode)


@each_code
async def test_a_reserve_raises_what_its_code_says(code: int) -> None:
    inventory = GrpcInventory(CannedPeer(wire.ReserveSeatResponse(error=failing(code))))
    with pytest.raises(REFUSALS.get(code, UNKNOWN)) as refusal:
        await inventory.reserve(wanted("r1", "A-1-1", FakeClock().now() + HOLD))
    assert type(refusal.value) is REFUSALS.get(code, UNKNOWN)
    assert "secret" not in str(refusal.value)


@each_code
async def test_a_question_raises_what_its_code_says(code: int) -> None:
    expected = REFUSALS.get(code, UNKNOWN)
    counts = GrpcInventory(CannedPeer(wire.GetInventoryStatusResponse(error=failing(code))))
    with pytest.raises(expected):
        await counts.status(EVENT)
    seats = GrpcInventory(CannedPeer(wire.CheckAvailabilityResponse(error=failing(code))))
    with pytest.raises(expected):
        await seats.availability(EVENT)


@each_code
async def test_a_commit_has_an_outcome_or_is_unknown_and_never_refused(code: int) -> None:
    inventory = GrpcInventory(CannedPeer(wire.CommitReservationResponse(error=failing(code))))
    if code in COMMITS:
        assert await inventory.commit(sale("r1", "A-1-1")) is COMMITS[code]
    else:
        with pytest.raises(UNKNOWN) as unknown:
            await inventory.commit(sale("r1", "A-1-1"))
        assert "secret" not in str(unknown.value)


@each_code
async def test_a_release_has_an_outcome_or_is_unknown(code: int) -> None:
    inventory = GrpcInventory(CannedPeer(wire.ReleaseHoldResponse(error=failing(code))))
    if code in RELEASES:
        assert await inventory.release(return_of("r1", "A-1-1")) is RELEASES[code]
    else:
        with pytest.raises(UNKNOWN):
            await inventory.release(return_of("r1", "A-1-1"))


@each_failure
async def test_a_status_is_unknown_but_for_what_only_an_inventory_says(status: grpc.StatusCode) -> None:
    expected = QUESTION_STATUSES.get(status, UNKNOWN)
    inventory = GrpcInventory(CannedPeer(status))
    with pytest.raises(expected):
        await inventory.reserve(wanted("r1", "A-1-1", FakeClock().now() + HOLD))
    with pytest.raises(expected):
        await inventory.status(EVENT)
    with pytest.raises(expected):
        await inventory.availability(EVENT)


@each_failure
async def test_no_status_says_what_came_of_a_commit_or_a_release(status: grpc.StatusCode) -> None:
    inventory = GrpcInventory(CannedPeer(status))
    with pytest.raises(UNKNOWN):
        await inventory.commit(sale("r1", "A-1-1"))
    with pytest.raises(UNKNOWN):
        await inventory.release(return_of("r1", "A-1-1"))


async def test_taken_seats_are_named_by_the_details() -> None:
    details = [
        codes.ErrorDetail(field="seat_ids", reason="taken", value="A-1-2"),
        codes.ErrorDetail(field="seat_ids", reason="taken", value="A-1-2"),
        codes.ErrorDetail(field="unavailable_seat_ids", value="A-1-1"),
        codes.ErrorDetail(field="trace", value="x"),
    ]
    error = failing(codes.ERROR_CODE_INVENTORY_CONFLICT, *details)
    inventory = GrpcInventory(CannedPeer(wire.ReserveSeatResponse(error=error)))
    with pytest.raises(SeatsTakenError) as refusal:
        await inventory.reserve(wanted("r1", "A-1-1 A-1-2", FakeClock().now() + HOLD))
    assert refusal.value.data == {"conflicts": ["A-1-2", "A-1-1"]}


@pytest.mark.parametrize(
    ("text", "remaining"), [("3", 3), ("0", 0), ("", 0), ("-1", 0), ("many", 0), ("9" * 30, 0), ("٣", 0)]
)
async def test_a_sold_out_event_says_how_many_seats_are_left(text: str, remaining: int) -> None:
    detail = codes.ErrorDetail(field="remaining", value=text)
    error = failing(codes.ERROR_CODE_INSUFFICIENT_INVENTORY, detail)
    inventory = GrpcInventory(CannedPeer(wire.ReserveSeatResponse(error=error)))
    with pytest.raises(SoldOutError) as refusal:
        await inventory.reserve(wanted("r1", 4, FakeClock().now() + HOLD))
    assert refusal.value.data == {"remaining": remaining}


async def test_the_faults_of_a_refused_request_are_bounded() -> None:
    details = [codes.ErrorDetail(field="seat_ids", reason="x" * 5000)] * 500
    error = failing(codes.ERROR_CODE_INVALID_ARGUMENT, *details)
    inventory = GrpcInventory(CannedPeer(wire.ReserveSeatResponse(error=error)))
    with pytest.raises(InvalidRequestError) as refusal:
        await inventory.reserve(wanted("r1", "A-1-1", FakeClock().now() + HOLD))
    assert len("".join(refusal.value.data["errors"])) <= 20 * 200


async def test_only_a_commit_is_never_repeated_by_itself() -> None:
    peer = CannedPeer(grpc.StatusCode.UNAVAILABLE)
    inventory = GrpcInventory(peer)
    calls = [
        inventory.reserve(wanted("r1", "A-1-1", FakeClock().now() + HOLD)),
        inventory.commit(sale("r1", "A-1-1")),
        inventory.release(return_of("r1", "A-1-1")),
        inventory.availability(EVENT),
        inventory.status(EVENT),
    ]
    for call in calls:
        with pytest.raises(UNKNOWN):
            await call
    assert {path.rpartition("/")[2]: repeatable for path, _, repeatable in peer.asked} == {
        "ReserveSeat": True,
        "CommitReservation": False,
        "ReleaseHold": True,
        "CheckAvailability": True,
        "GetInventoryStatus": True,
    }
