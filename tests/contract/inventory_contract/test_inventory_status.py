"""What the inventory says about seats that nobody has taken yet."""

import pytest
from tests.contract.inventories import InventoryUnderTest
from tests.support.clock import FakeClock
from tests.support.venues import EVENT, HOLD, ids, sale, venue, wanted

from reservation_api.domain.errors import NotFoundError
from reservation_api.domain.values import EventId, Money, Seat, SeatId
from reservation_api.ports.inventory import MAX_LISTED_SEATS, Inventory, SectionStatus

NOWHERE = EventId("evt_other")


@pytest.fixture(autouse=True)
async def _event(under_test: InventoryUnderTest, clock: FakeClock) -> None:
    """Three seats of A held, one sold; B has one blocked and is otherwise free."""
    await under_test.load_event(venue({"A": ["....", "...."], "B": ["B.."]}))
    await under_test.inventory.reserve(wanted("r1", "A-1-1 A-1-2 A-2-4", clock.now() + HOLD))
    await under_test.inventory.reserve(wanted("r2", "A-2-1", clock.now() + HOLD))
    await under_test.inventory.commit(sale("r2", "A-2-1"))


async def test_status_counts_by_section_with_prices(inventory: Inventory) -> None:
    status = await inventory.status(EVENT)
    assert (status.event_id, status.name) == (EVENT, "The event evt_1")
    won = [Money(120_000, "KRW"), Money(80_000, "KRW")]
    assert status.sections == (
        SectionStatus("A", 8, 4, 3, 1, 0, won[0], won[0]),
        SectionStatus("B", 3, 2, 0, 0, 1, won[1], won[1]),
    )


async def test_status_of_one_section_leaves_out_the_others(inventory: Inventory) -> None:
    status = await inventory.status(EVENT, section="B")
    assert [section.section for section in status.sections] == ["B"]


async def test_expired_holds_count_as_free_though_nobody_ended_them(
    inventory: Inventory, clock: FakeClock
) -> None:
    clock.advance(HOLD.total_seconds())
    section = (await inventory.status(EVENT)).sections[0]
    assert (section.available, section.held, section.sold) == (7, 0, 1)
    assert (await inventory.availability(EVENT)).remaining == 9
    asked = await inventory.availability(EVENT, seat_ids=ids("A-1-1 A-2-1"))
    assert [seat.seat_id for seat in asked.available_seats] == ["A-1-1"]


async def test_holds_count_as_held_until_the_last_moment(inventory: Inventory, clock: FakeClock) -> None:
    clock.advance(HOLD.total_seconds() - 0.001)
    assert (await inventory.status(EVENT)).sections[0].held == 3


async def test_availability_lists_free_seats_best_first(inventory: Inventory) -> None:
    answer = await inventory.availability(EVENT)
    listed = [seat.seat_id for seat in answer.available_seats]
    assert listed == ["A-1-3", "A-1-4", "A-2-2", "A-2-3", "B-1-2", "B-1-3"]
    assert answer.available_seats[-1] == Seat(SeatId("B-1-3"), "B", "1", "3", Money(80_000, "KRW"))
    assert answer.remaining == 6
    assert answer.unavailable_seat_ids == ()


async def test_availability_of_a_section_counts_only_that(inventory: Inventory) -> None:
    answer = await inventory.availability(EVENT, section="B")
    assert [seat.seat_id for seat in answer.available_seats] == ["B-1-2", "B-1-3"]
    assert answer.remaining == 2


async def test_availability_of_named_seats_tells_free_from_taken_or_unknown(inventory: Inventory) -> None:
    answer = await inventory.availability(EVENT, seat_ids=ids("B-1-2 A-1-1 A-2-1 B-1-1 Z-9-9 A-1-3"))
    assert {seat.seat_id for seat in answer.available_seats} == {"B-1-2", "A-1-3"}
    assert set(answer.unavailable_seat_ids) == set(ids("A-1-1 A-2-1 B-1-1 Z-9-9"))
    assert answer.remaining == 6


async def test_availability_of_a_seat_in_another_section_is_none(inventory: Inventory) -> None:
    answer = await inventory.availability(EVENT, seat_ids=ids("A-1-3 B-1-2"), section="B")
    assert [seat.seat_id for seat in answer.available_seats] == ["B-1-2"]
    assert answer.unavailable_seat_ids == ids("A-1-3")
    assert answer.remaining == 2


async def test_a_long_list_is_cut_but_the_count_is_not(under_test: InventoryUnderTest) -> None:
    await under_test.load_event(venue({"A": ["." * 99] * 6}, "evt_2"))
    answer = await under_test.inventory.availability(EventId("evt_2"))
    assert len(answer.available_seats) == MAX_LISTED_SEATS
    assert answer.remaining == 594


async def test_unknown_events_and_sections_are_not_found(inventory: Inventory) -> None:
    with pytest.raises(NotFoundError):
        await inventory.status(NOWHERE)
    with pytest.raises(NotFoundError):
        await inventory.availability(NOWHERE)
    with pytest.raises(NotFoundError):
        await inventory.status(EVENT, section="Z")
    with pytest.raises(NotFoundError):
        await inventory.availability(EVENT, section="Z")
    with pytest.raises(NotFoundError):
        await inventory.availability(NOWHERE, seat_ids=ids("A-1-1"))
