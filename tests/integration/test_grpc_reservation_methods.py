from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tests.support.grpc_reservations import (
    TRUSTED,
    Client,
    Served,
    faults,
    named,
    request_of,
    served,
)

from reservation_api.domain.reservation import Status
from reservation_proto.common.v1 import types_pb2 as types
from reservation_proto.reservation.v1 import reservation_pb2 as wire

START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
SEATS = ["A-1-2", "A-1-3"]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as running:
        yield running


@pytest.fixture
def client(service: Served) -> Client:
    return service.client()


def at(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(START + timedelta(seconds=seconds))
    return stamp


def seat(seat_id: str, status: types.SeatStatus) -> types.Seat:
    section, row, number = seat_id.split("-")
    price = types.Money(amount=120_000, currency="KRW")
    return types.Seat(id=seat_id, section=section, row=row, number=number, price=price, status=status)


async def create_two(client: Client) -> wire.CreateReservationResponse:
    return await client.create(quantity=2, seat_ids=SEATS)


async def test_creating_tells_seats_prices_total_and_expiry(client: Client) -> None:
    reply = await create_two(client)
    assert reply == wire.CreateReservationResponse(
        reservation_id=reply.reservation_id,
        status=wire.RESERVATION_STATUS_HOLD,
        hold_expires_at=at(60),
        reserved_seats=[seat(seat_id, types.SEAT_STATUS_RESERVED) for seat_id in SEATS],
        total_amount=types.Money(amount=240_000, currency="KRW"),
    )
    assert reply.reservation_id.startswith("rsv_")


async def test_creating_without_seat_ids_takes_the_best(client: Client) -> None:
    reply = await client.create(quantity=3)
    assert [seat.id for seat in reply.reserved_seats] == ["A-1-1", "A-1-2", "A-1-3"]


async def test_a_held_reservation_is_shown_in_full(client: Client) -> None:
    held = await create_two(client)
    reply = await client.ask("GetReservation", reservation_id=held.reservation_id)
    assert reply.reservation == wire.Reservation(
        reservation_id=held.reservation_id,
        event_id="evt_1",
        user_id="user-1",
        status=wire.RESERVATION_STATUS_HOLD,
        seats=held.reserved_seats,
        quantity=2,
        total_amount=held.total_amount,
        created_at=at(0),
        updated_at=at(0),
        hold_expires_at=at(60),
    )


async def test_confirming_makes_an_order(service: Served, client: Client) -> None:
    held = await create_two(client)
    service.clock.advance(7)
    reply = await client.ask(
        "ConfirmReservation",
        reservation_id=held.reservation_id,
        payment_intent_id="pi_1",
        idempotency_key="c",
    )
    assert reply == wire.ConfirmReservationResponse(
        order_id=reply.order_id,
        status=wire.RESERVATION_STATUS_CONFIRMED,
        confirmed_at=at(7),
        confirmed_seats=[seat(seat_id, types.SEAT_STATUS_SOLD) for seat_id in SEATS],
    )
    shown = (await client.ask("GetReservation", reservation_id=held.reservation_id)).reservation
    assert (shown.order_id, shown.payment_intent_id) == (reply.order_id, "pi_1")
    assert shown.order_id.startswith("ord_")
    assert (shown.updated_at, {s.status for s in shown.seats}) == (at(7), {types.SEAT_STATUS_SOLD})


async def test_cancelling_gives_the_seats_back(service: Served, client: Client) -> None:
    held = await create_two(client)
    service.clock.advance(3)
    reply = await client.ask(
        "CancelReservation", reservation_id=held.reservation_id, reason="no time", idempotency_key="c"
    )
    assert reply == wire.CancelReservationResponse(
        status=wire.RESERVATION_STATUS_CANCELLED,
        cancelled_at=at(3),
        released_seats=[seat(seat_id, types.SEAT_STATUS_AVAILABLE) for seat_id in SEATS],
    )
    shown = (await client.ask("GetReservation", reservation_id=held.reservation_id)).reservation
    assert {s.status for s in shown.seats} == {types.SEAT_STATUS_UNSPECIFIED}


async def test_extending_tells_the_new_expiry(service: Served, client: Client) -> None:
    held = await create_two(client)
    service.clock.advance(10)
    reply = await extend(client, held.reservation_id, 30)
    assert reply == wire.ExtendHoldResponse(
        new_expires_at=at(90), extended_seconds=30, extension_allowed=True
    )


async def test_an_extension_ends_at_the_cap_whatever_was_asked_for(service: Served, client: Client) -> None:
    held = await create_two(client)
    service.clock.advance(59)
    first = await extend(client, held.reservation_id, 300)
    assert first.new_expires_at == at(300)
    assert first.extended_seconds == 240
    service.clock.advance(9)
    assert await extend(client, held.reservation_id, 300) == first


async def test_the_third_extension_is_not_allowed(client: Client) -> None:
    held = await create_two(client)
    for key in "ab":
        assert (await extend(client, held.reservation_id, 1, key)).extension_allowed
    reply = await extend(client, held.reservation_id, 1, "c")
    assert (named(reply.error), reply.extension_allowed) == ("FAILED_PRECONDITION", False)
    assert faults(reply.error) == [("status", "", "HOLD")]


async def extend(client: Client, reservation_id: str, seconds: int, key: str = "e") -> Any:
    return await client.ask(
        "ExtendHold", reservation_id=reservation_id, extension_seconds=seconds, idempotency_key=key
    )


async def make_list(service: Served, client: Client) -> list[str]:
    """Make five holds of user-1, newest first, and one of another user's."""
    ids = []
    for number in range(5):
        ids.append((await client.create(key=f"k{number}")).reservation_id)
        service.clock.advance(1)
    await service.client("user-2").create(key="k")
    return ids[::-1]


async def test_a_list_is_walked_by_cursors_and_shows_ones_own_only(service: Served, client: Client) -> None:
    ids = await make_list(service, client)
    seen, cursor = [], ""
    flags: list[tuple[bool, bool]] = []
    while not flags or cursor:
        page = types.Pagination(page_size=2, cursor=cursor)
        reply = await client.ask("ListReservations", pagination=page)
        seen += [item.reservation_id for item in reply.reservations]
        flags.append((reply.page_info.has_previous_page, reply.page_info.has_next_page))
        cursor = reply.page_info.next_cursor
    assert seen == ids
    assert flags == [(False, True), (True, True), (True, False)]


async def test_a_list_is_filtered_by_status(service: Served, client: Client) -> None:
    ids = await make_list(service, client)
    await client.ask("CancelReservation", reservation_id=ids[2], idempotency_key="c")
    for status, expected in {
        wire.RESERVATION_STATUS_CANCELLED: ids[2:3],
        wire.RESERVATION_STATUS_HOLD: ids[:2] + ids[3:],
        wire.RESERVATION_STATUS_CONFIRMED: [],
        wire.RESERVATION_STATUS_PENDING: [],
        wire.RESERVATION_STATUS_REFUNDED: [],
        wire.RESERVATION_STATUS_FAILED: [],
        wire.RESERVATION_STATUS_EXPIRED: [],
    }.items():
        reply = await client.ask("ListReservations", status=status)
        assert [item.reservation_id for item in reply.reservations] == expected, status


async def test_other_events_are_left_out_of_each_page(service: Served, client: Client) -> None:
    ids = await make_list(service, client)
    mine = await client.ask("ListReservations", event_id="evt_1")
    assert [item.reservation_id for item in mine.reservations] == ids
    page = types.Pagination(page_size=2)
    none = await client.ask("ListReservations", event_id="evt_2", pagination=page)
    assert (list(none.reservations), none.page_info.has_next_page) == ([], True)


@pytest.mark.parametrize(
    ("subject", "changed"),
    [
        ("user-2", {}),
        ("user-1", {"status": wire.RESERVATION_STATUS_HOLD}),
        ("user-1", {"event_id": "evt_1"}),
    ],
)
async def test_a_cursor_is_good_for_its_own_list_only(
    service: Served, client: Client, subject: str, changed: dict[str, Any]
) -> None:
    await make_list(service, client)
    first = await client.ask("ListReservations", pagination=types.Pagination(page_size=2))
    page = types.Pagination(page_size=2, cursor=first.page_info.next_cursor)
    reply = await service.client(subject).ask("ListReservations", pagination=page, **changed)
    assert faults(reply.error) == [("cursor", "not valid here", "")]
    assert not reply.reservations


async def test_a_page_number_counts_only_without_a_cursor(service: Served, client: Client) -> None:
    ids = await make_list(service, client)
    first = await client.ask("ListReservations", pagination=types.Pagination(page=1, page_size=2))
    cursor = first.page_info.next_cursor
    second = await client.ask("ListReservations", pagination=types.Pagination(page=2, cursor=cursor))
    assert [item.reservation_id for item in second.reservations] == ids[2:]
    refused = await client.ask("ListReservations", pagination=types.Pagination(page=2, page_size=2))
    assert faults(refused.error) == [
        ("pagination.page", "page numbers are not supported: use the cursor", "")
    ]


async def replayed(client: Client, name: str, *more: tuple[str, str], **fields: Any) -> tuple[bytes, bool]:
    call = client.start(name, request_of(name, **fields), *more)
    reply = await call
    metadata = await call.trailing_metadata()
    return reply.SerializeToString(deterministic=True), ("idempotency-replayed", "true") in tuple(metadata)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("ConfirmReservation", {"payment_intent_id": "pi_1"}),
        ("ConfirmReservation", {"payment_intent_id": "pi_declined"}),
        ("CancelReservation", {"reason": "first"}),
        ("ExtendHold", {"extension_seconds": 300, "reason": "first"}),
    ],
)
async def test_a_repeated_command_gets_the_same_bytes_later(
    service: Served, client: Client, name: str, fields: dict[str, Any]
) -> None:
    held = await create_two(client)
    again = await replayed(
        client, "CreateReservation", event_id="evt_1", quantity=2, seat_ids=SEATS, idempotency_key="k"
    )
    assert again == (held.SerializeToString(deterministic=True), True)
    service.clock.advance(5)
    fields |= {"reservation_id": held.reservation_id, "idempotency_key": "c"}
    first, is_replay = await replayed(client, name, **fields)
    assert not is_replay
    service.clock.advance(4)
    if "reason" in fields:
        fields["reason"] = "second"
    assert await replayed(client, name, **fields) == (first, True)


async def test_metadata_is_no_part_of_a_request(client: Client) -> None:
    first = await client.create(metadata=wire.ReservationMetadata(source="web", tags={"a": "b"}))
    assert await client.create(metadata=wire.ReservationMetadata(source="app")) == first


@pytest.mark.parametrize(
    "changed",
    [
        {"quantity": 2},
        {"event_id": "evt_2"},
        {"seat_ids": ["A-1-1"]},
        {"reservation_token": "t"},
    ],
)
async def test_a_key_is_good_for_one_request(client: Client, changed: dict[str, Any]) -> None:
    assert not (await client.create()).HasField("error")
    reply = await client.create(**changed)
    assert named(reply.error) == "IDEMPOTENCY_CONFLICT"


async def test_one_key_means_another_request_in_each_method(client: Client) -> None:
    held = await client.create(key="one")
    reply = await client.ask("CancelReservation", reservation_id=held.reservation_id, idempotency_key="one")
    assert named(reply.error) == "IDEMPOTENCY_CONFLICT"


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("ConfirmReservation", {"payment_intent_id": "pi_1"}, {"payment_intent_id": "pi_2"}),
        ("ExtendHold", {"extension_seconds": 30}, {"extension_seconds": 31}),
    ],
)
async def test_a_key_is_good_for_one_content(
    client: Client, name: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    about = {"reservation_id": (await client.create()).reservation_id, "idempotency_key": "c"}
    assert not (await client.ask(name, **about, **first)).HasField("error")
    assert named((await client.ask(name, **about, **second)).error) == "IDEMPOTENCY_CONFLICT"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("ConfirmReservation", {"payment_intent_id": "pi_1"}),
        ("CancelReservation", {}),
        ("ExtendHold", {"extension_seconds": 1}),
    ],
)
async def test_a_key_is_good_for_one_reservation(client: Client, name: str, fields: dict[str, Any]) -> None:
    ids = [(await client.create(key=key)).reservation_id for key in "ab"]
    replies = [
        await client.ask(name, reservation_id=reservation_id, idempotency_key="c", **fields)
        for reservation_id in ids
    ]
    assert [named(reply.error) for reply in replies] == ["UNSPECIFIED", "IDEMPOTENCY_CONFLICT"]


async def test_moves_are_counted_once(service: Served, client: Client) -> None:
    held = await create_two(client)
    await create_two(client)
    for _ in range(2):
        await client.ask("CancelReservation", reservation_id=held.reservation_id, idempotency_key="c")
    paid = {"reservation_id": (await client.create(key="other")).reservation_id, "payment_intent_id": "pi"}
    await client.ask("ConfirmReservation", **paid, idempotency_key="p")
    counted = {
        status: counted_of(service, "ReservationStatusCount", ("status", status.value))
        for status in (Status.HOLD, Status.CANCELLED, Status.CONFIRMED)
    }
    assert counted == {Status.HOLD: 2, Status.CANCELLED: 1, Status.CONFIRMED: 1}
    route = "reservation.v1.ReservationService/CreateReservation"
    assert counted_of(service, "APILatency", ("endpoint", route)) == 3


def counted_of(service: Served, name: str, tag: tuple[str, str]) -> float:
    reading = service.metrics.reading(name, tag)
    assert reading is not None
    return reading.measurements[0].value


async def test_a_gateway_holds_confirms_and_cancels_as_its_user(tmp_path: Path) -> None:
    async with served(tmp_path, TRUSTED) as running:
        gateway = running.client(token=None)
        held = await gateway.create(user_id="kim", key="")
        assert not held.HasField("error")
        reply = await gateway.ask("GetReservation", reservation_id=held.reservation_id)
        assert reply.reservation.user_id == "kim"
        sold = await gateway.ask(
            "ConfirmReservation", reservation_id=held.reservation_id, payment_intent_id="pi_1"
        )
        assert sold.status == wire.RESERVATION_STATUS_CONFIRMED
        other = await gateway.create(user_id="kim", key="")
        ended = await gateway.ask("CancelReservation", reservation_id=other.reservation_id)
        assert ended.status == wire.RESERVATION_STATUS_CANCELLED
