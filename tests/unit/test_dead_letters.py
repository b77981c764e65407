"""What is read out of a message of a dead-letter queue, whoever put it there."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.bus_events import confirmed, created
from tests.support.examples import START, TRACE

from reservation_api.application.dead_letters import DeadLetter, Selection, read_letter
from reservation_api.ports.event_bus import OutgoingEvent
from reservation_api.ports.queue import QueueMessage

RULE_ARN = "arn:aws:events:ap-northeast-2:111122223333:rule/test-reservation-events/test-reservation-created"
BY_A_RULE = {
    "RULE_ARN": RULE_ARN,
    "TARGET_ARN": "arn:aws:lambda:ap-northeast-2:111122223333:function:x",
    "ERROR_CODE": "NO_PERMISSIONS",
    "ERROR_MESSAGE": "may not invoke",
    "RETRY_ATTEMPTS": "0",
}


def letter(body: Any, **attributes: str) -> DeadLetter:
    text = body if isinstance(body, str) else json.dumps(body)
    return read_letter(QueueMessage("m1", "receipt", text, 1, datetime(2026, 11, 23, tzinfo=UTC), attributes))


def test_an_event_that_a_rule_could_not_deliver_is_to_be_published_as_it_was() -> None:
    event = confirmed()
    found = letter(event, **BY_A_RULE)
    assert found.event == OutgoingEvent(
        "rsv_1.2",
        "reservation.service",
        "Reservation Status Changed",
        json.dumps(event["detail"]),
        START,
        TRACE,
    )
    assert (found.name, found.unusable) == ("rsv_1.2", None)
    assert (found.rule, found.target) == ("test-reservation-created", BY_A_RULE["TARGET_ARN"])
    assert (found.error_code, found.error) == ("NO_PERMISSIONS", "may not invoke")


def test_an_event_that_a_function_could_not_process_is_read_from_its_own_queue() -> None:
    found = letter(created(), RequestID="r", ErrorCode="200", ErrorMessage="UnreadableEventError")
    assert found.event is not None
    assert (found.name, found.rule) == ("rsv_1.1", None)
    assert (found.error_code, found.error) == ("200", "UnreadableEventError")


def test_an_event_that_a_function_could_not_process_is_read_from_its_destinations_record() -> None:
    record = {
        "version": "1.0",
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": created(),
        "responsePayload": {"errorMessage": "no event", "errorType": "UnreadableEventError"},
    }
    found = letter(record)
    assert found.name == "rsv_1.1"
    assert (found.error_code, found.error) == ("UnreadableEventError", "no event")


def test_an_event_that_a_queue_gave_up_on_says_nothing_of_why() -> None:
    found = letter(created())
    assert found.event is not None
    assert (found.rule, found.error_code, found.error) == (None, None, None)


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "[]",
        created(time="yesterday"),
        created(detail={"trace_id": TRACE}),
        created(detail="text"),
        created(detail={"id": 1}),
    ],
)
def test_what_has_no_event_in_it_is_a_letter_that_says_so(body: Any) -> None:
    found = letter(body, **BY_A_RULE)
    assert found.event is None
    assert found.unusable
    assert (found.name, found.rule) == ("m1", "test-reservation-created")


def test_an_event_of_somebody_else_is_not_ours_to_publish() -> None:
    found = letter(created(source="aws.events"))
    assert found.event is None
    assert found.unusable == "an event of aws.events, whose own it is to publish it again"


def test_an_event_without_a_trace_goes_without_one() -> None:
    found = letter(created(detail={"id": "e1"}))
    assert found.event is not None
    assert found.event.trace_id == ""


@pytest.mark.parametrize(
    ("selection", "is_meant"),
    [
        (Selection(), True),
        (Selection(event_ids=frozenset({"rsv_1.1", "other"})), True),
        (Selection(event_ids=frozenset({"other"})), False),
        (Selection(detail_type="Reservation Created"), True),
        (Selection(detail_type="Reservation Status Changed"), False),
        (Selection(rule="test-reservation-created"), True),
        (Selection(rule=RULE_ARN), False),
        (Selection(error_code="NO_PERMISSIONS"), True),
        (Selection(error_code="THROTTLING"), False),
        (Selection(rule="test-reservation-created", error_code="THROTTLING"), False),
    ],
)
def test_a_selection_means_letters_by_all_that_it_names(selection: Selection, *, is_meant: bool) -> None:
    assert selection.takes(letter(created(), **BY_A_RULE)) is is_meant


@pytest.mark.parametrize(
    ("selection", "is_meant"),
    [
        (Selection(), True),
        (Selection(error_code="NO_PERMISSIONS"), True),
        (Selection(event_ids=frozenset({"m1"})), False),
        (Selection(detail_type="Reservation Created"), False),
    ],
)
def test_what_has_no_event_is_meant_by_why_it_is_there(selection: Selection, *, is_meant: bool) -> None:
    assert selection.takes(letter("no json", **BY_A_RULE)) is is_meant
