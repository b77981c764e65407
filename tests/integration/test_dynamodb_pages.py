"""Every query and scan goes on where its page ended, and no further than it is asked."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest
from tests.support.dynamodb import empty_tables, opened_client
from tests.support.dynamodb_adapters import Adapters, adapters
from tests.support.dynamodb_faults import SmallPages
from tests.support.examples import START, intent, order, outbox_entry, record, recovery, reservation

from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import EventId, UserId
from reservation_api.ports.outbox import OutboxStatus, OutboxType
from reservation_api.ports.read_model import Page
from reservation_api.ports.store import AddOutboxEntry, InsertOrder, InsertRecord, InsertReservation

T = TypeVar("T")
SECOND = timedelta(seconds=1)
END = START + 60 * SECOND
ALICE = UserId("alice")
CREATED = OutboxType.RESERVATION_CREATED


@pytest.fixture
async def pages() -> AsyncIterator[SmallPages]:
    async with AsyncExitStack() as stack:
        yield SmallPages(opened_client(stack))


@pytest.fixture
def process(pages: SmallPages) -> Adapters:
    return adapters(pages, empty_tables("pages"))


async def _walk(turn: Callable[[str | None], Awaitable[Page[T]]]) -> list[T]:
    page = await turn(None)
    items = list(page.items)
    while page.next is not None:
        page = await turn(page.next)
        items += page.items
    return items


def _holds() -> list[Reservation]:
    """Two of three are not due: one is fenced, one lasts longer."""
    begun = [reservation(f"rsv_{n}", created_at=START + n * SECOND / 10) for n in range(15)]
    begun[1::3] = [hold.with_intent(replace(intent(), created_at=START)) for hold in begun[1::3]]
    begun[2::3] = [replace(hold, hold_expires_at=END + SECOND) for hold in begun[2::3]]
    return begun


async def test_due_holds_are_found_behind_pages_of_others(process: Adapters, pages: SmallPages) -> None:
    await process.write(*map(InsertReservation, _holds()))
    due = await process.store.due_holds(END, 10)
    assert {hold.reservation_id for hold in due} == {f"rsv_{n}" for n in range(0, 15, 3)}
    assert pages.pages == 8


async def test_no_more_pages_are_read_than_hold_what_is_asked_for(
    process: Adapters, pages: SmallPages
) -> None:
    await process.write(*map(InsertReservation, _holds()))
    due = await process.store.due_holds(END, 1)
    assert [hold.reservation_id for hold in due] == ["rsv_0"]
    assert pages.pages == 1


async def test_due_rows_are_found_behind_those_that_wait_and_those_of_other_types(
    process: Adapters, pages: SmallPages
) -> None:
    waiting = [outbox_entry(f"rsv_{n}", next_retry_at=END) for n in range(5)]
    others = [recovery(f"rsv_{n}") for n in range(5)]
    due = [outbox_entry(f"rsv_due_{n}", created_at=START + SECOND) for n in range(3)]
    await process.write(*map(AddOutboxEntry, (*waiting, *others, *due)))
    found = await process.outbox.due(CREATED, END - SECOND, 10)
    assert {entry.aggregate_id for entry in found} == {"rsv_due_0", "rsv_due_1", "rsv_due_2"}
    assert pages.pages == 7


async def test_a_list_of_rows_goes_over_all_pages(process: Adapters) -> None:
    rows = [
        outbox_entry(f"rsv_{n}", status=OutboxStatus.FAILED, created_at=START + n * SECOND) for n in range(7)
    ]
    await process.write(*map(AddOutboxEntry, reversed(rows)))
    assert list(await process.outbox.list(OutboxStatus.FAILED, 100)) == rows
    assert list(await process.outbox.list(OutboxStatus.FAILED, 5)) == rows[:5]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_a_users_reservations_are_listed_over_all_pages(process: Adapters, limit: int) -> None:
    statuses = [Status.HOLD, Status.CONFIRMED, Status.CANCELLED, Status.EXPIRED]
    # The index has rows of one status by their ids, which is here the wrong way round.
    rows = [
        reservation(f"rsv_{n:02d}", status=statuses[n % 4], created_at=START - n // 2 * SECOND)
        for n in range(19)
    ]
    await process.write(*map(InsertReservation, rows))
    listed = await _walk(lambda after: process.read_model.reservations_of_user(ALICE, None, limit, after))
    assert listed == sorted(
        rows, key=lambda row: (row.status, row.created_at, row.reservation_id), reverse=True
    )


async def test_a_page_of_reservations_reads_only_the_statuses_that_it_shows(
    process: Adapters, pages: SmallPages
) -> None:
    held = [reservation(f"rsv_{n}") for n in range(3)]
    cancelled = [reservation(f"rsv_cancelled_{n}", status=Status.CANCELLED) for n in range(20)]
    await process.write(*map(InsertReservation, (*held, *cancelled)))
    page = await process.read_model.reservations_of_user(ALICE, None, 2, None)
    assert [row.reservation_id for row in page.items] == ["rsv_2", "rsv_1"]
    assert pages.pages == 2


@pytest.mark.parametrize("limit", [1, 3, 5, 6, 100])
async def test_orders_are_listed_over_all_pages(process: Adapters, limit: int) -> None:
    event = EventId("evt_test")
    rows = [order(f"rsv_{n}", f"ord_{n}", created_at=START + n * SECOND) for n in range(6)]
    await process.write(*map(InsertOrder, rows))
    rows.reverse()
    assert await _walk(lambda after: process.read_model.orders_of_user(ALICE, limit, after)) == rows
    assert await _walk(lambda after: process.read_model.orders_of_event(event, limit, after)) == rows


async def test_the_last_page_of_orders_says_so_however_full_it_is(process: Adapters) -> None:
    await process.write(*(InsertOrder(order(f"rsv_{n}", f"ord_{n}")) for n in range(4)))
    first = await process.read_model.orders_of_user(ALICE, 2, None)
    last = await process.read_model.orders_of_user(ALICE, 2, first.next)
    assert (len(last.items), last.next) == (2, None)


async def test_a_purge_goes_on_where_the_last_one_ended(process: Adapters, pages: SmallPages) -> None:
    expired = [record(f"key {n}", ttl=1) for n in range(30)]
    kept = [record(f"kept {n}", ttl=100) for n in range(30)]
    await process.write(*(InsertRecord(row, START) for row in (*expired, *kept)))
    gone = [await process.store.purge_records(END, 100) for _ in range(5)]
    assert sum(gone) == 30
    assert pages.pages <= 50
    assert await process.store.find_record(kept[0].key, END) == kept[0]


async def test_a_purge_deletes_no_more_than_it_is_asked_to(process: Adapters) -> None:
    await process.write(*(InsertRecord(record(f"key {n}", ttl=1), START) for n in range(7)))
    assert [await process.store.purge_records(END, 3) for _ in range(4)] == [3, 3, 1, 0]
