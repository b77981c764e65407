"""Peers that know the contract from elsewhere: from its tables, and from what the server tells of itself."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet
from tests.support.grpc_reservations import PATIENT_SECONDS, SERVICE, Served, served

TABLES = """
common.v1.Money: 1 amount int64, 2 currency string
common.v1.Pagination: 1 page int32, 2 page_size int32, 3 cursor string
common.v1.PageInfo: 1 total_count int32, 2 has_next_page bool, 3 has_previous_page bool, 4 next_cursor string, 5 previous_cursor string
common.v1.Seat: 1 id string, 2 section string, 3 row string, 4 number string, 5 price common.v1.Money, 6 status int32
common.v1.Error: 1 code int32, 2 message string, 3 trace_id string, 4 details *common.v1.ErrorDetail
common.v1.ErrorDetail: 1 field string, 2 reason string, 3 value string
reservation.v1.CreateReservationRequest: 1 event_id string, 2 seat_ids *string, 3 quantity int32, 4 user_id string, 5 reservation_token string, 6 idempotency_key string, 7 metadata reservation.v1.ReservationMetadata
reservation.v1.CreateReservationResponse: 1 reservation_id string, 2 status int32, 3 hold_expires_at google.protobuf.Timestamp, 4 reserved_seats *common.v1.Seat, 5 total_amount common.v1.Money, 6 payment_url string, 7 error common.v1.Error
reservation.v1.GetReservationRequest: 1 reservation_id string, 2 user_id string
reservation.v1.GetReservationResponse: 1 reservation reservation.v1.Reservation, 2 error common.v1.Error
reservation.v1.ConfirmReservationRequest: 1 reservation_id string, 2 payment_intent_id string, 3 user_id string, 4 idempotency_key string
reservation.v1.ConfirmReservationResponse: 1 order_id string, 2 status int32, 3 confirmed_at google.protobuf.Timestamp, 4 confirmed_seats *common.v1.Seat, 5 error common.v1.Error
reservation.v1.CancelReservationRequest: 1 reservation_id string, 2 user_id string, 3 reason string, 4 idempotency_key string
reservation.v1.CancelReservationResponse: 1 status int32, 2 cancelled_at google.protobuf.Timestamp, 3 released_seats *common.v1.Seat, 4 error common.v1.Error
reservation.v1.ListReservationsRequest: 1 user_id string, 2 status int32, 3 event_id string, 4 pagination common.v1.Pagination
reservation.v1.ListReservationsResponse: 1 reservations *reservation.v1.Reservation, 2 page_info common.v1.PageInfo, 3 error common.v1.Error
reservation.v1.ExtendHoldRequest: 1 reservation_id string, 2 user_id string, 3 extension_seconds int32, 4 reason string, 5 idempotency_key string
reservation.v1.ExtendHoldResponse: 1 new_expires_at google.protobuf.Timestamp, 2 extended_seconds int32, 3 extension_allowed bool, 4 error common.v1.Error
reservation.v1.Reservation: 1 reservation_id string, 2 event_id string, 3 user_id string, 4 status int32, 5 seats *common.v1.Seat, 6 quantity int32, 7 total_amount common.v1.Money, 8 created_at google.protobuf.Timestamp, 9 updated_at google.protobuf.Timestamp, 10 hold_expires_at google.protobuf.Timestamp, 11 payment_intent_id string, 12 order_id string, 13 metadata reservation.v1.ReservationMetadata
reservation.v1.ReservationMetadata: 1 source string, 2 user_agent string, 3 ip_address string, 4 session_id string
"""  # noqa: E501 (a message a line, as the contract's tables have it; enums go as the numbers that they are)

HOLD, CONFIRMED, CANCELLED = 2, 3, 4
NOT_FOUND = 5
SCALARS = {"string": 9, "int64": 3, "int32": 5, "bool": 8}
MESSAGE, OPTIONAL, REPEATED = 11, 1, 3


def files_of(tables: str) -> Iterator[FileDescriptorProto]:
    """Yield a file for each message, so that none of our own generated code takes part."""
    for line in tables.strip().splitlines():
        name, fields = line.split(": ")
        message = DescriptorProto(name=name.rpartition(".")[2])
        file = FileDescriptorProto(name=name, package=name.rpartition(".")[0], syntax="proto3")
        for number, field_name, kind in re.findall(r"(\d+) (\w+) (\*?[\w.]+)", fields):
            message.field.append(field_of(int(number), field_name, kind))
            if "." in kind:
                file.dependency.append(kind.lstrip("*"))
        file.dependency[:] = sorted(set(file.dependency))
        file.message_type.append(message)
        yield file


def field_of(number: int, name: str, kind: str) -> FieldDescriptorProto:
    label: Any = REPEATED if kind.startswith("*") else OPTIONAL
    field = FieldDescriptorProto(name=name, number=number, label=label)
    type_of_it: Any = SCALARS.get(kind.lstrip("*"), MESSAGE)
    field.type = type_of_it
    if field.type == MESSAGE:
        field.type_name = f".{kind.lstrip('*')}"
    return field


class TablePeer:
    """A client whose messages are made of the tables alone."""

    def __init__(self, running: Served) -> None:
        self._channel = running.channel
        self._pool = DescriptorPool()
        timestamp = FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
        timestamp.name = "google.protobuf.Timestamp"
        waiting = {file.name: file for file in (timestamp, *files_of(TABLES))}
        while waiting:
            for name, file in list(waiting.items()):
                if not set(file.dependency) & set(waiting):
                    self._pool.Add(waiting.pop(name))

    async def ask(self, name: str, **fields: Any) -> dict[str, Any]:
        request_class = self._class_of(f"{name}Request")
        method: Any = self._channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=request_class.SerializeToString,
            response_deserializer=self._class_of(f"{name}Response").FromString,
        )
        metadata = (("authorization", "Bearer user-1"),)
        reply = await method(request_class(**fields), metadata=metadata, timeout=PATIENT_SECONDS)
        assert unknown_fields(reply) == []
        return MessageToDict(reply, preserving_proto_field_name=True)

    def _class_of(self, name: str) -> type[Message]:
        return GetMessageClass(self._pool.FindMessageTypeByName(f"reservation.v1.{name}"))


def unknown_fields(message: Message) -> list[str]:
    """Name every message, at any depth, that has fields which its table has not."""
    own = [message.DESCRIPTOR.full_name] if len(UnknownFieldSet(message)) else []
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                own += unknown_fields(part)
    return own


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as running:
        yield running


async def test_a_client_made_of_the_tables_calls_all_six_methods(service: Served) -> None:
    peer = TablePeer(service)
    held = await peer.ask(
        "CreateReservation",
        event_id="evt_1",
        quantity=2,
        seat_ids=["A-1-5", "A-1-6"],
        idempotency_key="h",
        metadata={"source": "web", "user_agent": "curl"},
    )
    about = {"reservation_id": held["reservation_id"]}
    price = {"amount": "120000", "currency": "KRW"}
    place = {"section": "A", "row": "1", "price": price}
    seats = [{"id": f"A-1-{n}", "number": str(n), **place} for n in (5, 6)]
    total = {"amount": "240000", "currency": "KRW"}
    reserved = [{**seat, "status": 2} for seat in seats]
    expires = {"hold_expires_at": "2026-11-23T12:01:00Z"}
    assert held == {**about, **expires, "status": HOLD, "reserved_seats": reserved, "total_amount": total}
    extended = await peer.ask("ExtendHold", **about, extension_seconds=30, idempotency_key="e")
    assert extended == {
        "new_expires_at": "2026-11-23T12:01:30Z",
        "extended_seconds": 30,
        "extension_allowed": True,
    }
    confirmed = await peer.ask("ConfirmReservation", **about, payment_intent_id="pi_1", idempotency_key="c")
    now = "2026-11-23T12:00:00Z"
    sold = [{**seat, "status": 3} for seat in seats]
    order = {"order_id": confirmed["order_id"]}
    assert confirmed == {**order, "status": CONFIRMED, "confirmed_at": now, "confirmed_seats": sold}
    times = {"created_at": now, "updated_at": now, "hold_expires_at": "2026-11-23T12:01:30Z"}
    what = {"event_id": "evt_1", "seats": sold, "quantity": 2, "total_amount": total}
    whose = {"user_id": "user-1", "status": CONFIRMED, "payment_intent_id": "pi_1"}
    shown = {**about, **order, **times, **what, **whose}
    assert await peer.ask("GetReservation", **about) == {"reservation": shown}
    listed = await peer.ask("ListReservations", status=CONFIRMED, event_id="evt_1")
    assert listed["reservations"] == [shown]


async def test_a_client_made_of_the_tables_cancels_and_reads_errors(service: Served) -> None:
    peer = TablePeer(service)
    held = await peer.ask("CreateReservation", event_id="evt_1", quantity=1, idempotency_key="h")
    about = {"reservation_id": held["reservation_id"]}
    cancelled = await peer.ask("CancelReservation", **about, idempotency_key="c")
    assert cancelled["status"] == CANCELLED
    assert [seat["status"] for seat in cancelled["released_seats"]] == [1]
    refused = await peer.ask("GetReservation", reservation_id="rsv_none")
    assert refused["error"]["code"] == NOT_FOUND
    wrong = await peer.ask("CreateReservation", event_id="evt_1", quantity=11, idempotency_key="k")
    assert wrong["error"]["details"] == [{"field": "quantity", "reason": "must be 1 to 10"}]


async def grpcurl(*arguments: str) -> str:
    """Run grpcurl and return what it prints; skip if this machine can not."""
    program = Path(sys.executable).parent / "grpcurl"
    if not os.access(program, os.X_OK):
        pytest.skip(f"SKIPPED LOUDLY: there is no {program.name} beside this Python, nothing was proved")
    process = await asyncio.create_subprocess_exec(
        str(program), "-plaintext", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_grpcurl_lists_and_describes_the_services(service: Served) -> None:
    address = f"127.0.0.1:{service.port}"
    assert (await grpcurl(address, "list")).split() == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        SERVICE,
    ]
    listed = (await grpcurl(address, "list", SERVICE)).split()
    assert [name.removeprefix(f"{SERVICE}.") for name in listed] == [
        "CancelReservation",
        "ConfirmReservation",
        "CreateReservation",
        "ExtendHold",
        "GetReservation",
        "ListReservations",
    ]
    described = await grpcurl(address, "describe", "reservation.v1.ExtendHoldResponse")
    assert ".common.v1.Error error = 4;" in described


async def test_grpcurl_calls_by_what_the_server_tells_of_itself(service: Served) -> None:
    address = f"127.0.0.1:{service.port}"
    body = json.dumps({"event_id": "evt_1", "quantity": 1, "idempotency_key": "k"})
    method = f"{SERVICE}/CreateReservation"
    held = json.loads(await grpcurl("-H", "authorization: Bearer user-1", "-d", body, address, method))
    assert (held["status"], held["reserved_seats"][0]["id"]) == ("RESERVATION_STATUS_HOLD", "A-1-1")
    refused = json.loads(await grpcurl("-d", body, address, method))
    assert refused["error"]["code"] == "ERROR_CODE_UNAUTHENTICATED"
    health = await grpcurl("-d", json.dumps({"service": SERVICE}), address, "grpc.health.v1.Health/Check")
    assert json.loads(health) == {"status": "SERVING"}
