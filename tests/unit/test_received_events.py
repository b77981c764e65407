"""What a consumer takes for an event: exactly what docs/events describes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.support.bus_events import envelope
from tests.support.examples import START, TRACE, intent, reservation

from reservation_api.application.received_events import (
    UnreadableEventError,
    read_envelope,
    read_event,
)
from reservation_api.domain.events import RESERVATION_CREATED, RESERVATION_STATUS_CHANGED, event_of
from reservation_api.domain.reservation import Reservation

SCHEMAS: Final = Path(__file__).parents[2] / "docs" / "events"
HELD: Final = reservation(reservation_token="secret")
CONFIRMED: Final = HELD.with_intent(intent()).confirmed(START)
CREATED: Final = (RESERVATION_CREATED, HELD, "reservation-created")
CHANGED: Final = (RESERVATION_STATUS_CHANGED, CONFIRMED, "reservation-status-changed")
EITHER: Final = pytest.mark.parametrize(
    ("detail_type", "one", "schema"), [CREATED, CHANGED], ids=["created", "changed"]
)


def detail_of(one: Reservation) -> dict[str, Any]:
    detail: dict[str, Any] = json.loads(msgspec.json.encode(event_of(one, TRACE)))
    return detail


def is_readable(detail_type: str, detail: Any) -> bool:
    try:
        read_event(json.dumps(envelope(detail_type, detail)))
    except UnreadableEventError:
        return False
    return True


def is_valid(schema: str, detail: Any) -> bool:
    validator = Draft202012Validator(json.loads((SCHEMAS / f"{schema}.schema.json").read_text()))
    return bool(validator.is_valid(detail))


@EITHER
def test_what_this_service_publishes_is_read_as_it_was_written(
    detail_type: str, one: Reservation, schema: str
) -> None:
    assert is_valid(schema, detail_of(one))
    event = read_event(json.dumps(envelope(detail_type, detail_of(one))))
    assert event.detail == event_of(one, TRACE)
    assert event.envelope.replay_name is None


VALUES: Final = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=30), st.lists(st.text(max_size=3), max_size=3)
)


@EITHER
@given(data=st.data())
def test_whatever_becomes_of_a_field_the_schema_and_the_reader_agree(
    detail_type: str, one: Reservation, schema: str, data: st.DataObject
) -> None:
    detail = detail_of(one)
    name = data.draw(st.sampled_from([*detail, "a field of tomorrow"]))
    if data.draw(st.booleans()):
        detail.pop(name, None)
    else:
        detail[name] = data.draw(VALUES)
    assert is_readable(detail_type, detail) is is_valid(schema, detail)


def test_an_event_of_the_other_type_is_not_read() -> None:
    assert not is_readable(RESERVATION_CREATED, detail_of(CONFIRMED))
    assert not is_readable(RESERVATION_STATUS_CHANGED, detail_of(HELD))


@pytest.mark.parametrize(
    "instant", ["2026-02-30T12:00:00.000Z", "2026-11-23T12:00:00Z", "2026-11-23T12:00:00.000+00:00", "soon"]
)
def test_an_instant_is_a_real_one_in_the_form_of_the_schema(instant: str) -> None:
    for name in ("hold_expires_at", "created_at", "occurred_at"):
        assert not is_readable(RESERVATION_CREATED, detail_of(HELD) | {name: instant})


@pytest.mark.parametrize(
    "change",
    [
        lambda event: event.pop("detail"),
        lambda event: event.pop("source"),
        lambda event: event.pop("id"),
        lambda event: event.pop("detail-type"),
        lambda event: event.update(source="aws.events"),
        lambda event: event.update({"detail-type": "Scheduled Event"}),
        lambda event: event.update(detail=[]),
        lambda event: event.update(detail="{}"),
        lambda event: event.update({"replay-name": 1}),
    ],
)
def test_an_envelope_that_is_not_ours_is_unreadable(change: Callable[[dict[str, Any]], object]) -> None:
    event = envelope(RESERVATION_CREATED, detail_of(HELD))
    change(event)
    with pytest.raises(UnreadableEventError):
        read_event(json.dumps(event))


@pytest.mark.parametrize("body", ["", "no json", "[]", "null", "{}", b"\xff", "\ud800"])
def test_what_is_no_envelope_is_unreadable(body: str | bytes) -> None:
    with pytest.raises(UnreadableEventError):
        read_envelope(body)
    with pytest.raises(UnreadableEventError):
        read_event(body)


def test_the_reason_quotes_no_value() -> None:
    detail = detail_of(HELD) | {"qty": "secret number"}
    with pytest.raises(UnreadableEventError) as caught:
        read_event(json.dumps(envelope(RESERVATION_CREATED, detail)))
    assert "secret" not in str(caught.value)
    assert "qty" in str(caught.value)


def test_a_replayed_event_names_its_replay() -> None:
    body = json.dumps(envelope(RESERVATION_CREATED, detail_of(HELD), **{"replay-name": "again"}))
    assert read_event(body).envelope.replay_name == "again"


def test_an_envelope_keeps_its_detail_to_the_letter() -> None:
    body = '{"id":"1","source":"s","detail-type":"t","time":"now","detail":{"b": 1.0,  "a":"\\u00e9"}}'
    assert bytes(read_envelope(body).detail) == b'{"b": 1.0,  "a":"\\u00e9"}'
