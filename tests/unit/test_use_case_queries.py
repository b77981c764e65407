"""Reads: as of the last write, each subject its own only, page by page."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
from tests.support.clock import FakeClock
from tests.support.process import EVENT, Process
from tests.support.runtimes import sqlite_on_disk

from reservation_api.adapters.sqlite.inventory_plan import Grid, grid_plan
from reservation_api.application.queries import Queries
from reservation_api.domain.errors import InvalidRequestError, NotFoundError
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import NewHold, Reservation, Status, abandoned
from reservation_api.domain.values import EventId, OrderId, RecordKey, ReservationId, SeatId, UserId
from reservation_api.ports.identity import ADMIN_SCOPE, OPS_SCOPE, Caller
from reservation_api.ports.read_model import Page
from reservation_api.ports.store import InsertReservation

ALICE: Final = UserId("alice")
BOB: Final = UserId("bob")
ADMIN: Final = Caller(UserId("root"), frozenset({ADMIN_SCOPE}))
SEATS: Final = 30


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def process(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Process]:
    async with sqlite_on_disk(tmp_path) as open_process:
        ports = open_process(clock)
        grid = Grid(prices={"A": 1000, "B": 500}, rows=1, seats_per_row=SEATS // 2)
        await ports.load_event(grid_plan(EVENT, "Test", "KRW", grid))
        yield Process(ports, clock)


@pytest.fixture
def queries(process: Process) -> Queries:
    return Queries(process.ports.store, process.ports.read_model, process.ports.inventory)


async def held(process: Process, by: str, n: int = 0) -> Reservation:
    answer = await process.hold(by, f"hold {n}", qty=1)
    assert answer.reservation is not None
    return answer.reservation


async def bought(process: Process, by: str, n: int = 0) -> Order:
    hold = await held(process, by, n)
    key = f"confirm {n}"
    answer = await process.confirm(by, key, hold.reservation_id, f"pi of {hold.reservation_id}")
    assert answer.order is not None
    return answer.order


async def walked(read: Callable[[str | None], Awaitable[Page[Reservation] | Page[Order]]]) -> list[object]:
    items: list[object] = []
    page = await read(None)
    items += page.items
    while page.next is not None:
        page = await read(page.next)
        items += page.items
    return items


async def test_a_subject_reads_its_reservation_as_of_the_last_write(
    process: Process, queries: Queries
) -> None:
    hold = await held(process, ALICE)
    assert await queries.reservation(ALICE, hold.reservation_id) == hold
    cancelled = await process.cancel(ALICE, "cancel", hold.reservation_id)
    assert await queries.reservation(ALICE, hold.reservation_id) == cancelled.reservation


async def test_a_subject_reads_its_order_as_of_the_last_write(process: Process, queries: Queries) -> None:
    order = await bought(process, ALICE)
    assert await queries.order(ALICE, order.order_id) == order


async def test_what_is_anothers_is_not_there(process: Process, queries: Queries) -> None:
    order = await bought(process, ALICE)
    with pytest.raises(NotFoundError) as of_another:
        await queries.reservation(BOB, order.reservation_id)
    with pytest.raises(NotFoundError) as of_nobody:
        await queries.reservation(BOB, ReservationId("rsv_none"))
    assert (of_another.value.message, of_another.value.data) == (
        of_nobody.value.message,
        of_nobody.value.data,
    )
    with pytest.raises(NotFoundError) as anothers_order:
        await queries.order(BOB, order.order_id)
    with pytest.raises(NotFoundError) as nobodys_order:
        await queries.order(BOB, OrderId("ord_none"))
    assert anothers_order.value.message == nobodys_order.value.message


async def test_an_abandoned_id_is_not_there(process: Process, queries: Queries) -> None:
    hold = NewHold(ReservationId("rsv_gone"), EVENT, ALICE, RecordKey("k"))
    await process.ports.store.transact([InsertReservation(abandoned(hold, process.clock.now()))])
    with pytest.raises(NotFoundError):
        await queries.reservation(ALICE, ReservationId("rsv_gone"))
    with pytest.raises(NotFoundError):
        await queries.owner_of(ReservationId("rsv_gone"))
    assert (await queries.reservations(ALICE, None, 10, None)).items == []
    assert (await queries.reservations(ALICE, Status.ABANDONED, 10, None)).items == []


async def test_who_speaks_for_any_subject_learns_the_owner(process: Process, queries: Queries) -> None:
    hold = await held(process, BOB)
    assert await queries.owner_of(hold.reservation_id) == BOB
    with pytest.raises(NotFoundError):
        await queries.owner_of(ReservationId("rsv_none"))


async def test_lists_show_a_subject_its_own_only(process: Process, queries: Queries) -> None:
    mine, theirs = await bought(process, ALICE), await bought(process, BOB)
    assert (await queries.orders(ALICE, 10, None)).items == [mine]
    assert (await queries.orders(BOB, 10, None)).items == [theirs]
    (reservation,) = (await queries.reservations(ALICE, None, 10, None)).items
    assert reservation.reservation_id == mine.reservation_id


async def test_all_pages_together_show_everything_once_newest_first(
    process: Process, queries: Queries, clock: FakeClock
) -> None:
    orders = []
    for n in range(7):
        orders.append(await bought(process, ALICE, n))
        await held(process, BOB, n)
        clock.advance(1)
    newest_first = orders[::-1]
    assert await walked(lambda after: queries.orders(ALICE, 3, after)) == newest_first
    assert await walked(lambda after: queries.orders_of_event(ADMIN, EVENT, 3, after)) == newest_first
    listed = await walked(lambda after: queries.reservations(ALICE, Status.CONFIRMED, 3, after))
    assert [r.reservation_id for r in listed if isinstance(r, Reservation)] == [
        order.reservation_id for order in newest_first
    ]


async def test_a_list_shows_reservations_of_one_status_or_all(process: Process, queries: Queries) -> None:
    hold = await held(process, ALICE, 1)
    order = await bought(process, ALICE, 2)
    listed = {
        status: [r.reservation_id for r in (await queries.reservations(ALICE, status, 10, None)).items]
        for status in (Status.HOLD, Status.CONFIRMED, Status.EXPIRED)
    }
    assert listed == {
        Status.HOLD: [hold.reservation_id],
        Status.CONFIRMED: [order.reservation_id],
        Status.EXPIRED: [],
    }
    everything = (await queries.reservations(ALICE, None, 10, None)).items
    assert {r.reservation_id for r in everything} == {hold.reservation_id, order.reservation_id}


async def test_another_subjects_cursor_shows_nothing_of_theirs(process: Process, queries: Queries) -> None:
    for n in range(3):
        await held(process, ALICE, n)
    bobs = await held(process, BOB, 9)
    stolen = (await queries.reservations(ALICE, None, 1, None)).next
    assert stolen is not None
    assert {r.user_id for r in (await queries.reservations(BOB, None, 10, stolen)).items} <= {BOB}
    assert (await queries.reservations(BOB, None, 10, None)).items == [bobs]


@pytest.mark.parametrize("cursor", ["", "nonsense", "[]", '["a"]', '["a","b","c","d"]', "[1,2]", "null"])
async def test_a_cursor_that_no_page_gave_is_an_invalid_request(queries: Queries, cursor: str) -> None:
    reads: list[Awaitable[object]] = [
        queries.reservations(ALICE, None, 10, cursor),
        queries.reservations(ALICE, Status.HOLD, 10, cursor),
        queries.orders(ALICE, 10, cursor),
        queries.orders_of_event(ADMIN, EVENT, 10, cursor),
    ]
    for read in reads:
        with pytest.raises(InvalidRequestError) as caught:
            await read
        assert caught.value.data == {"errors": ["cursor: not valid here"]}


@pytest.mark.parametrize("scopes", [(), (OPS_SCOPE,), (f"{ADMIN_SCOPE}:read",)])
async def test_an_events_orders_are_for_administrators(
    process: Process, queries: Queries, scopes: tuple[str, ...]
) -> None:
    order = await bought(process, ALICE)
    with pytest.raises(NotFoundError):
        await queries.orders_of_event(Caller(ALICE, frozenset(scopes)), EVENT, 10, None)
    assert (await queries.orders_of_event(ADMIN, EVENT, 10, None)).items == [order]
    assert (await queries.orders_of_event(ADMIN, EventId("evt_other"), 10, None)).items == []


async def test_availability_counts_by_section_and_lists_what_is_free(
    process: Process, queries: Queries
) -> None:
    await held(process, ALICE)
    await bought(process, BOB)
    first, second = (await queries.inventory_status(EVENT, None)).sections
    assert (first.section, first.available, first.held, first.sold) == ("A", 13, 1, 1)
    assert (second.section, second.available) == ("B", 15)
    (only,) = (await queries.inventory_status(EVENT, "B")).sections
    assert only == second
    free = await queries.available_seats(EVENT, (), "A")
    assert (free.remaining, free.available_seats[0].seat_id) == (13, "A-1-3")
    asked = await queries.available_seats(EVENT, (SeatId("A-1-1"), SeatId("A-1-9")), None)
    assert asked.unavailable_seat_ids == ("A-1-1",)


async def test_availability_of_what_is_not_there_is_not_found(queries: Queries) -> None:
    for event_id, section in ((EventId("evt_none"), None), (EVENT, "Z")):
        with pytest.raises(NotFoundError):
            await queries.inventory_status(event_id, section)
        with pytest.raises(NotFoundError):
            await queries.available_seats(event_id, (), section)


async def test_reading_changes_nothing(process: Process, queries: Queries, clock: FakeClock) -> None:
    hold = await held(process, ALICE)
    clock.advance(90)
    before = process.ports.look()
    await queries.reservation(ALICE, hold.reservation_id)
    await queries.reservations(ALICE, None, 10, None)
    await queries.inventory_status(EVENT, None)
    await queries.available_seats(EVENT, hold.seat_ids, None)
    assert process.ports.look() == before
