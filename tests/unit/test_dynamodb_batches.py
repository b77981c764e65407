"""Batches: as large as DynamoDB takes them, no key twice, and asked again for what was left undone."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.aws_service import Budget
from tests.support.dynamodb_faults import at_once
from tests.support.scripted_caller import Called, ScriptedCaller

from reservation_api.adapters.aws_wire.errors import AwsRefusedError
from reservation_api.adapters.dynamodb.calls import DynamoDb
from reservation_api.adapters.dynamodb.items import Item
from reservation_api.adapters.dynamodb.outbox import DynamoDbOutbox
from reservation_api.adapters.dynamodb.pacing import MAX_TRIES
from reservation_api.adapters.dynamodb.shards import StatusShards
from reservation_api.adapters.dynamodb.tables import TableNames
from reservation_api.domain.errors import StoreUnavailableError
from reservation_api.domain.values import OutboxId

NAMES = TableNames("reservations", "orders", "idempotency", "outbox")


def _keys(*numbers: int) -> list[Item]:
    return [{"pk": {"S": f"p{n}"}, "sk": {"S": "s"}} for n in numbers]


def _read(*numbers: int, left: tuple[int, ...] = ()) -> Mapping[str, Any]:
    unread = {"t": {"Keys": _keys(*left), "ConsistentRead": True}} if left else {}
    return {"Responses": {"t": _keys(*numbers)}, "UnprocessedKeys": unread}


def _undone(*numbers: int) -> Mapping[str, Any]:
    return {"UnprocessedItems": {"outbox": [{"DeleteRequest": {"Key": key}} for key in _keys(*numbers)]}}


def _asked(call: Called) -> list[str]:
    ((_, wanted),) = call.request["RequestItems"].items()
    keys = wanted["Keys"] if call.operation == "BatchGetItem" else [w["DeleteRequest"]["Key"] for w in wanted]
    return [key["pk"]["S"] for key in keys]


def _outbox(*answers: Any) -> tuple[DynamoDbOutbox, ScriptedCaller]:
    caller = ScriptedCaller(list(answers))
    return DynamoDbOutbox(DynamoDb(caller, Budget(), at_once), NAMES, StatusShards()), caller


async def test_rows_that_are_there_come_by_their_hash_key_as_of_the_last_write() -> None:
    caller = ScriptedCaller([_read(2, 1)])
    rows = await DynamoDb(caller, Budget()).rows("t", _keys(1, 2, 3))
    assert rows == {"p1": _keys(1)[0], "p2": _keys(2)[0]}
    (call,) = caller.calls
    assert call.request["RequestItems"]["t"]["ConsistentRead"] is True


async def test_no_keys_are_no_call() -> None:
    caller = ScriptedCaller([_read()])
    assert await DynamoDb(caller, Budget()).rows("t", []) == {}
    assert caller.calls == []


async def test_a_key_is_asked_for_once_however_often_it_is_named() -> None:
    caller = ScriptedCaller([_read(1)])
    await DynamoDb(caller, Budget()).rows("t", _keys(1, 1, 1))
    assert _asked(caller.calls[0]) == ["p1"]


@pytest.mark.parametrize(("count", "sizes"), [(100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
async def test_a_read_asks_for_a_hundred_keys_at_a_time(count: int, sizes: list[int]) -> None:
    caller = ScriptedCaller([_read()])
    await DynamoDb(caller, Budget()).rows("t", _keys(*range(count)))
    assert [len(_asked(call)) for call in caller.calls] == sizes


async def test_what_was_left_unread_is_asked_for_again_and_nothing_else() -> None:
    caller = ScriptedCaller([_read(1, left=(2, 3)), _read(3, left=(2,)), _read(2)])
    rows = await DynamoDb(caller, Budget(), at_once).rows("t", _keys(1, 2, 3))
    assert rows.keys() == {"p1", "p2", "p3"}
    assert [_asked(call) for call in caller.calls] == [["p1", "p2", "p3"], ["p2", "p3"], ["p2"]]
    assert all(call.request["RequestItems"]["t"]["ConsistentRead"] for call in caller.calls)


async def test_what_stays_unread_is_an_outage() -> None:
    caller = ScriptedCaller([_read(left=(1,))])
    with pytest.raises(StoreUnavailableError):
        await DynamoDb(caller, Budget(), at_once).rows("t", _keys(1))
    assert len(caller.calls) == MAX_TRIES


async def test_batches_that_are_left_half_done_are_finished_out_of_the_retry_budget() -> None:
    caller = ScriptedCaller([_read(left=(1,))])
    with pytest.raises(StoreUnavailableError):
        await DynamoDb(caller, Budget(2), at_once).rows("t", _keys(1))
    assert len(caller.calls) == 3
    caller = ScriptedCaller([_undone(1)])
    with pytest.raises(StoreUnavailableError):
        await DynamoDb(caller, Budget(1), at_once).delete("outbox", _keys(1, 2))
    assert len(caller.calls) == 2


async def test_one_row_is_deleted_by_itself() -> None:
    outbox, caller = _outbox({})
    await outbox.remove([OutboxId("rsv_1.1")])
    (call,) = caller.calls
    assert call.operation == "DeleteItem"
    assert call.request == {
        "TableName": "outbox",
        "Key": {"pk": {"S": "rsv_1.1"}, "sk": {"S": "reservation#rsv_1"}},
    }


async def test_a_delete_that_meets_a_transaction_waits_for_its_end() -> None:
    met = AwsRefusedError("DeleteItem", 400, "TransactionConflictException", {})
    outbox, caller = _outbox(met, met, {})
    await outbox.remove([OutboxId("rsv_1.1")])
    assert len(caller.calls) == 3
    outbox, caller = _outbox(met)
    with pytest.raises(StoreUnavailableError, match="TransactionConflict"):
        await outbox.remove([OutboxId("rsv_1.1")])
    assert len(caller.calls) == MAX_TRIES


async def test_nothing_is_deleted_without_a_call() -> None:
    outbox, caller = _outbox({})
    await outbox.remove([])
    assert caller.calls == []


@pytest.mark.parametrize(("count", "sizes"), [(2, [2]), (25, [25]), (26, [25, 1]), (60, [25, 25, 10])])
async def test_rows_are_deleted_by_twenty_five(count: int, sizes: list[int]) -> None:
    outbox, caller = _outbox({})
    await outbox.remove([OutboxId(f"rsv_{n}.1") for n in range(count)])
    assert [len(_asked(call)) for call in caller.calls] == sizes
    assert {call.operation for call in caller.calls} == {"BatchWriteItem"}


async def test_a_row_that_is_named_twice_is_deleted_once() -> None:
    outbox, caller = _outbox({})
    await outbox.remove([OutboxId("rsv_1.1"), OutboxId("rsv_2.1"), OutboxId("rsv_1.1")])
    assert _asked(caller.calls[0]) == ["rsv_1.1", "rsv_2.1"]


async def test_what_was_left_undeleted_is_deleted_then() -> None:
    outbox, caller = _outbox(_undone(2, 3), _undone(3), {"UnprocessedItems": {}})
    await outbox.remove([OutboxId(f"rsv_{n}.1") for n in range(3)])
    assert [_asked(call) for call in caller.calls[1:]] == [["p2", "p3"], ["p3"]]


async def test_what_stays_undeleted_is_an_outage() -> None:
    outbox, caller = _outbox(_undone(1))
    with pytest.raises(StoreUnavailableError):
        await outbox.remove([OutboxId("rsv_1.1"), OutboxId("rsv_2.1")])
    assert len(caller.calls) == MAX_TRIES
