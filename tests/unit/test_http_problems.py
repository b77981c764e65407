import logging
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.api import Client, answering, make_api
from tests.support.clock import FakeClock

from reservation_api.domain.errors import (
    HoldExpiredError,
    IdempotencyMismatchError,
    InvalidRequestError,
    InventoryUnavailableError,
    NotFoundError,
    OverloadedError,
    PaymentAlreadyUsedError,
    PaymentRefusedError,
    ReservationApiError,
    SeatsTakenError,
    SoldOutError,
    StoreUnavailableError,
    UnavailableError,
    WrongStateError,
)
from reservation_api.entrypoints.http import app
from reservation_api.entrypoints.http.problems import KINDS, kind_of
from reservation_api.entrypoints.http.refusals import IncompleteBodyError, PayloadTooLargeError, SlowBodyError

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def client_of(answer: Any) -> Client:
    return Client(make_api(answering(answer), FakeClock()))


def subclasses_of(error: type[ReservationApiError]) -> Iterator[type[ReservationApiError]]:
    for subclass in error.__subclasses__():
        yield subclass
        yield from subclasses_of(subclass)


def test_every_error_has_a_row_of_its_own() -> None:
    assert app  # everything that HTTP knows is imported
    ours = {error for error in subclasses_of(ReservationApiError) if error.__module__.startswith("reserv")}
    assert ours - set(KINDS) == set()


def test_an_error_without_a_row_is_answered_as_its_base_is() -> None:
    class LaterError(StoreUnavailableError):
        pass

    assert kind_of(LaterError) is KINDS[StoreUnavailableError]


@pytest.mark.parametrize(
    ("error", "status", "members"),
    [
        (InvalidRequestError("bad", errors=["qty: bad"]), 400, {"errors": ["qty: bad"]}),
        (PaymentRefusedError("no"), 402, {}),
        (NotFoundError("none"), 404, {}),
        (SeatsTakenError("taken", conflicts=["A-1"]), 409, {"conflicts": ["A-1"]}),
        (SoldOutError("few", remaining=0), 409, {"remaining": 0}),
        (WrongStateError("no", status="EXPIRED"), 409, {"reservation_status": "EXPIRED"}),
        (PaymentAlreadyUsedError("used"), 409, {}),
        (
            HoldExpiredError("over", hold_expires_at="2026-11-23T12:01:00.000Z"),
            410,
            {"hold_expires_at": "2026-11-23T12:01:00.000Z"},
        ),
        (IdempotencyMismatchError("other"), 422, {}),
        (UnavailableError("later"), 503, {}),
        (InventoryUnavailableError("later"), 503, {}),
        (OverloadedError("later"), 503, {}),
    ],
    ids=lambda part: type(part).__name__,
)
async def test_a_refusal_is_a_problem_with_its_code_and_data(
    error: ReservationApiError, status: int, members: dict[str, Any]
) -> None:
    answer = await client_of(error).get("/v1/orders/ord_1", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    problem = answer.json
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert problem.pop("title")
    assert problem == {
        "type": f"urn:traffic-tacos:reservation:{error.code}",
        "status": status,
        "detail": error.message,
        "code": error.code,
        "trace_id": TRACE,
        **members,
    }


async def test_data_that_nobody_documented_is_not_shown() -> None:
    answer = await client_of(NotFoundError("none", table="orders")).get("/v1/orders/ord_1")
    assert b"table" not in answer.body


@pytest.mark.parametrize("error", [UnavailableError("x"), StoreUnavailableError("x"), OverloadedError("x")])
async def test_what_may_be_retried_says_when(error: ReservationApiError) -> None:
    answer = await client_of(error).get("/v1/orders/ord_1")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


async def test_what_may_not_be_retried_does_not() -> None:
    assert "retry-after" not in (await client_of(NotFoundError("none")).get("/v1/orders/ord_1")).headers


async def test_a_refusal_on_record_shows_its_own_trace_first_and_again() -> None:
    for replayed in (False, True):
        error = PaymentRefusedError("the payment was refused")
        error.trace_id, error.replayed = "a" * 32, replayed
        answer = await client_of(error).post("/v1/reservations/rsv_1/cancel")
        assert (answer.status, answer.json["trace_id"]) == (402, "a" * 32)
        assert answer.headers.get("idempotency-replayed") == ("true" if replayed else None)


@pytest.mark.parametrize(
    ("error", "status"),
    [(PayloadTooLargeError("x"), 413), (IncompleteBodyError("x"), 400), (SlowBodyError("x"), 408)],
)
async def test_a_body_that_does_not_arrive_is_a_problem(error: ReservationApiError, status: int) -> None:
    assert (await client_of(error).post("/v1/reservations/rsv_1/cancel")).status == status


async def test_a_surprise_is_logged_and_shown_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    client = client_of(KeyError("postgres://user:password@host"))
    with caplog.at_level(logging.ERROR, "reservation_api.http"):
        answer = await client.get("/v1/orders/ord_1", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    assert (answer.status, answer.code, answer.json["trace_id"]) == (500, "internal_error", TRACE)
    assert b"password" not in answer.body
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.__dict__["fields"]["trace_id"] == TRACE
