"""Events: one per move, with the words that other systems were promised; and the order of a sale."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from jsonschema import Draft202012Validator
from tests.support.examples import START, TRACE, intent, reservation, seat

from reservation_api.domain.events import (
    RESERVATION_CREATED,
    RESERVATION_STATUS_CHANGED,
    SOURCE,
    ReservationCreated,
    ReservationStatusChanged,
    event_of,
)
from reservation_api.domain.order import order_of
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import Money

SCHEMAS: Final = Path(__file__).parents[2] / "docs" / "events"
END: Final = START + timedelta(seconds=60)
HELD: Final = reservation(seats=(seat("A-1-1"), seat("A-1-2", 80_000)), reservation_token="tok")
FENCED: Final = HELD.with_intent(intent())
ENDINGS: Final = {
    "confirmed": FENCED.confirmed(END),
    "cancelled": HELD.cancelled(START),
    "expired": HELD.expired(END),
    "seats gone": FENCED.seats_gone(END),
}
ALL: Final = {"held": HELD, **ENDINGS}
COMMON: Final = {
    "reservation_id": "rsv_1",
    "event_id": "evt_test",
    "user_id": "alice",
    "qty": 2,
    "seat_ids": ["A-1-1", "A-1-2"],
    "total_amount": {"amount": 200_000, "currency": "KRW"},
    "hold_expires_at": "2026-11-23T12:01:00.000Z",
    "created_at": "2026-11-23T12:00:00.000Z",
    "trace_id": TRACE,
    "traceparent": None,
    "reservation_token": "tok",
}


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


CREATED: Final = validator("reservation-created")
STATUS_CHANGED: Final = validator("reservation-status-changed")


def detail(one: Reservation) -> Mapping[str, Any]:
    """The event as a consumer reads it."""
    read: Mapping[str, Any] = json.loads(msgspec.json.encode(event_of(one, TRACE)))
    return read


def test_a_hold_tells_that_seats_are_held() -> None:
    assert isinstance(event_of(HELD, TRACE), ReservationCreated)
    assert detail(HELD) == {
        **COMMON,
        "id": "rsv_1.1",
        "version": 1,
        "status": "HOLD",
        "occurred_at": "2026-11-23T12:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("ending", "status", "order_id", "payment"),
    [
        ("confirmed", "CONFIRMED", "ord_1", "pi_1"),
        ("cancelled", "CANCELLED", None, None),
        ("expired", "EXPIRED", None, None),
        ("seats gone", "EXPIRED", None, "pi_1"),
    ],
)
def test_an_ending_tells_how_the_hold_ended(
    ending: str, status: str, order_id: str | None, payment: str | None
) -> None:
    after = ENDINGS[ending]
    assert isinstance(event_of(after, TRACE), ReservationStatusChanged)
    assert detail(after) == {
        **COMMON,
        "id": "rsv_1.2",
        "version": 2,
        "status": status,
        "occurred_at": f"2026-11-23T12:0{int(after.updated_at == END)}:00.000Z",
        "order_id": order_id,
        "payment_intent_id": payment,
    }


def test_an_abandoned_id_is_no_event() -> None:
    with pytest.raises(ValueError, match="no event"):
        event_of(reservation(status=Status.ABANDONED), TRACE)


def test_each_move_has_an_id_of_its_own_and_the_same_each_time() -> None:
    ids = {name: event_of(one, TRACE).id for name, one in ALL.items()}
    assert ids == {name: event_of(one, "another trace").id for name, one in ALL.items()}
    assert set(ids.values()) == {"rsv_1.1", "rsv_1.2"}
    assert [name for name, id_ in ids.items() if id_ == "rsv_1.1"] == ["held"]


@pytest.mark.parametrize("name", ALL)
def test_an_event_is_what_its_published_schema_says(name: str) -> None:
    ours, other = (CREATED, STATUS_CHANGED) if name == "held" else (STATUS_CHANGED, CREATED)
    assert list(ours.iter_errors(detail(ALL[name]))) == []
    assert not other.is_valid(detail(ALL[name]))


@pytest.mark.parametrize("name", ALL)
def test_the_schema_knows_every_field_of_the_event(name: str) -> None:
    schema = (CREATED if name == "held" else STATUS_CHANGED).schema
    assert isinstance(schema, Mapping)
    assert detail(ALL[name]).keys() == schema["properties"].keys()


@pytest.mark.parametrize(
    "broken",
    [
        {"status": "SOLD"},
        {"version": "2"},
        {"qty": None},
        {"seat_ids": "A-1-1"},
        {"total_amount": {"amount": 1.5, "currency": "KRW"}},
        {"total_amount": {"amount": 1}},
        {"occurred_at": "2026-11-23T12:00:00Z"},
        {"occurred_at": "2026-11-23 12:00:00.000"},
        {"hold_expires_at": "2026-11-23T12:01:00.000000Z"},
    ],
)
def test_the_schema_refuses_what_no_event_says(broken: Mapping[str, Any]) -> None:
    assert not STATUS_CHANGED.is_valid({**detail(ENDINGS["cancelled"]), **broken})


@pytest.mark.parametrize("missing", sorted({*COMMON, "id", "version", "status", "occurred_at"}))
def test_the_schema_misses_what_every_event_says(missing: str) -> None:
    words = dict(detail(replace(HELD, reservation_token=None)))
    del words[missing]
    assert CREATED.is_valid(words) is (missing in {"reservation_token", "traceparent"})


def test_source_and_detail_types_are_those_of_the_document() -> None:
    assert SOURCE == "reservation.service"
    assert (RESERVATION_CREATED, RESERVATION_STATUS_CHANGED) == (
        "Reservation Created",
        "Reservation Status Changed",
    )


def test_an_order_is_what_was_held_at_the_price_of_that_moment() -> None:
    sold = ENDINGS["confirmed"]
    order = order_of(sold)
    assert (order.order_id, order.reservation_id, order.payment_intent_id) == ("ord_1", "rsv_1", "pi_1")
    assert (order.event_id, order.user_id, order.status) == ("evt_test", "alice", "CONFIRMED")
    assert (order.seats, order.total_amount) == (HELD.seats, Money(200_000, "KRW"))
    assert order.created_at == sold.updated_at == END


@pytest.mark.parametrize("name", [name for name in ALL if name != "confirmed"])
def test_nothing_but_a_confirmed_reservation_has_an_order(name: str) -> None:
    with pytest.raises(ValueError, match="only a confirmed reservation"):
        order_of(ALL[name])
