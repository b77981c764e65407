"""Statuses in shards: N is raised and lowered while the service runs, and no row is left behind."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.dynamodb import Tables, empty_tables
from tests.support.dynamodb_adapters import Adapters, opened
from tests.support.examples import START, outbox_entry, reservation

from reservation_api.adapters.dynamodb.shards import StatusShards
from reservation_api.domain.reservation import Status
from reservation_api.domain.values import UserId
from reservation_api.ports.outbox import OutboxStatus, OutboxType
from reservation_api.ports.store import AddOutboxEntry, InsertReservation, UpdateReservation

SECOND = timedelta(seconds=1)
END = START + 60 * SECOND
ALICE = UserId("alice")
CREATED = OutboxType.RESERVATION_CREATED
ROWS = 12


@pytest.fixture
def tables() -> Tables:
    return empty_tables("shards")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened_stack:
        yield opened_stack


async def _fill(process: Adapters, first: int) -> None:
    """Hold ROWS seats, a tenth of a second apart."""
    for n in range(first, first + ROWS):
        began_at = START + n * SECOND / 10
        hold = reservation(f"rsv_{n:02d}", created_at=began_at, hold_expires_at=began_at + 59 * SECOND)
        entry = outbox_entry(f"rsv_{n:02d}", created_at=began_at, next_retry_at=began_at)
        await process.write(InsertReservation(hold), AddOutboxEntry(entry))


async def _due(process: Adapters, limit: int = 100) -> list[str]:
    return [hold.reservation_id for hold in await process.store.due_holds(END + 5 * SECOND, limit)]


async def _due_rows(process: Adapters) -> list[str]:
    return sorted(entry.aggregate_id for entry in await process.outbox.due(CREATED, END, 100))


def _names(*numbers: int) -> list[str]:
    return [f"rsv_{n:02d}" for n in numbers]


async def test_rows_stand_in_all_shards_and_are_found_oldest_first(
    stack: AsyncExitStack, tables: Tables
) -> None:
    process = opened(stack, tables, StatusShards(4))
    await _fill(process, 0)
    stored = {item["status"]["S"] for item in tables.scan(tables.names.reservations)}
    assert stored == {"HOLD#00", "HOLD#01", "HOLD#02", "HOLD#03"}
    assert await _due(process) == _names(*range(ROWS))
    some = await _due(process, 5)
    assert (len(some), some) == (5, sorted(some))
    assert await _due_rows(process) == _names(*range(ROWS))
    listed = await process.outbox.list(OutboxStatus.PENDING, 3)
    assert [entry.aggregate_id for entry in listed] == _names(0, 1, 2)


async def test_the_number_is_raised_on_live_data(stack: AsyncExitStack, tables: Tables) -> None:
    """Workers first, then servers: whoever reads knows every shard that anybody writes."""
    server, worker = opened(stack, tables, StatusShards(1)), opened(stack, tables, StatusShards(4))
    await _fill(server, 0)
    assert await _due(worker) == _names(*range(ROWS))
    assert await _due_rows(worker) == _names(*range(ROWS))
    await _fill(opened(stack, tables, StatusShards(4)), ROWS)
    assert await _due(worker) == _names(*range(2 * ROWS))
    assert await _due_rows(worker) == _names(*range(2 * ROWS))
    assert await _due(server) == _names(*range(ROWS)), "why servers come last"


async def test_the_number_is_lowered_on_live_data(stack: AsyncExitStack, tables: Tables) -> None:
    """Servers first: workers look at the higher shards until nothing is left there."""
    worker = opened(stack, tables, StatusShards(4))
    await _fill(opened(stack, tables, StatusShards(4)), 0)
    await _fill(opened(stack, tables, StatusShards(2)), ROWS)
    assert await _due(worker) == _names(*range(2 * ROWS))
    assert await _due_rows(worker) == _names(*range(2 * ROWS))


async def test_a_row_of_another_number_is_moved_like_any_other(stack: AsyncExitStack, tables: Tables) -> None:
    plain, sharded = opened(stack, tables), opened(stack, tables, StatusShards(4))
    before = reservation()
    await plain.write(InsertReservation(before), AddOutboxEntry(outbox_entry()))
    extended = before.extended(END + SECOND, START)
    await sharded.write(UpdateReservation(before, extended))
    ((item,), stored) = tables.scan(tables.names.reservations), StatusShards(4).stored("HOLD", "rsv_1")
    assert item["status"]["S"] == stored
    cancelled = extended.cancelled(START)
    await plain.write(UpdateReservation(extended, cancelled))
    assert await sharded.store.get_reservation(before.reservation_id) == cancelled
    claimed = replace(outbox_entry(), next_retry_at=END)
    assert await sharded.outbox.update(outbox_entry(), claimed)
    assert await plain.outbox.update(claimed, replace(claimed, next_retry_at=END + SECOND))


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_a_users_list_is_in_order_over_all_shards(
    stack: AsyncExitStack, tables: Tables, limit: int
) -> None:
    for n, shards in enumerate([StatusShards(1), StatusShards(4), StatusShards(16)] * 4):
        status = Status.HOLD if n % 2 else Status.CANCELLED
        row = reservation(f"rsv_{n:02d}", status=status, created_at=START + n * SECOND)
        await opened(stack, tables, shards).write(InsertReservation(row))
    process = opened(stack, tables)
    lists: dict[Status | None, list[int]] = {
        None: [*range(11, 0, -2), *range(10, -1, -2)],
        Status.HOLD: [*range(11, 0, -2)],
    }
    for wanted, expected in lists.items():
        found: list[str] = []
        after: str | None = None
        while True:
            page = await process.read_model.reservations_of_user(ALICE, wanted, limit, after)
            found += [row.reservation_id for row in page.items]
            after = page.next
            if after is None:
                break
        assert found == _names(*expected)
