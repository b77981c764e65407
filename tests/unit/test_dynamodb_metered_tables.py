"""What the meters charge for calls that were reckoned by hand."""

from typing import Any

import pytest

from reservation_api.adapters.dynamodb.items import Item
from reservation_api.adapters.dynamodb.metered_tables import NAMES, MeteredTables

SMALL, LARGE = 10, 1500


def order(note: int = SMALL, created_at: str = "1") -> Item:
    texts = {"pk": "o1", "sk": "r1", "event_id": "e1", "user_id": "u1", "created_at": created_at}
    return {name: {"S": text} for name, text in texts.items()} | {"note": {"S": "x" * note}}


def put(item: Item) -> Item:
    return {"Put": {"TableName": NAMES.orders, "Item": item}}


@pytest.fixture
def tables() -> MeteredTables:
    return MeteredTables()


async def transact(tables: MeteredTables, *items: Item) -> None:
    await tables.call("TransactWriteItems", {"TransactItems": items}, repeatable=True)


async def read(tables: MeteredTables, operation: str, **request: Any) -> Any:
    return await tables.call(operation, request, repeatable=True)


async def test_a_row_in_a_transaction_costs_twice_its_kilobytes_and_each_entry_once(
    tables: MeteredTables,
) -> None:
    await transact(tables, put(order(LARGE)))
    assert tables.meter.write == {"orders": 4, "user-created-index": 1, "event-created-index": 1}


async def test_what_is_put_over_a_larger_row_costs_as_the_larger(tables: MeteredTables) -> None:
    await transact(tables, put(order(LARGE)))
    before = tables.meter.write["orders"]
    await transact(tables, put(order(SMALL)))
    assert tables.meter.write["orders"] == before + 4
    assert tables.meter.write["user-created-index"] == 1, "no index shows what has changed"


async def test_a_changed_key_of_an_index_costs_two_and_a_deleted_row_one(tables: MeteredTables) -> None:
    await transact(tables, put(order()))
    await transact(tables, put(order(created_at="2")))
    assert tables.meter.write["user-created-index"] == 1 + 2
    await read(tables, "DeleteItem", TableName=NAMES.orders, Key={"pk": {"S": "o1"}, "sk": {"S": "r1"}})
    assert tables.meter.write["user-created-index"] == 1 + 2 + 1
    assert tables.meter.write["orders"] == 2 + 2 + 1, "alone it costs once"
    assert tables.meter.stored_bytes == 0, "nothing has stayed"


async def test_deleting_what_is_not_there_costs_a_unit(tables: MeteredTables) -> None:
    key = {"pk": {"S": "gone"}, "sk": {"S": "gone"}}
    deletes = {NAMES.orders: [{"DeleteRequest": {"Key": key}}]}
    await read(tables, "BatchWriteItem", RequestItems=deletes)
    assert tables.meter.write == {"orders": 1}


async def test_a_status_is_counted_whatever_its_shard(tables: MeteredTables) -> None:
    for number in range(3):
        row = {"pk": f"r{number}", "sk": "e1", "status": f"HOLD#{number:02d}", "created_at": "1"}
        item = {name: {"S": text} for name, text in row.items()}
        await transact(tables, {"Put": {"TableName": NAMES.reservations, "Item": item}})
    assert tables.meter.by_status == {("status-created-index", "HOLD"): 3}


async def test_an_absent_row_costs_a_read_too(tables: MeteredTables) -> None:
    key = {"pk": {"S": "k1"}}
    assert await read(tables, "GetItem", TableName=NAMES.idempotency, Key=key) == {}
    assert tables.meter.read == {"idempotency": 1}


async def test_a_call_that_no_use_case_makes_is_refused(tables: MeteredTables) -> None:
    with pytest.raises(ValueError, match="Scan"):
        await read(tables, "Scan", TableName=NAMES.orders)
