from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation_api.application.confirm import Payment
from reservation_api.application.extend import Extension
from reservation_api.application.hold import SeatsWanted
from reservation_api.domain.errors import InvalidRequestError
from reservation_api.domain.reservation import Status
from reservation_api.entrypoints.grpc import reservation_requests as requests
from reservation_api.entrypoints.grpc.reservation_replies import STATUSES
from reservation_proto.common.v1.types_pb2 import Pagination
from reservation_proto.reservation.v1 import reservation_pb2 as wire

IDS = ["", "x" * 65, "a b", "ä", "a/b", "a\n"]
SEATS = [f"A-{n}" for n in range(10)]


def faults_of(check: Any, *arguments: Any) -> list[str]:
    with pytest.raises(InvalidRequestError) as caught:
        check(*arguments)
    faults: list[str] = caught.value.data["errors"]
    return [fault.partition(":")[0] for fault in faults]


def hold(**fields: Any) -> wire.CreateReservationRequest:
    return wire.CreateReservationRequest(**{"event_id": "evt_1", "quantity": 1, **fields})


def test_a_hold_is_read() -> None:
    request = hold(quantity=2, seat_ids=["b", "a"], reservation_token="t k")
    assert requests.seats_wanted(request) == SeatsWanted("evt_1", 2, ("b", "a"), "t k")  # type: ignore[arg-type]
    assert requests.seats_wanted(hold()) == SeatsWanted("evt_1", 1)  # type: ignore[arg-type]
    assert requests.seats_wanted(hold(quantity=10, seat_ids=SEATS)).qty == 10
    requests.seats_wanted(hold(event_id="x" * 64, reservation_token="~" * 4096))


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        *(({"event_id": text}, ["event_id"]) for text in IDS),
        ({"quantity": 0}, ["quantity"]),
        ({"quantity": -1}, ["quantity"]),
        ({"quantity": 11}, ["quantity"]),
        ({"quantity": 11, "seat_ids": [*SEATS, "more"]}, ["quantity"]),
        ({"seat_ids": ["a", "b"]}, ["seat_ids"]),
        ({"quantity": 2, "seat_ids": ["a"]}, ["seat_ids"]),
        ({"quantity": 2, "seat_ids": ["a", "a"]}, ["seat_ids"]),
        *(({"seat_ids": [text]}, ["seat_ids"]) for text in IDS),
        ({"reservation_token": "x" * 4097}, ["reservation_token"]),
        ({"reservation_token": "tab\t"}, ["reservation_token"]),
        ({"reservation_token": "ü"}, ["reservation_token"]),
        (
            {"event_id": "", "quantity": 0, "seat_ids": ["a b", "a b"], "reservation_token": "\n"},
            ["event_id", "quantity", "seat_ids", "seat_ids", "seat_ids", "reservation_token"],
        ),
    ],
)
def test_every_fault_of_a_hold_is_listed(fields: dict[str, Any], faults: list[str]) -> None:
    assert faults_of(requests.seats_wanted, hold(**fields)) == faults


@pytest.mark.parametrize("text", IDS)
def test_what_is_no_id_is_no_reservation(text: str) -> None:
    assert faults_of(requests.reservation_id_of, text) == ["reservation_id"]
    confirm = wire.ConfirmReservationRequest(reservation_id=text, payment_intent_id="p")
    assert faults_of(requests.payment_of, confirm) == ["reservation_id"]
    extend = wire.ExtendHoldRequest(reservation_id=text, extension_seconds=1)
    assert faults_of(requests.extension_of, extend) == ["reservation_id"]


@pytest.mark.parametrize("payment", ["", "x" * 129, "a b", "ü", "a\x7f"])
def test_what_is_no_payment_intent_is_refused(payment: str) -> None:
    request = wire.ConfirmReservationRequest(reservation_id="r", payment_intent_id=payment)
    assert faults_of(requests.payment_of, request) == ["payment_intent_id"]


def test_a_confirm_is_read() -> None:
    request = wire.ConfirmReservationRequest(reservation_id="r", payment_intent_id="~" * 128)
    assert requests.payment_of(request) == Payment("r", "~" * 128)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [-1, 0, 301])
def test_an_extension_has_its_bounds(seconds: int) -> None:
    request = wire.ExtendHoldRequest(reservation_id="r", extension_seconds=seconds)
    assert faults_of(requests.extension_of, request) == ["extension_seconds"]


@pytest.mark.parametrize("seconds", [1, 300])
def test_an_extension_is_read(seconds: int) -> None:
    request = wire.ExtendHoldRequest(reservation_id="r", extension_seconds=seconds)
    assert requests.extension_of(request) == Extension("r", seconds)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\t", "ü", "\x7f"])
def test_what_is_no_key_is_refused(key: str) -> None:
    assert faults_of(requests.check_key, key) == ["idempotency_key"]


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255))
def test_a_key_is_any_printable_ascii(key: str) -> None:
    requests.check_key(key)


def test_a_user_has_a_name_that_a_token_could_have() -> None:
    for name in ("", "x" * 255, "Kim 김", "kim@example.com"):
        requests.check_user_id(name)
    for name in ("x" * 256, "a\nb", "\x00"):
        assert faults_of(requests.check_user_id, name) == ["user_id"]
    assert faults_of(requests.named_user, None) == ["user_id"]


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"status": 99}, ["status"]),
        ({"status": -1}, ["status"]),
        ({"event_id": "a b"}, ["event_id"]),
        ({"pagination": Pagination(page=2)}, ["pagination.page"]),
        ({"pagination": Pagination(page=-1)}, ["pagination.page"]),
        ({"pagination": Pagination(page_size=-1)}, ["pagination.page_size"]),
        ({"pagination": Pagination(page_size=101)}, ["pagination.page_size"]),
        ({"pagination": Pagination(cursor="x" * 2049)}, ["pagination.cursor"]),
        (
            {"status": 8, "event_id": "/", "pagination": Pagination(page=3, page_size=1000)},
            ["status", "event_id", "pagination.page", "pagination.page_size"],
        ),
    ],
)
def test_every_fault_of_a_list_is_listed(fields: dict[str, Any], faults: list[str]) -> None:
    assert faults_of(requests.check_list, wire.ListReservationsRequest(**fields)) == faults


def test_a_page_has_20_reservations_unless_asked_otherwise() -> None:
    for given_size, size in {0: 20, 1: 1, 100: 100}.items():
        request = wire.ListReservationsRequest(pagination=Pagination(page=1, page_size=given_size))
        requests.check_list(request)
        assert requests.page_size_of(request) == size


def test_every_status_of_either_side_has_a_meaning() -> None:
    assert set(requests.STATUSES) == set(wire.ReservationStatus.values()) - {0}
    assert set(STATUSES) == set(Status) - {Status.ABANDONED}
    for status, number in STATUSES.items():
        assert requests.STATUSES[number] is status
        assert wire.ReservationStatus.Name(number) == f"RESERVATION_STATUS_{status.value}"


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05a", b"\x0a\x01\xff", b"\x0b"])
def test_bytes_that_are_no_message_are_refused(raw: bytes) -> None:
    assert faults_of(requests.parse, wire.GetReservationRequest, raw) == ["message"]
