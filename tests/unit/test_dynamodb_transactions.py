"""Transactions that meet others, and what a cancelled one is told from."""

import random
from typing import Any

import pytest
from tests.support.aws_service import Budget
from tests.support.dynamodb_faults import at_once, cancelled
from tests.support.examples import START, intent, outbox_entry, record, reservation
from tests.support.scripted_caller import Pauses, ScriptedCaller

from reservation_api.adapters.aws_wire.errors import (
    AwsCallError,
    AwsNotSentError,
    AwsOutcomeUnknownError,
    AwsRefusedError,
    AwsThrottledError,
)
from reservation_api.adapters.dynamodb.calls import DynamoDb
from reservation_api.adapters.dynamodb.failures import WrongRequestError
from reservation_api.adapters.dynamodb.items import guard_key, record_item, reservation_item
from reservation_api.adapters.dynamodb.outbox import DynamoDbOutbox
from reservation_api.adapters.dynamodb.pacing import (
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    MAX_SECONDS,
    MAX_TRIES,
)
from reservation_api.adapters.dynamodb.shards import StatusShards
from reservation_api.adapters.dynamodb.store import DynamoDbReservationStore
from reservation_api.adapters.dynamodb.tables import TableNames
from reservation_api.domain.errors import StoreUnavailableError
from reservation_api.domain.values import PaymentIntentId, ReservationId
from reservation_api.ports.store import (
    AddOutboxEntry,
    DropPaymentGuard,
    GuardPayment,
    InsertRecord,
    InsertReservation,
    UpdateReservation,
    Write,
)

NAMES = TableNames("reservations", "orders", "idempotency", "outbox")
HOLD: list[Write] = [
    InsertRecord(record(), START),
    InsertReservation(reservation()),
    AddOutboxEntry(outbox_entry()),
]
CONFLICT = cancelled("None", "TransactionConflict", "None")
DROP = DropPaymentGuard(PaymentIntentId("pi_1"), ReservationId("rsv_1"))
CONFIRM_REFUSED: list[Write] = [
    UpdateReservation(reservation().with_intent(intent()), reservation()),
    DROP,
]


def _store(*answers: Any, pauses: Pauses | None = None) -> tuple[DynamoDbReservationStore, ScriptedCaller]:
    caller = ScriptedCaller(list(answers))
    dynamodb = DynamoDb(caller, Budget(), at_once if pauses is None else pauses)
    return DynamoDbReservationStore(dynamodb, NAMES, StatusShards()), caller


def _tokens(caller: ScriptedCaller) -> list[str]:
    return [call.request["ClientRequestToken"] for call in caller.calls]


def _kinds(caller: ScriptedCaller) -> list[list[str]]:
    return [[next(iter(item)) for item in call.request["TransactItems"]] for call in caller.calls]


async def test_a_command_is_one_transaction_that_may_be_sent_again() -> None:
    store, caller = _store({})
    assert await store.transact(HOLD) is None
    (call,) = caller.calls
    assert (call.operation, call.repeatable) == ("TransactWriteItems", True)
    assert len(call.request["TransactItems"]) == 3
    assert len(call.request["ClientRequestToken"]) == 32


async def test_no_writes_are_no_transaction() -> None:
    store, caller = _store({})
    assert await store.transact([]) is None
    assert caller.calls == []


async def test_two_commands_have_two_tokens_whatever_is_seeded() -> None:
    store, caller = _store({})
    state = random.getstate()
    try:
        for _ in range(2):
            random.seed(0)
            await store.transact(HOLD)
    finally:
        random.setstate(state)
    assert len(set(_tokens(caller))) == 2


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
async def test_a_transaction_that_met_another_is_tried_again_as_a_new_one(code: str) -> None:
    store, caller = _store(cancelled("None", code, "None"), cancelled(code, "None", "None"), {})
    assert await store.transact(HOLD) is None
    assert len(set(_tokens(caller))) == 3
    assert [call.request["TransactItems"] for call in caller.calls] == [
        caller.calls[0].request["TransactItems"]
    ] * 3


@pytest.mark.parametrize(("code", "tries"), [("ThrottlingError", 3), ("ProvisionedThroughputExceeded", 3)])
async def test_a_throttled_transaction_is_tried_again_out_of_the_retry_budget(code: str, tries: int) -> None:
    caller = ScriptedCaller([cancelled("ConditionalCheckFailed", code, "TransactionConflict")])
    store = DynamoDbReservationStore(DynamoDb(caller, Budget(2), at_once), NAMES, StatusShards())
    with pytest.raises(StoreUnavailableError, match=code):
        await store.transact(HOLD)
    assert len(caller.calls) == tries


async def test_a_transaction_that_only_takes_turns_needs_no_retry_budget() -> None:
    budget = Budget(0)
    caller = ScriptedCaller([CONFLICT, CONFLICT, {}])
    store = DynamoDbReservationStore(DynamoDb(caller, budget, at_once), NAMES, StatusShards())
    assert await store.transact(HOLD) is None
    assert (len(caller.calls), budget.spent) == (3, 0)


async def test_a_refusal_beside_a_conflict_is_not_believed_yet() -> None:
    store, caller = _store(cancelled("ConditionalCheckFailed", "TransactionConflict", "None"), {})
    assert await store.transact(HOLD) is None
    assert len(caller.calls) == 2


async def test_all_refusals_are_told_once_every_condition_is_known() -> None:
    first = record(request_hash="first")
    found = {0: record_item(first), 1: reservation_item(reservation(user_id="bob"), "HOLD#03")}
    mixed = cancelled("ConditionalCheckFailed", "None", "TransactionConflict", items={0: found[0]})
    known = cancelled("ConditionalCheckFailed", "ConditionalCheckFailed", "None", items=found)
    store, _ = _store(mixed, known)
    conflict = await store.transact(HOLD)
    assert conflict is not None
    assert conflict.refused == {InsertRecord, InsertReservation}
    assert conflict.record == first
    assert conflict.reservation == reservation(user_id="bob")


async def test_conflicts_end_after_so_many_tries_with_growing_jittered_waits() -> None:
    pauses = Pauses()
    store, caller = _store(CONFLICT, pauses=pauses)
    with pytest.raises(StoreUnavailableError, match="TransactionConflict"):
        await store.transact(HOLD)
    assert len(caller.calls) == MAX_TRIES
    bounds = [min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**n) for n in range(MAX_TRIES - 1)]
    assert len(pauses.seconds) == len(bounds)
    assert all(0 <= waited <= bound for waited, bound in zip(pauses.seconds, bounds, strict=True))
    assert pauses.seconds != bounds
    assert sum(bounds) < MAX_SECONDS


@pytest.mark.parametrize(("seconds_a_try", "tries"), [(0.1, MAX_TRIES), (1.1, 3), (5.0, 2)])
async def test_slow_answers_leave_time_for_fewer_tries(seconds_a_try: float, tries: int) -> None:
    caller = ScriptedCaller([CONFLICT])
    dynamodb = DynamoDb(caller, Budget(), at_once, lambda: len(caller.calls) * seconds_a_try)
    with pytest.raises(StoreUnavailableError):
        await DynamoDbReservationStore(dynamodb, NAMES, StatusShards()).transact(HOLD)
    assert len(caller.calls) == tries


@pytest.mark.parametrize(
    "error",
    [
        cancelled("ValidationError", "None", "None"),
        cancelled("ConditionalCheckFailed", "ValidationError", "None"),
        cancelled("ItemCollectionSizeLimitExceeded", "TransactionConflict", "None"),
        AwsRefusedError("TransactWriteItems", 400, "ValidationException", {}),
        AwsRefusedError("TransactWriteItems", 400, "IdempotentParameterMismatchException", {}),
    ],
    ids=str,
)
async def test_a_bug_is_not_tried_again_and_shows_as_one(error: AwsRefusedError) -> None:
    store, caller = _store(error)
    with pytest.raises(WrongRequestError) as raised:
        await store.transact(HOLD)
    assert raised.value.__cause__ is error
    assert len(caller.calls) == 1


@pytest.mark.parametrize(
    "error",
    [
        AwsOutcomeUnknownError("time-out"),
        AwsNotSentError("no connection"),
        AwsThrottledError("TransactWriteItems", 400, "ThrottlingException", {}),
        AwsRefusedError("TransactWriteItems", 400, "ResourceNotFoundException", {}),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_the_wire_gave_up_is_an_outage(error: AwsCallError) -> None:
    store, caller = _store(error)
    with pytest.raises(StoreUnavailableError) as raised:
        await store.transact(HOLD)
    assert raised.value.__cause__ is error
    assert len(caller.calls) == 1


async def test_a_guard_that_is_anothers_stays_and_the_rest_is_written() -> None:
    store, caller = _store(cancelled("None", "ConditionalCheckFailed"), {})
    assert await store.transact(CONFIRM_REFUSED) is None
    assert _kinds(caller) == [["Update", "Delete"], ["Update"]]
    assert len(set(_tokens(caller))) == 2


async def test_a_guard_that_is_anothers_does_not_count_as_refused() -> None:
    other = reservation_item(reservation(), "HOLD")
    store, caller = _store(cancelled(*["ConditionalCheckFailed"] * 2, items={0: other}))
    conflict = await store.transact(CONFIRM_REFUSED)
    assert conflict is not None
    assert conflict.refused == {UpdateReservation}
    assert conflict.reservation == reservation()
    assert len(caller.calls) == 1


async def test_when_only_a_guard_was_to_go_and_is_anothers_nothing_is_left_to_write() -> None:
    store, caller = _store(cancelled("ConditionalCheckFailed"))
    assert await store.transact([DROP]) is None
    assert len(caller.calls) == 1


async def test_whoever_pays_already_is_named() -> None:
    guard = {**guard_key(PaymentIntentId("pi_1")), "reservation_id": {"S": "rsv_9"}}
    store, _ = _store(cancelled("ConditionalCheckFailed", items={0: guard}))
    conflict = await store.transact([GuardPayment(PaymentIntentId("pi_1"), ReservationId("rsv_1"))])
    assert conflict is not None
    assert conflict.refused == {GuardPayment}
    assert conflict.payment_owner == "rsv_9"


async def test_a_claim_is_a_transaction_of_one_and_tells_who_won() -> None:
    caller = ScriptedCaller([CONFLICT, {}, cancelled("ConditionalCheckFailed")])
    outbox = DynamoDbOutbox(DynamoDb(caller, Budget(), at_once), NAMES, StatusShards())
    assert await outbox.update(outbox_entry(), outbox_entry(attempts=1))
    assert not await outbox.update(outbox_entry(), outbox_entry(attempts=1))
    assert _kinds(caller) == [["Update"]] * 3
    assert all(call.repeatable for call in caller.calls)
