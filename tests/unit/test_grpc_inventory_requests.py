"""What reaches the inventory of a server, what is refused before, and how refusals are told."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.support.clock import FakeClock
from tests.support.databases import opened_database
from tests.support.venues import EVENT, HOLD, venue, wanted

from reservation_api.adapters.grpc_inventory.meanings import refusal_of
from reservation_api.adapters.grpc_inventory.requests import reserve_request
from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.inventory import SqliteInventory
from reservation_api.adapters.sqlite.venues import load_event
from reservation_api.domain import errors
from reservation_api.domain.errors import InvalidRequestError, RefusedError
from reservation_api.entrypoints.grpc.inventory_methods import InventoryMethods
from reservation_api.entrypoints.grpc.inventory_refusals import CODES, error_of
from reservation_api.entrypoints.grpc.inventory_replies import COMMITS, RELEASES
from reservation_api.ports.inventory import CommitOutcome, HoldEndedError, ReleaseOutcome
from reservation_proto.common.v1 import errors_pb2 as codes
from reservation_proto.common.v1 import types_pb2 as types
from reservation_proto.reservation.v1 import inventory_pb2 as wire

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = opened_database(tmp_path / "inventory.db")
    yield database
    database.close()


@pytest.fixture
async def methods(database: Database, clock: FakeClock) -> InventoryMethods:
    await load_event(database, venue({"A": ["....", "...B"], "B": ["...."]}))
    return InventoryMethods(SqliteInventory(database, clock), clock)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def reserve(clock: FakeClock) -> wire.ReserveSeatRequest:
    return reserve_request(wanted("r1", "A-1-1 A-1-2", clock.now() + HOLD))


RESERVES: dict[str, Callable[[wire.ReserveSeatRequest], object]] = {
    "reservation_id": lambda request: request.ClearField("reservation_id"),
    "event_id": lambda request: request.ClearField("event_id"),
    "idempotency_key": lambda request: request.ClearField("idempotency_key"),
    "hold_expires_at": lambda request: request.ClearField("hold_expires_at"),
    "reservation_id, too long": lambda request: setattr(request, "reservation_id", "r" * 257),
    "seat_ids, one empty": lambda request: request.seat_ids.append(""),
    "seat_ids, one too long": lambda request: request.seat_ids.append("A" * 257),
    "seat_ids, too many": lambda request: request.seat_ids.extend(f"A-{n}" for n in range(501)),
    "hold_expires_at, no instant": lambda request: request.hold_expires_at.CopyFrom(Timestamp(seconds=2**62)),
}


@pytest.mark.parametrize("name", RESERVES)
async def test_a_reserve_that_can_not_be_read_is_refused_by_its_field(
    methods: InventoryMethods, clock: FakeClock, name: str
) -> None:
    request = reserve(clock)
    RESERVES[name](request)
    with pytest.raises(InvalidRequestError, match="can not be read") as refusal:
        await methods.reserve_seat(request, TRACE)
    assert [fault.partition(":")[0] for fault in refusal.value.data["errors"]] == [name.partition(",")[0]]


@pytest.mark.parametrize("field", ["reservation_id", "event_id"])
async def test_a_commit_and_a_release_name_their_reservation_and_event(
    methods: InventoryMethods, field: str
) -> None:
    commit = wire.CommitReservationRequest(reservation_id="r1", event_id=EVENT, seat_ids=["A-1-1"])
    release = wire.ReleaseHoldRequest(reservation_id="r1", event_id=EVENT)
    commit.ClearField(field)
    release.ClearField(field)
    with pytest.raises(InvalidRequestError, match="can not be read"):
        await methods.commit_reservation(commit, TRACE)
    with pytest.raises(InvalidRequestError, match="can not be read"):
        await methods.release_hold(release, TRACE)


async def test_no_request_names_more_seats_than_an_answer_could(methods: InventoryMethods) -> None:
    seats = [f"A-{n}" for n in range(501)]
    with pytest.raises(InvalidRequestError, match="can not be read"):
        await methods.release_hold(
            wire.ReleaseHoldRequest(reservation_id="r1", event_id=EVENT, seat_ids=seats), TRACE
        )


async def test_a_question_names_its_event(methods: InventoryMethods) -> None:
    with pytest.raises(InvalidRequestError):
        await methods.check_availability(wire.CheckAvailabilityRequest(), TRACE)
    with pytest.raises(InvalidRequestError):
        await methods.get_inventory_status(wire.GetInventoryStatusRequest(), TRACE)


@pytest.mark.parametrize(
    ("request_", "available"),
    [
        (wire.CheckAvailabilityRequest(event_id=EVENT), True),
        (wire.CheckAvailabilityRequest(event_id=EVENT, quantity=11), True),
        (wire.CheckAvailabilityRequest(event_id=EVENT, quantity=12), False),
        (wire.CheckAvailabilityRequest(event_id=EVENT, quantity=5, section="B"), False),
        (wire.CheckAvailabilityRequest(event_id=EVENT, seat_ids=["A-1-1", "B-1-1"]), True),
        (wire.CheckAvailabilityRequest(event_id=EVENT, seat_ids=["A-1-1", "A-2-4"]), False),
    ],
)
async def test_available_is_whether_what_was_asked_for_is_free(
    methods: InventoryMethods,
    request_: wire.CheckAvailabilityRequest,
    available: bool,  # noqa: FBT001
) -> None:
    assert (await methods.check_availability(request_, TRACE)).available is available


async def test_counts_are_told_by_section_and_in_sum(methods: InventoryMethods, clock: FakeClock) -> None:
    await methods.reserve_seat(reserve(clock), TRACE)
    reply = await methods.get_inventory_status(wire.GetInventoryStatusRequest(event_id=EVENT), TRACE)
    assert [(part.section_id, part.section_name) for part in reply.sections] == [("A", "A"), ("B", "B")]
    stats = reply.stats
    counts = (
        stats.total_seats,
        stats.available_seats,
        stats.reserved_seats,
        stats.sold_seats,
        stats.blocked_seats,
    )
    assert counts == (12, 9, 2, 0, 1)
    assert stats.availability_percentage == 75
    assert stats.last_updated.ToJsonString() == "2026-11-23T12:00:00Z"
    assert (reply.event.total_seats, reply.event.remaining_seats) == (12, 9)


async def test_a_hold_is_told_with_its_seats_status_and_own_id(
    methods: InventoryMethods, clock: FakeClock
) -> None:
    reply = await methods.reserve_seat(reserve(clock), TRACE)
    assert (reply.hold_id, reply.status) == ("r1", wire.HOLD_STATUS_ACTIVE)
    first = reply.reserved_seats[0]
    assert (first.id, first.section, first.row, first.number) == ("A-1-1", "A", "1", "1")
    assert (first.price.amount, first.price.currency) == (120_000, "KRW")
    assert first.status == types.SEAT_STATUS_RESERVED


def refusals() -> list[type[RefusedError]]:
    found = [error for error in vars(errors).values() if isinstance(error, type)]
    return [error for error in found if issubclass(error, RefusedError)]


def test_every_refusal_has_a_code() -> None:
    assert CODES.keys() == {*refusals(), HoldEndedError}
    assert codes.ERROR_CODE_UNSPECIFIED not in CODES.values()


def test_every_outcome_has_a_status() -> None:
    assert COMMITS.keys() == set(CommitOutcome)
    assert RELEASES.keys() == set(ReleaseOutcome)


@pytest.mark.parametrize(
    "refusal",
    [
        errors.SeatsTakenError("taken", conflicts=["A-1-1", "A-1-2"]),
        errors.SoldOutError("sold out", remaining=2),
        errors.NotFoundError("nowhere"),
        errors.InvalidRequestError("bad", errors=["seat_ids: unknown seat A: 1", "qty: must be 1 to 10"]),
        HoldEndedError("over"),
    ],
    ids=lambda refusal: type(refusal).__name__,
)
def test_what_the_server_refuses_the_client_raises(refusal: RefusedError | HoldEndedError) -> None:
    told = error_of(refusal, TRACE)
    assert told.trace_id == TRACE
    assert told.message == str(refusal)
    assert {detail.field for detail in told.details} <= {"seat_ids", "qty", "remaining"}
    raised = refusal_of(told)
    assert type(raised) is type(refusal)
    if isinstance(refusal, RefusedError) and isinstance(raised, RefusedError):
        assert raised.data == refusal.data
