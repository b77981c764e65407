from collections.abc import Iterator

import pytest

from reservation_api.domain import errors
from reservation_api.domain.errors import (
    HoldExpiredError,
    InvalidRequestError,
    NotFoundError,
    PaymentRefusedError,
    ReservationApiError,
    SeatsTakenError,
    SoldOutError,
    StoreUnavailableError,
    UnavailableError,
    WrongStateError,
)
from reservation_api.entrypoints.grpc.reservation_errors import CODES, code_of, error_of, is_our_failure
from reservation_api.entrypoints.http.problems import kind_of
from reservation_proto.common.v1 import errors_pb2 as codes

TRACE = "a" * 32
FIRST_SERVER_ERROR = 500


def subclasses_of(error: type[ReservationApiError]) -> Iterator[type[ReservationApiError]]:
    yield error
    for subclass in error.__subclasses__():
        yield from subclasses_of(subclass)


def test_every_error_of_the_domain_has_a_row_of_its_own() -> None:
    ours = {error for error in subclasses_of(ReservationApiError) if error.__module__ == errors.__name__}
    assert len(ours) > 15
    assert ours - set(CODES) == set()


def test_no_error_is_of_an_unspecified_kind() -> None:
    assert codes.ERROR_CODE_UNSPECIFIED not in CODES.values()


def test_an_error_without_a_row_is_answered_as_its_base_is() -> None:
    class LaterError(StoreUnavailableError):
        pass

    assert code_of(LaterError) == codes.ERROR_CODE_UNAVAILABLE


@pytest.mark.parametrize("error_type", CODES)
def test_http_and_grpc_agree_on_whose_failure_it_is(error_type: type[ReservationApiError]) -> None:
    error = error_type.__new__(error_type)
    assert is_our_failure(error) == (kind_of(error_type).status >= FIRST_SERVER_ERROR)


@pytest.mark.parametrize("error_type", [e for e in CODES if issubclass(e, UnavailableError)])
def test_all_outages_say_that_another_try_is_safe(error_type: type[ReservationApiError]) -> None:
    assert CODES[error_type] == codes.ERROR_CODE_UNAVAILABLE


@pytest.mark.parametrize(
    ("error", "details"),
    [
        (
            InvalidRequestError("bad", errors=["quantity: must be: 1", "whole"]),
            [("quantity", "must be: 1", ""), ("whole", "", "")],
        ),
        (
            SeatsTakenError("taken", conflicts=["A-1", "A-2"]),
            [("seat_ids", "taken", "A-1"), ("seat_ids", "taken", "A-2")],
        ),
        (SoldOutError("few", remaining=3), [("remaining", "", "3")]),
        (WrongStateError("no", status="EXPIRED"), [("status", "", "EXPIRED")]),
        (
            HoldExpiredError("over", hold_expires_at="2026-11-23T12:01:00.000Z"),
            [("hold_expires_at", "", "2026-11-23T12:01:00.000Z")],
        ),
        (NotFoundError("none", table="orders"), []),
        (InvalidRequestError("bad", errors="not a list"), []),
    ],
    ids=lambda part: type(part).__name__,
)
def test_an_error_says_its_code_its_message_and_what_clients_may_know(
    error: ReservationApiError, details: list[tuple[str, str, str]]
) -> None:
    told = error_of(error, TRACE)
    assert (told.code, told.message, told.trace_id) == (code_of(type(error)), error.message, TRACE)
    assert [(detail.field, detail.reason, detail.value) for detail in told.details] == details


def test_a_refusal_on_record_shows_the_trace_of_the_first_request() -> None:
    error = PaymentRefusedError("the payment was refused")
    error.trace_id = "b" * 32
    assert error_of(error, TRACE).trace_id == "b" * 32
