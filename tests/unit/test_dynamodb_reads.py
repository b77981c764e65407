"""Reads by key are as of the last write; reads of an index are told from them, and cost what they must."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.aws_service import Budget
from tests.support.dynamodb_faults import at_once
from tests.support.examples import START, order, outbox_entry, record, reservation
from tests.support.scripted_caller import ScriptedCaller

from reservation_api.adapters.dynamodb.calls import MAX_KEYS_PER_READ, DynamoDb
from reservation_api.adapters.dynamodb.index_reads import PAGE_ENTRIES
from reservation_api.adapters.dynamodb.items import Item, order_item, record_item, reservation_item
from reservation_api.adapters.dynamodb.outbox import DynamoDbOutbox
from reservation_api.adapters.dynamodb.outbox_items import outbox_item
from reservation_api.adapters.dynamodb.read_model import DynamoDbReadModel
from reservation_api.adapters.dynamodb.shards import StatusShards
from reservation_api.adapters.dynamodb.store import DynamoDbReservationStore
from reservation_api.adapters.dynamodb.tables import TableNames
from reservation_api.domain.values import UserId
from reservation_api.ports.outbox import OutboxStatus, OutboxType

MILLISECOND = timedelta(milliseconds=1)
NAMES = TableNames("reservations", "orders", "idempotency", "outbox")
HELD = reservation_item(reservation(), "HOLD")


def _page(*items: Item) -> dict[str, Any]:
    return {"Items": list(items)}


def _rows(table: str, *items: Item) -> dict[str, Any]:
    return {"Responses": {table: list(items)}}


async def test_a_reservation_and_an_order_are_one_consistent_query_of_one_row() -> None:
    caller = ScriptedCaller([_page(HELD), _page(order_item(order()))])
    store = DynamoDbReservationStore(DynamoDb(caller, Budget()), NAMES, StatusShards())
    assert await store.get_reservation(reservation().reservation_id) == reservation()
    assert await store.get_order(order().order_id) == order()
    for call in caller.calls:
        assert call.operation == "Query"
        assert (call.request["ConsistentRead"], call.request["Limit"]) == (True, 1)
        assert call.repeatable


async def test_a_record_and_an_outbox_row_are_one_consistent_read() -> None:
    caller = ScriptedCaller(
        [{"Item": record_item(record())}, {"Item": outbox_item(outbox_entry(), "PENDING")}]
    )
    store = DynamoDbReservationStore(DynamoDb(caller, Budget()), NAMES, StatusShards())
    assert await store.find_record(record().key, START) == record()
    outbox = DynamoDbOutbox(DynamoDb(caller, Budget()), NAMES, StatusShards())
    assert await outbox.get(outbox_entry().outbox_id) == outbox_entry()
    for call in caller.calls:
        assert (call.operation, call.request["ConsistentRead"]) == ("GetItem", True)


async def test_a_row_that_two_shards_name_is_one_row() -> None:
    """A row that was just written with another number of shards may stand in two of them for a moment."""
    caller = ScriptedCaller([_page(HELD), _page(HELD), _page(), _rows("reservations", HELD)])
    store = DynamoDbReservationStore(DynamoDb(caller, Budget(), at_once), NAMES, StatusShards(2))
    due = await store.due_holds(reservation().hold_expires_at, 10)
    assert due == [reservation()]


async def test_a_row_that_two_statuses_name_is_on_a_page_once() -> None:
    entries = [{**HELD, "status": {"S": status}} for status in ("HOLD", "CANCELLED")]
    caller = ScriptedCaller([_page(*entries), _rows("reservations", HELD)])
    page = await DynamoDbReadModel(DynamoDb(caller, Budget()), NAMES).reservations_of_user(
        UserId("a"), None, 10, None
    )
    assert list(page.items) == [reservation()]


async def test_a_row_that_is_gone_is_not_on_the_page() -> None:
    rows = [outbox_entry("rsv_1"), outbox_entry("rsv_2")]
    items = [outbox_item(row, "FAILED") for row in rows]
    caller = ScriptedCaller([_page(*items), _rows("outbox", items[1])])
    outbox = DynamoDbOutbox(DynamoDb(caller, Budget()), NAMES, StatusShards())
    (found,) = await outbox.list(OutboxStatus.FAILED, 10)
    assert found.aggregate_id == "rsv_2"


async def test_no_more_rows_are_read_than_one_call_takes() -> None:
    """Five shards name 40 rows each; three are wanted, and the oldest may be gone."""
    names = [[reservation_item(reservation(f"rsv_{s}_{n}"), "HOLD") for n in range(40)] for s in range(5)]
    rows = _rows("reservations", *names[0][:3])
    caller = ScriptedCaller([*(_page(*items) for items in names), rows])
    store = DynamoDbReservationStore(DynamoDb(caller, Budget()), NAMES, StatusShards(4))
    assert len(await store.due_holds(reservation().hold_expires_at, 3)) == 3
    last = caller.calls[-1]
    assert last.operation == "BatchGetItem"
    assert len(last.request["RequestItems"]["reservations"]["Keys"]) == MAX_KEYS_PER_READ


async def test_rows_that_have_gone_are_not_chased_one_by_one() -> None:
    """The index names 99 rows that were delivered a moment ago, and one that is still there."""
    items = [outbox_item(outbox_entry(f"rsv_{n:03}"), "PENDING") for n in range(100)]
    caller = ScriptedCaller([_page(*items), _rows("outbox", items[99])])
    outbox = DynamoDbOutbox(DynamoDb(caller, Budget()), NAMES, StatusShards())
    (found,) = await outbox.list(OutboxStatus.PENDING, 1)
    assert found.aggregate_id == "rsv_099"
    assert len(caller.calls) == 2


async def test_rows_to_work_on_are_some_of_those_that_are_oldest_of_all_that_were_read() -> None:
    items = [
        outbox_item(outbox_entry(f"rsv_{n:04}", next_retry_at=START + n * MILLISECOND), "PENDING")
        for n in range(2 * PAGE_ENTRIES)
    ]
    caller = ScriptedCaller([_page(*items[1::2]), _page(*items[::2]), _page(), _rows("outbox")])
    outbox = DynamoDbOutbox(DynamoDb(caller, Budget()), NAMES, StatusShards(2))
    await outbox.due(OutboxType.RESERVATION_CREATED, START, 64)
    chosen = [
        [key["pk"]["S"][4:8] for key in call.request["RequestItems"]["outbox"]["Keys"]]
        for call in caller.calls
        if call.operation == "BatchGetItem"
    ]
    assert chosen[0] == sorted(chosen[0])
    assert "0400" < chosen[0][-1] < f"{PAGE_ENTRIES:04}"
    assert sorted(place for places in chosen for place in places) == [f"{n:04}" for n in range(1000)]


async def test_a_row_that_can_not_be_read_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    newer = {**outbox_item(outbox_entry("rsv_new"), "PENDING"), "type": {"S": "Refund Payment"}}
    known = outbox_item(outbox_entry("rsv_old"), "PENDING")
    caller = ScriptedCaller([_page(newer, known), _rows("outbox", newer, known)])
    outbox = DynamoDbOutbox(DynamoDb(caller, Budget()), NAMES, StatusShards())
    (found,) = await outbox.list(OutboxStatus.PENDING, 10)
    assert found.aggregate_id == "rsv_old"
    assert "rsv_new" in caplog.text


async def test_a_page_is_no_larger_than_what_is_wanted_unless_a_filter_drops_some_of_it() -> None:
    caller = ScriptedCaller([_page()])
    outbox = DynamoDbOutbox(DynamoDb(caller, Budget()), NAMES, StatusShards())
    await outbox.list(OutboxStatus.FAILED, 1)
    await outbox.list(OutboxStatus.FAILED, 10_000)
    await outbox.due(OutboxType.RELEASE_SEATS, START, 1)
    assert [call.request["Limit"] for call in caller.calls] == [MAX_KEYS_PER_READ, PAGE_ENTRIES, PAGE_ENTRIES]


async def test_an_index_is_asked_for_what_may_be_due_only() -> None:
    caller = ScriptedCaller([_page()])
    store = DynamoDbReservationStore(DynamoDb(caller, Budget()), NAMES, StatusShards(), 60)
    await store.due_holds(START, 10)
    (call,) = caller.calls
    assert "ConsistentRead" not in call.request
    assert call.request["FilterExpression"] == (
        "hold_expires_at <= :now AND attribute_not_exists(intent_order_id)"
    )
    assert call.request["KeyConditionExpression"] == "#status = :status AND created_at <= :began_by"
    assert call.request["ExpressionAttributeValues"] == {
        ":status": {"S": "HOLD"},
        ":began_by": {"S": "2026-11-23T11:59:00.000Z"},
        ":now": {"S": "2026-11-23T12:00:00.000Z"},
    }


async def test_the_outboxs_index_is_asked_for_one_type_and_what_may_be_due_of_it() -> None:
    caller = ScriptedCaller([_page()])
    outbox = DynamoDbOutbox(DynamoDb(caller, Budget()), NAMES, StatusShards(), 3)
    await outbox.due(OutboxType.RELEASE_SEATS, START, 10)
    (call,) = caller.calls
    assert call.request["KeyConditionExpression"] == "#status = :status AND created_at <= :made_by"
    assert call.request["FilterExpression"] == "#type = :type AND next_retry_at <= :now"
    assert call.request["ExpressionAttributeValues"] == {
        ":status": {"S": "PENDING"},
        ":type": {"S": "Release Seats"},
        ":now": {"S": "2026-11-23T12:00:00.000Z"},
        ":made_by": {"S": "2026-11-23T11:59:57.000Z"},
    }
