"""Peers speak from the contract's tables, not from our files: the tables typed out, and a client of them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor
from tests.contract.inventories import InventoryUnderTest, one_process
from tests.support.grpc_peers import PATIENT_SECONDS, served
from tests.support.venues import EVENT, venue

from reservation_proto.common.v1 import errors_pb2, types_pb2
from reservation_proto.payment.v1 import payment_pb2
from reservation_proto.reservation.v1 import inventory_pb2, reservation_pb2

# `Name = n:field:type …` is a message, `Name # N VALUE …` an enum whose values have the prefix N and count
# from 0, and `Name > A B` a service with methods that take ARequest and give AResponse. `*` is repeated.
TYPES = """
Money = 1:amount:int64 2:currency:string
Address = 1:street:string 2:city:string 3:state:string 4:postal_code:string 5:country:string
Pagination = 1:page:int32 2:page_size:int32 3:cursor:string
PageInfo = 1:total_count:int32 2:has_next_page:bool 3:has_previous_page:bool 4:next_cursor:string
  5:previous_cursor:string
Venue = 1:id:string 2:name:string 3:address:common.v1.Address 4:total_capacity:int32
Event = 1:id:string 2:name:string 3:description:string 4:venue:common.v1.Venue 5:start_time:time
  6:end_time:time 7:sale_start_time:time 8:sale_end_time:time 9:total_seats:int32 10:remaining_seats:int32
Seat = 1:id:string 2:section:string 3:row:string 4:number:string 5:price:common.v1.Money
  6:status:common.v1.SeatStatus
SeatStatus # SEAT_STATUS_ UNSPECIFIED AVAILABLE RESERVED SOLD BLOCKED
"""
ERRORS = """
Error = 1:code:common.v1.ErrorCode 2:message:string 3:trace_id:string 4:details:*common.v1.ErrorDetail
ErrorDetail = 1:field:string 2:reason:string 3:value:string
ErrorCode # ERROR_CODE_ UNSPECIFIED UNAUTHENTICATED FORBIDDEN UNAUTHORIZED INVALID_ARGUMENT NOT_FOUND
  ALREADY_EXISTS FAILED_PRECONDITION RATE_LIMITED QUOTA_EXCEEDED IDEMPOTENCY_REQUIRED IDEMPOTENCY_CONFLICT
  RESERVATION_EXPIRED PAYMENT_NOT_APPROVED INVENTORY_CONFLICT INSUFFICIENT_INVENTORY INTERNAL UNAVAILABLE
  TIMEOUT UPSTREAM_TIMEOUT UPSTREAM_ERROR DATA_CORRUPTION CONCURRENT_MODIFICATION
"""
INVENTORY = """
InventoryService > CheckAvailability ReserveSeat CommitReservation ReleaseHold GetInventoryStatus
CheckAvailabilityRequest = 1:event_id:string 2:seat_ids:*string 3:quantity:int32 4:section:string
CheckAvailabilityResponse = 1:available:bool 2:available_seats:*common.v1.Seat 3:unavailable_seat_ids:*string
  4:remaining_in_section:int32 5:error:common.v1.Error
ReserveSeatRequest = 1:reservation_id:string 2:event_id:string 3:seat_ids:*string 4:quantity:int32
  5:user_id:string 6:hold_expires_at:time 7:idempotency_key:string
ReserveSeatResponse = 1:hold_id:string 2:reserved_seats:*common.v1.Seat 3:hold_expires_at:time
  4:status:reservation.v1.HoldStatus 5:error:common.v1.Error
CommitReservationRequest = 1:reservation_id:string 2:event_id:string 3:seat_ids:*string 4:quantity:int32
  5:payment_intent_id:string 6:user_id:string 7:idempotency_key:string
CommitReservationResponse = 1:order_id:string 2:sold_seats:*common.v1.Seat
  3:status:reservation.v1.CommitStatus 4:committed_at:time 5:error:common.v1.Error
ReleaseHoldRequest = 1:reservation_id:string 2:event_id:string 3:seat_ids:*string 4:quantity:int32
  5:reason:string 6:idempotency_key:string
ReleaseHoldResponse = 1:released_seats:*common.v1.Seat 2:status:reservation.v1.ReleaseStatus
  3:released_at:time 4:error:common.v1.Error
GetInventoryStatusRequest = 1:event_id:string 2:section:string
GetInventoryStatusResponse = 1:event:common.v1.Event 2:sections:*reservation.v1.SectionInventory
  3:stats:reservation.v1.InventoryStats 4:error:common.v1.Error
SectionInventory = 1:section_id:string 2:section_name:string 3:total_seats:int32 4:available_seats:int32
  5:reserved_seats:int32 6:sold_seats:int32 7:blocked_seats:int32 8:min_price:common.v1.Money
  9:max_price:common.v1.Money
InventoryStats = 1:total_seats:int32 2:available_seats:int32 3:reserved_seats:int32 4:sold_seats:int32
  5:blocked_seats:int32 6:availability_percentage:float 7:last_updated:time
HoldStatus # HOLD_STATUS_ UNSPECIFIED ACTIVE EXPIRED RELEASED COMMITTED
CommitStatus # COMMIT_STATUS_ UNSPECIFIED SUCCESS FAILED_PAYMENT FAILED_EXPIRED FAILED_CONFLICT
ReleaseStatus # RELEASE_STATUS_ UNSPECIFIED SUCCESS ALREADY_RELEASED NOT_FOUND FAILED
"""
RESERVATION = """
ReservationService > CreateReservation GetReservation ConfirmReservation CancelReservation ListReservations
  ExtendHold
CreateReservationRequest = 1:event_id:string 2:seat_ids:*string 3:quantity:int32 4:user_id:string
  5:reservation_token:string 6:idempotency_key:string 7:metadata:reservation.v1.ReservationMetadata
CreateReservationResponse = 1:reservation_id:string 2:status:reservation.v1.ReservationStatus
  3:hold_expires_at:time 4:reserved_seats:*common.v1.Seat 5:total_amount:common.v1.Money 6:payment_url:string
  7:error:common.v1.Error
GetReservationRequest = 1:reservation_id:string 2:user_id:string
GetReservationResponse = 1:reservation:reservation.v1.Reservation 2:error:common.v1.Error
ConfirmReservationRequest = 1:reservation_id:string 2:payment_intent_id:string 3:user_id:string
  4:idempotency_key:string
ConfirmReservationResponse = 1:order_id:string 2:status:reservation.v1.ReservationStatus 3:confirmed_at:time
  4:confirmed_seats:*common.v1.Seat 5:error:common.v1.Error
CancelReservationRequest = 1:reservation_id:string 2:user_id:string 3:reason:string 4:idempotency_key:string
CancelReservationResponse = 1:status:reservation.v1.ReservationStatus 2:cancelled_at:time
  3:released_seats:*common.v1.Seat 4:error:common.v1.Error
ListReservationsRequest = 1:user_id:string 2:status:reservation.v1.ReservationStatus 3:event_id:string
  4:pagination:common.v1.Pagination
ListReservationsResponse = 1:reservations:*reservation.v1.Reservation 2:page_info:common.v1.PageInfo
  3:error:common.v1.Error
ExtendHoldRequest = 1:reservation_id:string 2:user_id:string 3:extension_seconds:int32 4:reason:string
  5:idempotency_key:string
ExtendHoldResponse = 1:new_expires_at:time 2:extended_seconds:int32 3:extension_allowed:bool
  4:error:common.v1.Error
Reservation = 1:reservation_id:string 2:event_id:string 3:user_id:string
  4:status:reservation.v1.ReservationStatus 5:seats:*common.v1.Seat 6:quantity:int32
  7:total_amount:common.v1.Money 8:created_at:time 9:updated_at:time 10:hold_expires_at:time
  11:payment_intent_id:string 12:order_id:string 13:metadata:reservation.v1.ReservationMetadata
ReservationMetadata = 1:source:string 2:user_agent:string 3:ip_address:string 4:session_id:string
  5:tags:*reservation.v1.ReservationMetadata.TagsEntry
ReservationStatus # RESERVATION_STATUS_ UNSPECIFIED PENDING HOLD CONFIRMED CANCELLED EXPIRED FAILED REFUNDED
"""
# Payment's 7, 12 and 13 have types that the contract does not give.
PAYMENT = """
PaymentService > GetPaymentStatus
GetPaymentStatusRequest = 1:payment_intent_id:string 2:user_id:string
GetPaymentStatusResponse = 1:payment:payment.v1.Payment 2:error:common.v1.Error
Payment = 1:payment_intent_id:string 2:payment_id:string 3:reservation_id:string 4:user_id:string
  5:status:payment.v1.PaymentStatus 6:amount:common.v1.Money 8:created_at:time 9:updated_at:time
  10:processed_at:time 11:transaction_id:string
PaymentStatus # PAYMENT_STATUS_ UNSPECIFIED PENDING PROCESSING COMPLETED FAILED CANCELLED REFUNDED EXPIRED
"""
TABLES: dict[str, tuple[str, FileDescriptor]] = {
    "common/v1/types.proto": (TYPES, types_pb2.DESCRIPTOR),
    "common/v1/errors.proto": (ERRORS, errors_pb2.DESCRIPTOR),
    "reservation/v1/inventory.proto": (INVENTORY, inventory_pb2.DESCRIPTOR),
    "reservation/v1/reservation.proto": (RESERVATION, reservation_pb2.DESCRIPTOR),
    "payment/v1/payment.proto": (PAYMENT, payment_pb2.DESCRIPTOR),
}
FIELD = descriptor_pb2.FieldDescriptorProto
SCALARS: dict[int, str] = {number: name.removeprefix("TYPE_").lower() for name, number in FIELD.Type.items()}
TIMESTAMP = "google.protobuf.Timestamp"


def lines(table: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (name, kind, words) of each definition."""
    for line in table.replace("\n  ", " ").strip().splitlines():
        name, kind, *words = line.split()
        yield name, kind, words


def told_fields(message: Descriptor) -> list[str]:
    """Write a message's fields as the tables do."""
    found = []
    for field in message.fields:
        named = field.message_type or field.enum_type
        scalar = SCALARS.get(field.type, "")
        kind = named.full_name if named is not None else scalar
        kind = "time" if kind == TIMESTAMP else kind
        found.append(f"{field.number}:{field.name}:{'*' if field.is_repeated else ''}{kind}")
    return found


def told_values(enum: EnumDescriptor, prefix: str) -> list[str]:
    assert [value.number for value in enum.values] == list(range(len(enum.values)))
    return [value.name.removeprefix(prefix) for value in enum.values]


@pytest.mark.parametrize("path", TABLES)
def test_our_files_say_what_the_tables_say(path: str) -> None:
    table, ours = TABLES[path]
    assert ours.name == path
    assert ours.package == path.rpartition("/")[0].replace("/", ".")
    told: set[str] = set()
    for name, kind, words in lines(table):
        told.add(name)
        if kind == "=":
            assert told_fields(ours.message_types_by_name[name]) == words
        elif kind == "#":
            assert told_values(ours.enum_types_by_name[name], words[0]) == words[1:]
        else:
            methods = ours.services_by_name[name].methods
            assert [method.name for method in methods] == words
            assert [method.input_type.name for method in methods] == [f"{word}Request" for word in words]
            assert [method.output_type.name for method in methods] == [f"{word}Response" for word in words]
    ours_told = {*ours.message_types_by_name, *ours.enum_types_by_name, *ours.services_by_name}
    assert ours_told == told


def test_what_the_contract_leaves_open_stays_taken() -> None:
    proto = descriptor_pb2.DescriptorProto()
    payment_pb2.Payment.DESCRIPTOR.CopyToProto(proto)
    assert [(part.start, part.end) for part in proto.reserved_range] == [(7, 8), (12, 13), (13, 14)]
    assert list(proto.reserved_name) == ["method", "result", "metadata"]


def file_of(path: str, table: str, imports: list[str]) -> descriptor_pb2.FileDescriptorProto:
    package = path.rpartition("/")[0].replace("/", ".")
    file = descriptor_pb2.FileDescriptorProto(
        name=path, package=package, syntax="proto3", dependency=["google/protobuf/timestamp.proto", *imports]
    )
    for name, kind, words in lines(table):
        if kind == "=":
            file.message_type.add(name=name, field=[field_of(word) for word in words])
        elif kind == "#":
            values = enumerate(words[1:])
            numbered = [
                descriptor_pb2.EnumValueDescriptorProto(name=words[0] + v, number=n) for n, v in values
            ]
            file.enum_type.add(name=name, value=numbered)
    return file


def field_of(word: str) -> descriptor_pb2.FieldDescriptorProto:
    number, name, kind = word.split(":")
    label = FIELD.LABEL_REPEATED if kind.startswith("*") else FIELD.LABEL_OPTIONAL
    kind = kind.removeprefix("*").replace("time", TIMESTAMP) if kind.endswith("time") else kind.lstrip("*")
    if "." in kind:  # without a type, the pool finds out whether it is a message or an enum
        return FIELD(name=name, number=int(number), label=label, type_name=f".{kind}")
    scalar = FIELD.Type.Value(f"TYPE_{kind.upper()}")
    return FIELD(name=name, number=int(number), label=label, type=scalar)


class Peer:
    """A client of the inventory that is made of the tables above alone."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._pool = descriptor_pool.DescriptorPool()
        timestamp = descriptor_pb2.FileDescriptorProto()
        timestamp_pb2.DESCRIPTOR.CopyToProto(timestamp)
        self._pool.Add(timestamp)
        self._pool.Add(file_of("common/v1/types.proto", TYPES, []))
        self._pool.Add(file_of("common/v1/errors.proto", ERRORS, []))
        common = ["common/v1/types.proto", "common/v1/errors.proto"]
        self._pool.Add(file_of("reservation/v1/inventory.proto", INVENTORY, common))

    async def __call__(self, method: str, **fields: Any) -> Any:
        request = self._message(f"{method}Request")
        reply = self._message(f"{method}Response")
        call = self._channel.unary_unary(
            f"/reservation.v1.InventoryService/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=reply.FromString,
        )
        return await call(request(**fields), timeout=PATIENT_SECONDS)

    def _message(self, name: str) -> Any:
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"reservation.v1.{name}"))


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[InventoryUnderTest]:
    async with one_process(tmp_path) as opened:
        await opened.load_event(venue({"A": ["....", "...B"], "B": ["...."]}))
        yield opened


@pytest.fixture
async def peer(local: InventoryUnderTest) -> AsyncIterator[Peer]:
    async with (
        served(local.inventory, local.clock) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Peer(channel)


def reserve_fields(reservation: str, *seats: str, quantity: int | None = None) -> dict[str, Any]:
    return {
        "reservation_id": reservation,
        "event_id": EVENT,
        "seat_ids": seats,
        "quantity": len(seats) if quantity is None else quantity,
        "user_id": "user",
        "hold_expires_at": {"seconds": 1_795_435_320, "nanos": 500_000_000},
        "idempotency_key": f"{reservation}:hold:0",
    }


def commit_fields(reservation: str, *seats: str) -> dict[str, Any]:
    return {
        "reservation_id": reservation,
        "event_id": EVENT,
        "seat_ids": seats,
        "quantity": len(seats),
        "payment_intent_id": "pi_1",
        "user_id": "user",
        "idempotency_key": f"{reservation}:confirm:0",
    }


async def test_a_peer_reserves_and_reads_the_hold(peer: Peer) -> None:
    reply = await peer("ReserveSeat", **reserve_fields("r1", "A-1-1", "B-1-2"))
    assert not reply.HasField("error")
    assert (reply.hold_id, reply.status) == ("r1", 1)
    assert (reply.hold_expires_at.seconds, reply.hold_expires_at.nanos) == (1_795_435_320, 500_000_000)
    read = [
        (s.id, s.section, s.row, s.number, s.price.amount, s.price.currency) for s in reply.reserved_seats
    ]
    assert read == [("A-1-1", "A", "1", "1", 120_000, "KRW"), ("B-1-2", "B", "1", "2", 80_000, "KRW")]
    assert {seat.status for seat in reply.reserved_seats} == {2}


async def test_a_peer_reads_why_it_was_refused(peer: Peer) -> None:
    await peer("ReserveSeat", **reserve_fields("r1", "A-1-1"))
    taken = (await peer("ReserveSeat", **reserve_fields("r2", "A-1-1", "A-1-2"))).error
    assert (taken.code, len(taken.trace_id)) == (14, 32)
    assert [(part.field, part.reason, part.value) for part in taken.details] == [
        ("seat_ids", "taken", "A-1-1")
    ]
    await peer("ReserveSeat", **reserve_fields("r3", quantity=10))
    few = (await peer("ReserveSeat", **reserve_fields("r4", quantity=3))).error
    assert (few.code, [(part.field, part.value) for part in few.details]) == (15, [("remaining", "0")])
    nowhere = await peer("ReserveSeat", **{**reserve_fields("r5", "A-1-1"), "event_id": "evt_other"})
    assert nowhere.error.code == 5
    unknown = (await peer("ReserveSeat", **reserve_fields("r6", "Z-9-9"))).error
    assert (unknown.code, unknown.details[0].field) == (4, "seat_ids")
    assert "Z-9-9" in unknown.details[0].reason


async def test_a_peer_commits_and_commits_again(peer: Peer) -> None:
    await peer("ReserveSeat", **reserve_fields("r1", "A-1-1"))
    replies = [await peer("CommitReservation", **commit_fields("r1", "A-1-1")) for _ in range(2)]
    assert replies[0] == replies[1]
    reply = replies[0]
    assert (reply.order_id, reply.status, reply.HasField("error")) == ("r1", 1, False)
    assert [(seat.id, seat.status) for seat in reply.sold_seats] == [("A-1-1", 3)]
    assert reply.committed_at.seconds == 1_795_435_200


async def test_a_peer_reads_why_a_commit_failed(peer: Peer, local: InventoryUnderTest) -> None:
    await peer("ReserveSeat", **reserve_fields("r1", "A-1-1"))
    conflict = await peer("CommitReservation", **commit_fields("r1", "A-1-2"))
    assert (conflict.status, conflict.error.code) == (4, 14)
    local.clock.advance(121)
    expired = await peer("CommitReservation", **commit_fields("r1", "A-1-1"))
    assert (expired.status, expired.error.code) == (3, 12)
    over = await peer("ReserveSeat", **reserve_fields("r1", "A-1-1"))
    assert (over.error.code, over.status, len(over.reserved_seats)) == (12, 0, 0)


async def test_a_peer_releases_and_releases_again(peer: Peer) -> None:
    await peer("ReserveSeat", **reserve_fields("r1", "A-1-1"))
    await peer("ReserveSeat", **reserve_fields("r2", "A-1-2"))
    await peer("CommitReservation", **commit_fields("r2", "A-1-2"))
    release = {"event_id": EVENT, "quantity": 1, "reason": "cancelled", "idempotency_key": "k"}
    first = await peer("ReleaseHold", reservation_id="r1", seat_ids=["A-1-1"], **release)
    assert (first.status, first.HasField("error"), first.released_at.seconds) == (1, False, 1_795_435_200)
    again = await peer("ReleaseHold", reservation_id="r1", seat_ids=["A-1-1"], **release)
    assert (again.status, again.HasField("error")) == (2, False)
    unknown = await peer("ReleaseHold", reservation_id="r9", seat_ids=["A-1-1"], **release)
    assert (unknown.status, unknown.HasField("error")) == (3, False)
    sold = await peer("ReleaseHold", reservation_id="r2", seat_ids=["A-1-2"], **release)
    assert (sold.status, sold.error.code) == (4, 7)


async def test_a_peer_reads_what_is_free(peer: Peer) -> None:
    await peer("ReserveSeat", **reserve_fields("r1", "A-1-1"))
    some = await peer("CheckAvailability", event_id=EVENT, seat_ids=["A-1-1", "A-1-2"], quantity=2)
    assert (some.available, list(some.unavailable_seat_ids)) == (False, ["A-1-1"])
    assert [(seat.id, seat.status) for seat in some.available_seats] == [("A-1-2", 1)]
    section = await peer("CheckAvailability", event_id=EVENT, quantity=4, section="B")
    assert (section.available, section.remaining_in_section) == (True, 4)
    nowhere = await peer("CheckAvailability", event_id=EVENT, section="Z")
    assert (nowhere.error.code, nowhere.available) == (5, False)


async def test_a_peer_reads_the_counts(peer: Peer) -> None:
    await peer("ReserveSeat", **reserve_fields("r1", "A-1-1"))
    reply = await peer("GetInventoryStatus", event_id=EVENT)
    assert (reply.event.id, reply.event.name) == (EVENT, "The event evt_1")
    first, second = reply.sections
    seats = (first.total_seats, first.available_seats, first.reserved_seats, first.sold_seats)
    assert (first.section_id, *seats, first.blocked_seats) == ("A", 8, 6, 1, 0, 1)
    assert (second.section_name, second.min_price.amount, second.max_price.currency) == ("B", 80_000, "KRW")
    assert (reply.stats.total_seats, round(reply.stats.availability_percentage, 2)) == (12, 83.33)
    assert (await peer("GetInventoryStatus", event_id="evt_other")).error.code == 5
