"""Single rows: guards among orders, bounds of what is due, positions that no page has returned."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.dynamodb import Tables, empty_tables, opened_client
from tests.support.dynamodb_adapters import Adapters, adapters, opened
from tests.support.dynamodb_faults import AfterEachScan, BusyTables, SentTwice
from tests.support.examples import START, order, outbox_entry, record, reservation

from reservation_api.adapters.dynamodb.failures import WrongRequestError
from reservation_api.domain.reservation import Status
from reservation_api.domain.values import EventId, OrderId, PaymentIntentId, ReservationId, UserId
from reservation_api.ports.read_model import InvalidCursorError
from reservation_api.ports.store import (
    AddOutboxEntry,
    GuardPayment,
    InsertOrder,
    InsertRecord,
    InsertReservation,
    Write,
)

SECOND = timedelta(seconds=1)
END = START + 60 * SECOND
ALICE = UserId("alice")
LONG_ID = "\N{SNOWMAN}" * 342
"""1,026 bytes."""
INSTANT = "2026-11-23T12:00:00.000Z"


@pytest.fixture
def tables() -> Tables:
    return empty_tables("rows")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened_stack:
        yield opened_stack


@pytest.fixture
def process(stack: AsyncExitStack, tables: Tables) -> Adapters:
    return opened(stack, tables)


async def test_the_guard_of_a_payment_is_no_order(process: Adapters, tables: Tables) -> None:
    await process.write(GuardPayment(PaymentIntentId("pi_1"), ReservationId("rsv_1")))
    assert len(tables.scan(tables.names.orders)) == 1
    assert await process.store.get_order(OrderId("payment#pi_1")) is None
    assert (await process.read_model.orders_of_user(ALICE, 10, None)).items == []


async def test_holds_that_can_not_be_over_yet_are_not_looked_at(
    stack: AsyncExitStack, tables: Tables
) -> None:
    process = adapters(opened_client(stack), tables, shortest_hold_seconds=60)
    young = reservation("rsv_young", created_at=START + SECOND / 1000, hold_expires_at=START)
    await process.write(InsertReservation(young), InsertReservation(reservation("rsv_old")))
    assert [hold.reservation_id for hold in await process.store.due_holds(END, 10)] == ["rsv_old"]
    unbounded = adapters(opened_client(stack), tables)
    assert len(await unbounded.store.due_holds(END, 10)) == 2


async def test_a_purge_leaves_a_record_that_was_put_over_the_one_it_saw(
    stack: AsyncExitStack, tables: Tables
) -> None:
    process = opened(stack, tables)
    newer = record(request_hash="newer", ttl=400)
    await process.write(InsertRecord(record(ttl=1), START), InsertRecord(record("other", ttl=1), START))
    renews = AfterEachScan(opened_client(stack), lambda: process.write(InsertRecord(newer, END)))
    assert await adapters(renews, tables).store.purge_records(END, 10) == 1
    assert await process.store.find_record(newer.key, END) == newer


@pytest.mark.parametrize(
    "after",
    [
        f'["HOLD","{INSTANT}"]',
        f'["ABANDONED","{INSTANT}","rsv_1"]',
        f'["HOLD#01","{INSTANT}","rsv_1"]',
        f'["A","{INSTANT}","rsv_1"]',
        '["HOLD","2026-11-23","rsv_1"]',
        '["HOLD","yesterday","rsv_1"]',
        f'["HOLD","{INSTANT}",""]',
        f'["HOLD","{INSTANT}","{"x" * 1025}"]',
        f'["HOLD","{INSTANT}","rsv_1","evt"]',
        '["\\ud800","a","b"]',
        '{"a": 1}',
    ],
)
async def test_a_position_that_no_page_of_reservations_has_returned_is_refused(
    process: Adapters, after: str
) -> None:
    with pytest.raises(InvalidCursorError):
        await process.read_model.reservations_of_user(ALICE, None, 10, after)


@pytest.mark.parametrize("status", [Status.CONFIRMED, Status.CANCELLED, Status.EXPIRED])
async def test_a_position_in_one_status_is_none_in_another(process: Adapters, status: Status) -> None:
    after = f'["HOLD","{INSTANT}","rsv_1"]'
    with pytest.raises(InvalidCursorError):
        await process.read_model.reservations_of_user(ALICE, status, 10, after)
    assert (await process.read_model.reservations_of_user(ALICE, Status.HOLD, 10, after)).items == []


@pytest.mark.parametrize(
    "after",
    [
        f'["{INSTANT}","ord_1"]',
        f'["{INSTANT}","","rsv_1"]',
        '["","ord_1","rsv_1"]',
        '["x","ord_1","rsv_1"]',
        f'["{INSTANT}","ord_1","{LONG_ID}"]',
        f'["{INSTANT}","ord_1",1]',
    ],
)
async def test_a_position_that_no_page_of_orders_has_returned_is_refused(
    process: Adapters, after: str
) -> None:
    with pytest.raises(InvalidCursorError):
        await process.read_model.orders_of_user(ALICE, 10, after)
    with pytest.raises(InvalidCursorError):
        await process.read_model.orders_of_event(EventId("e"), 10, after)


async def test_a_position_shows_what_comes_after_it_of_ones_own_and_nobody_elses(process: Adapters) -> None:
    mine, bobs = order("rsv_1", "ord_1"), order("rsv_2", "ord_2", user_id=UserId("bob"))
    await process.write(InsertOrder(mine), InsertOrder(bobs))
    invented = '["2099-01-01T00:00:00.000Z","ord_9","rsv_9"]'
    page = await process.read_model.orders_of_user(ALICE, 10, invented)
    assert list(page.items) == [mine]


async def test_commands_that_meet_all_end_and_one_wins(stack: AsyncExitStack, tables: Tables) -> None:
    processes = [adapters(BusyTables(opened_client(stack)), tables) for _ in range(3)]

    def attempt(n: int) -> list[Write]:
        return [
            InsertRecord(record(snapshot=f"{n}"), START),
            InsertReservation(reservation()),
            AddOutboxEntry(outbox_entry()),
        ]

    conflicts = await asyncio.gather(*(processes[n % 3].store.transact(attempt(n)) for n in range(30)))
    assert conflicts.count(None) == 1
    winner = record(snapshot=f"{conflicts.index(None)}")
    assert {conflict.record for conflict in conflicts if conflict is not None} == {winner}


async def test_what_was_sent_again_because_its_answer_was_lost_was_done_once(
    stack: AsyncExitStack, tables: Tables
) -> None:
    process = adapters(SentTwice(opened_client(stack)), tables)
    entry = outbox_entry()
    claimed = replace(entry, next_retry_at=END)
    assert await process.store.transact([InsertReservation(reservation()), AddOutboxEntry(entry)]) is None
    assert await process.outbox.update(entry, claimed)
    assert await process.outbox.get(entry.outbox_id) == claimed
    await process.outbox.remove([entry.outbox_id])
    assert tables.outbox() == []


async def test_a_key_that_dynamodb_takes_for_malformed_shows_as_a_bug(process: Adapters) -> None:
    with pytest.raises(WrongRequestError):
        await process.store.get_reservation(ReservationId(""))
