"""What every read model must do: show each row of a list exactly once, page by page."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import pytest
from tests.support.examples import START, order, reservation
from tests.support.runtimes import Ports

from reservation_api.domain.reservation import NewHold, Status, abandoned
from reservation_api.domain.values import EventId, RecordKey, ReservationId, UserId
from reservation_api.ports.read_model import InvalidCursorError, Page
from reservation_api.ports.store import InsertOrder, InsertReservation

T = TypeVar("T")
ALICE = UserId("alice")


async def _walk(turn: Callable[[str | None], Awaitable[Page[T]]]) -> list[T]:
    items: list[T] = []
    after: str | None = None
    while True:
        page = await turn(after)
        items.extend(page.items)
        after = page.next
        if after is None:
            return items


@pytest.fixture
async def listed(ports: Ports) -> Ports:
    """Seven of alice's, three at the same instant, one of bob's, and an abandoned id."""
    for n in range(7):
        status = Status.HOLD if n % 2 else Status.CANCELLED
        created_at = START + timedelta(seconds=min(n, 4))
        await ports.store.transact(
            [InsertReservation(reservation(f"rsv_{n}", status=status, created_at=created_at))]
        )
    gone = abandoned(NewHold(ReservationId("rsv_gone"), EventId("e"), ALICE, RecordKey("r")), START)
    await ports.store.transact([InsertReservation(gone), InsertReservation(reservation("rsv_bob", "bob"))])
    return ports


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_all_pages_show_each_reservation_once(listed: Ports, limit: int) -> None:
    items = await _walk(lambda after: listed.read_model.reservations_of_user(ALICE, None, limit, after))
    assert sorted(item.reservation_id for item in items) == [f"rsv_{n}" for n in range(7)]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_a_status_filters_and_comes_newest_first(listed: Ports, limit: int) -> None:
    items = await _walk(
        lambda after: listed.read_model.reservations_of_user(ALICE, Status.HOLD, limit, after)
    )
    assert [item.reservation_id for item in items] == ["rsv_5", "rsv_3", "rsv_1"]


async def test_abandoned_ids_are_in_no_list(listed: Ports) -> None:
    page = await listed.read_model.reservations_of_user(ALICE, Status.ABANDONED, 10, None)
    assert page.items == []


async def test_a_page_holds_no_more_than_its_limit_and_the_last_says_so(listed: Ports) -> None:
    page = await listed.read_model.reservations_of_user(ALICE, None, 7, None)
    assert (len(page.items), page.next) == (7, None)
    page = await listed.read_model.reservations_of_user(ALICE, None, 6, None)
    assert len(page.items) == 6
    assert page.next is not None


async def test_orders_are_listed_by_user_and_by_event(ports: Ports) -> None:
    for n in range(5):
        created_at = START + timedelta(seconds=n // 2)
        user, event = UserId(f"user {n % 2}"), EventId(f"event {n % 3}")
        row = order(f"rsv_{n}", f"ord_{n}", created_at=created_at, user_id=user, event_id=event)
        await ports.store.transact([InsertOrder(row)])
    mine = await _walk(lambda after: ports.read_model.orders_of_user(UserId("user 0"), 2, after))
    assert [item.order_id for item in mine] == ["ord_4", "ord_2", "ord_0"]
    sold = await _walk(lambda after: ports.read_model.orders_of_event(EventId("event 1"), 1, after))
    assert [item.order_id for item in sold] == ["ord_4", "ord_1"]


@pytest.mark.parametrize("after", ["", "x", "[]", '["a"]', "[1,2,3]", "null", '["a","b","c","d"]'])
async def test_a_cursor_of_no_page_is_refused(ports: Ports, after: str) -> None:
    with pytest.raises(InvalidCursorError):
        await ports.read_model.reservations_of_user(ALICE, None, 10, after)
    with pytest.raises(InvalidCursorError):
        await ports.read_model.orders_of_user(ALICE, 10, after)
