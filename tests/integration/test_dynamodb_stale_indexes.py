"""An index is a hint: it may show what is no longer so, and lack what is new. Nobody acts on it unseen."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.dynamodb import empty_tables, opened_client
from tests.support.dynamodb_adapters import Adapters, adapters
from tests.support.dynamodb_faults import BehindIndexes, LaggingIndexes
from tests.support.examples import START, intent, outbox_entry, reservation

from reservation_api.domain.reservation import Status
from reservation_api.domain.values import UserId
from reservation_api.ports.outbox import OutboxStatus, OutboxType
from reservation_api.ports.store import AddOutboxEntry, InsertReservation, UpdateReservation

SECOND = timedelta(seconds=1)
END = START + 60 * SECOND
ALICE = UserId("alice")
CREATED = OutboxType.RESERVATION_CREATED
FOR_EVER = 1000
"""Calls; no test makes as many."""


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


def _process(stack: AsyncExitStack, lag: int, *, new_rows_too: bool) -> Adapters:
    tables, copies = empty_tables("stale"), empty_tables("stale-copies")
    indexes = LaggingIndexes(tables.names, copies.names, lag, new_rows_too=new_rows_too)
    return adapters(BehindIndexes(opened_client(stack), indexes), tables)


@pytest.fixture
def process(stack: AsyncExitStack) -> Adapters:
    """Its indexes show every row as it was made."""
    return _process(stack, FOR_EVER, new_rows_too=False)


async def test_a_hold_that_has_moved_since_is_not_due(process: Adapters) -> None:
    holds = [reservation(f"rsv_{n}") for n in range(5)]
    await process.write(*map(InsertReservation, holds))
    fence = replace(intent(), created_at=START)
    moves = [
        holds[0].cancelled(START),
        holds[1].with_intent(fence),
        holds[2].with_intent(fence).confirmed(START),
        holds[3].extended(END + SECOND, START),
    ]
    await process.write(*map(UpdateReservation, holds, moves[:2]))
    await process.write(UpdateReservation(holds[2], holds[2].with_intent(fence)))
    await process.write(UpdateReservation(holds[2].with_intent(fence), moves[2]))
    await process.write(UpdateReservation(holds[3], moves[3]))
    assert await process.store.due_holds(END, 10) == [holds[4]]


async def test_due_holds_come_in_the_order_in_which_they_end_now(process: Adapters) -> None:
    first, second = reservation("rsv_1"), reservation("rsv_2", hold_expires_at=END + SECOND)
    extended = first.extended(END + 2 * SECOND, START)
    await process.write(InsertReservation(first), InsertReservation(second))
    await process.write(UpdateReservation(first, extended))
    assert await process.store.due_holds(END + 3 * SECOND, 10) == [second, extended]


async def test_entries_that_are_no_longer_true_hide_no_due_hold(process: Adapters) -> None:
    holds = [reservation(f"rsv_{n}", created_at=START + n * SECOND / 10) for n in range(8)]
    await process.write(*map(InsertReservation, holds))
    for hold in holds[:6]:
        await process.write(UpdateReservation(hold, hold.cancelled(START)))
    assert await process.store.due_holds(END, 2) == holds[6:]
    (one,) = await process.store.due_holds(END, 1)
    assert one in holds[6:]


async def test_a_row_that_was_claimed_failed_or_removed_since_is_not_due(process: Adapters) -> None:
    rows = [outbox_entry(f"rsv_{n}") for n in range(4)]
    await process.write(*map(AddOutboxEntry, rows))
    assert await process.outbox.update(rows[0], replace(rows[0], next_retry_at=END + SECOND))
    assert await process.outbox.update(rows[1], replace(rows[1], status=OutboxStatus.FAILED))
    await process.outbox.remove([rows[2].outbox_id])
    assert await process.outbox.due(CREATED, END, 10) == [rows[3]]
    assert await process.outbox.list(OutboxStatus.PENDING, 10) == [
        replace(rows[0], next_retry_at=END + SECOND),
        rows[3],
    ]
    assert await process.outbox.list(OutboxStatus.FAILED, 10) == []


@pytest.mark.parametrize(
    ("status", "shown"), [(None, True), (Status.HOLD, False), (Status.CONFIRMED, False)], ids=str
)
async def test_a_row_that_has_moved_is_listed_as_it_is_or_not_at_all(
    process: Adapters, status: Status | None, *, shown: bool
) -> None:
    held = reservation()
    fenced = held.with_intent(intent())
    await process.write(InsertReservation(held))
    await process.write(UpdateReservation(held, fenced))
    await process.write(UpdateReservation(fenced, fenced.confirmed(START)))
    page = await process.read_model.reservations_of_user(ALICE, status, 10, None)
    assert list(page.items) == ([fenced.confirmed(START)] if shown else [])


async def test_a_page_is_in_order_also_when_a_row_has_moved(process: Adapters) -> None:
    rows = [reservation(f"rsv_{n}", created_at=START + n * SECOND) for n in range(3)]
    await process.write(*map(InsertReservation, rows))
    await process.write(UpdateReservation(rows[2], rows[2].cancelled(START)))
    page = await process.read_model.reservations_of_user(ALICE, None, 10, None)
    assert [row.reservation_id for row in page.items] == ["rsv_1", "rsv_0", "rsv_2"]


async def test_what_an_index_lacks_is_found_once_it_has_caught_up(stack: AsyncExitStack) -> None:
    process = _process(stack, 3, new_rows_too=True)
    await process.write(InsertReservation(reservation()), AddOutboxEntry(outbox_entry()))
    assert await process.store.due_holds(END, 10) == []
    assert await process.outbox.due(CREATED, END, 10) == []
    for _ in range(3):
        await process.outbox.list(OutboxStatus.FAILED, 1)
    assert await process.store.due_holds(END, 10) == [reservation()]
    assert await process.outbox.due(CREATED, END, 10) == [outbox_entry()]
