"""The errors' codes, which clients and idempotency records know, and the trees that are drawn of them."""

import inspect
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

import pytest

from reservation_api.domain import errors
from reservation_api.domain.errors import ReservationApiError
from reservation_api.entrypoints.http import refusals

SHARED_CODES: Final = {
    "not_found": "an unknown path, and a thing that is not there: a client is told the same"
}
CODES: Final[Mapping[str, str]] = {
    "ReservationApiError": "internal_error",
    "RefusedError": "refused",
    "InvalidRequestError": "invalid_request",
    "NotFoundError": "not_found",
    "SeatsTakenError": "seats_taken",
    "SoldOutError": "sold_out",
    "WrongStateError": "wrong_state",
    "HoldExpiredError": "hold_expired",
    "PaymentRefusedError": "payment_refused",
    "PaymentAlreadyUsedError": "payment_already_used",
    "IdempotencyMismatchError": "idempotency_key_reused",
    "UnavailableError": "unavailable",
    "StoreUnavailableError": "store_unavailable",
    "InventoryUnavailableError": "inventory_unavailable",
    "EventBusUnavailableError": "event_bus_unavailable",
    "PaymentUnavailableError": "payment_unavailable",
    "IdentityUnavailableError": "identity_unavailable",
    "OverloadedError": "overloaded",
    "HttpRefusedError": "http_refused",
    "TooManyRequestsError": "rate_limited",
    "UnauthenticatedError": "unauthenticated",
    "ForbiddenError": "forbidden",
    "NoSuchPathError": "not_found",
    "MethodNotAllowedError": "method_not_allowed",
    "PayloadTooLargeError": "payload_too_large",
    "UnsupportedMediaTypeError": "unsupported_media_type",
    "IncompleteBodyError": "incomplete_body",
    "SlowBodyError": "request_timeout",
    "IdempotencyKeyMissingError": "idempotency_key_missing",
    "IdempotencyKeyMalformedError": "idempotency_key_malformed",
}
"""Clients and idempotency records know these: a code, once released, is never changed nor given away."""


def errors_of(*namespaces: object) -> list[type[ReservationApiError]]:
    found = {
        value: None
        for namespace in namespaces
        for value in vars(namespace).values()
        if inspect.isclass(value) and issubclass(value, ReservationApiError)
    }
    return list(found)


def code_faults(classes: list[type[ReservationApiError]]) -> list[str]:
    """Codes that are inherited, shared, or not in snake case."""
    counted = Counter(cls.code for cls in classes)
    faults = [f"{cls.__name__} has no code of its own" for cls in classes if "code" not in vars(cls)]
    faults += [f"{code} is not unique" for code, n in counted.items() if n > 1 and code not in SHARED_CODES]
    return faults + [f"{code} is no word" for code in counted if not re.fullmatch(r"[a-z]+(_[a-z]+)*", code)]


def drawn_tree(docstring: str) -> dict[str, str | None]:
    """Read a tree drawn with ├── as error → its parent."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in docstring.splitlines():
        match = re.match(r"([│├└─ ]*)(\w+Error)\b", line)
        if match:
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            parents[match[2]] = path[depth - 1] if depth else None
    return parents


def class_tree(classes: list[type[ReservationApiError]]) -> dict[str, str | None]:
    root = ReservationApiError
    return {c.__name__: None if c is root else c.__bases__[0].__name__ for c in classes}


ERRORS: Final = errors_of(errors, refusals)


def test_every_error_has_a_code_of_its_own() -> None:
    assert code_faults(ERRORS) == []
    assert [code for code, n in Counter(cls.code for cls in ERRORS).items() if n > 1] == list(SHARED_CODES)


def test_no_code_has_changed_since_it_was_released() -> None:
    assert {cls.__name__: cls.code for cls in ERRORS} == CODES


@pytest.mark.parametrize("module", [errors, refusals])
def test_a_module_of_errors_opens_with_the_tree_of_them(module: object) -> None:
    assert drawn_tree(inspect.getdoc(module) or "") == class_tree(errors_of(module))


def test_a_planted_error_is_found() -> None:
    class NamelessError(ReservationApiError):
        pass

    class TwinError(ReservationApiError):
        code = "sold_out"

    class LoudError(ReservationApiError):
        code = "SoldOut"

    assert code_faults([ReservationApiError, NamelessError]) == [
        "NamelessError has no code of its own",
        "internal_error is not unique",
    ]
    assert code_faults([errors.SoldOutError, TwinError]) == ["sold_out is not unique"]
    assert code_faults([LoudError]) == ["SoldOut is no word"]


def test_a_tree_drawn_wrong_is_found() -> None:
    drawn = inspect.getdoc(errors) or ""
    for wrong in (drawn.replace("SoldOutError", "BoughtOutError"), drawn.replace("│   ├── Sold", "├── Sold")):
        assert wrong != drawn
        assert drawn_tree(wrong) != class_tree(errors_of(errors))
