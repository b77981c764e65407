"""What each kind of write asks of DynamoDB: well-formed, allowed by the role, and what the write says."""

import re
from typing import Any

import pytest
from tests.support.examples import START, intent, order, outbox_entry, record, reservation

from reservation_api.adapters.dynamodb.shards import StatusShards
from reservation_api.adapters.dynamodb.tables import TableNames
from reservation_api.adapters.dynamodb.writes import TransactItems
from reservation_api.domain.values import OutboxId, PaymentIntentId, ReservationId
from reservation_api.ports.store import (
    AddOutboxEntry,
    CompleteRecord,
    DropPaymentGuard,
    GuardPayment,
    InsertOrder,
    InsertRecord,
    InsertReservation,
    RemoveOutboxEntry,
    UpdateReservation,
    Write,
)

NAMES = TableNames("reservations", "orders", "idempotency", "outbox")
ITEMS = TransactItems(NAMES, StatusShards(4))
HELD = reservation()
FENCED = HELD.with_intent(intent())
PAYMENT, OWNER = PaymentIntentId("pi_1"), ReservationId("rsv_1")
WRITES: list[Write] = [
    InsertReservation(HELD),
    InsertReservation(FENCED),
    InsertRecord(record(), START),
    CompleteRecord(record(), START),
    InsertOrder(order()),
    GuardPayment(PAYMENT, OWNER),
    DropPaymentGuard(PAYMENT, OWNER),
    AddOutboxEntry(outbox_entry()),
    RemoveOutboxEntry(OutboxId("rsv_1.1")),
    UpdateReservation(HELD, FENCED, not_past=START),
    UpdateReservation(FENCED, FENCED.confirmed(START)),
    UpdateReservation(FENCED, FENCED.payment_refused(START)),
    UpdateReservation(HELD, HELD.cancelled(START), not_past=START),
    UpdateReservation(HELD, HELD.cancelled(START), past=START),
    UpdateReservation(HELD, HELD.cancelled(START), not_past=START, past=START),
]
REQUESTS = [
    *(ITEMS.of(write) for write in WRITES),
    ITEMS.replacing(outbox_entry(), outbox_entry()),
    ITEMS.replacing(outbox_entry(), outbox_entry(last_error="no", attempts=1)),
]
EXPRESSIONS = ("ConditionExpression", "UpdateExpression")


def _only(request: Any) -> tuple[str, Any]:
    ((kind, body),) = request.items()
    return kind, body


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_every_name_and_value_that_is_given_is_used_and_the_other_way_round(request_: Any) -> None:
    _, body = _only(request_)
    text = " ".join(body.get(name, "") for name in EXPRESSIONS)
    assert set(re.findall(r":\w+", text)) == set(body.get("ExpressionAttributeValues", {}))
    assert set(re.findall(r"#\w+", text)) == set(body.get("ExpressionAttributeNames", {}))


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_only_what_the_role_allows_is_asked_of_the_documents_tables(request_: Any) -> None:
    kind, body = _only(request_)
    assert kind in {"Put", "Update", "Delete"}
    assert body["TableName"] in {"reservations", "orders", "idempotency", "outbox"}


@pytest.mark.parametrize(
    "write", [w for w in WRITES if not isinstance(w, (DropPaymentGuard, RemoveOutboxEntry))], ids=str
)
def test_a_refusal_brings_along_what_was_found(write: Write) -> None:
    _, body = _only(ITEMS.of(write))
    assert body["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
    assert body["ConditionExpression"]


def test_a_removal_has_no_condition() -> None:
    assert ITEMS.of(RemoveOutboxEntry(OutboxId("rsv_1.confirm.ord_1"))) == {
        "Delete": {
            "TableName": "outbox",
            "Key": {"pk": {"S": "rsv_1.confirm.ord_1"}, "sk": {"S": "reservation#rsv_1"}},
        }
    }


def test_statuses_are_written_to_the_rows_own_shard() -> None:
    shard = StatusShards(4)
    _, put = _only(ITEMS.of(InsertReservation(HELD)))
    assert put["Item"]["status"] == {"S": shard.stored("HOLD", "rsv_1")}
    _, update = _only(ITEMS.of(UpdateReservation(HELD, HELD.cancelled(START))))
    assert update["ExpressionAttributeValues"][":status"] == {"S": shard.stored("CANCELLED", "rsv_1")}
    _, put = _only(ITEMS.of(AddOutboxEntry(outbox_entry())))
    assert put["Item"]["status"] == {"S": shard.stored("PENDING", "rsv_1.1")}


def test_an_update_compares_the_word_without_a_shard() -> None:
    _, update = _only(ITEMS.of(UpdateReservation(HELD, FENCED)))
    assert update["ExpressionAttributeValues"][":hold"] == {"S": "HOLD"}
    _, claim = _only(ITEMS.replacing(outbox_entry(), outbox_entry()))
    assert claim["ExpressionAttributeValues"][":status_before"] == {"S": "PENDING"}


@pytest.mark.parametrize("write", [w for w in WRITES if isinstance(w, UpdateReservation)], ids=str)
def test_an_update_touches_all_that_a_move_may_change_and_nothing_else(write: UpdateReservation) -> None:
    _, update = _only(ITEMS.of(write))
    settings, _, removal = update["UpdateExpression"].partition(" REMOVE ")
    touched = [*re.findall(r"([#\w]+) = :", settings), *removal.split(", ")]
    assert sorted(touched) == sorted(
        [
            *("#status", "hold_expires_at", "updated_at", "version", "extensions"),
            *("intent_order_id", "intent", "order_id", "payment_intent_id"),
        ]
    )


def test_what_a_move_takes_away_is_removed() -> None:
    _, update = _only(ITEMS.of(UpdateReservation(FENCED, FENCED.confirmed(START))))
    expression = update["UpdateExpression"]
    assert expression.partition(" REMOVE ")[2] == "intent_order_id, intent"
    assert "order_id = :order_id" in expression
    _, update = _only(ITEMS.of(UpdateReservation(HELD, FENCED)))
    assert update["UpdateExpression"].partition(" REMOVE ")[2] == "order_id, payment_intent_id"
    _, claim = _only(ITEMS.replacing(outbox_entry(last_error="no"), outbox_entry()))
    assert claim["UpdateExpression"].endswith(" REMOVE last_error")


def test_a_ttl_is_compared_with_the_exact_instant() -> None:
    for write in (InsertRecord(record(), START), CompleteRecord(record(), START)):
        _, put = _only(ITEMS.of(write))
        assert put["ExpressionAttributeValues"][":now"] == {"N": f"{int(START.timestamp())}.000"}
