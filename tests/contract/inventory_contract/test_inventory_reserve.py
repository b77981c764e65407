"""Reserving: all the seats or none, and one answer for each reservation id."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.contract.inventories import InventoryUnderTest
from tests.support.clock import FakeClock
from tests.support.venues import EVENT, HOLD, ids, names, return_of, sale, venue, wanted

from reservation_api.domain.errors import (
    InvalidRequestError,
    NotFoundError,
    SeatsTakenError,
    SoldOutError,
)
from reservation_api.domain.values import Money, Seat, SeatId
from reservation_api.ports.inventory import HoldEndedError, Inventory


@pytest.fixture(autouse=True)
async def _event(under_test: InventoryUnderTest) -> None:
    await under_test.load_event(venue({"A": ["....", "...."], "B": ["B..."]}))


async def free_seats(inventory: Inventory) -> str:
    return " ".join(seat.seat_id for seat in (await inventory.availability(EVENT)).available_seats)


async def test_wanted_seats_are_held_with_their_places_and_prices(
    inventory: Inventory, clock: FakeClock
) -> None:
    expires_at = clock.now() + HOLD
    hold = await inventory.reserve(wanted("r1", "B-1-4 A-2-1", expires_at))
    assert hold.expires_at == expires_at
    assert hold.seats == (
        Seat(SeatId("B-1-4"), "B", "1", "4", Money(80_000, "KRW")),
        Seat(SeatId("A-2-1"), "A", "2", "1", Money(120_000, "KRW")),
    )


async def test_held_seats_are_no_longer_free(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1 A-1-2 A-1-3 A-1-4", clock.now() + HOLD))
    await inventory.reserve(wanted("r2", "B-1-2", clock.now() + HOLD))
    assert await free_seats(inventory) == "A-2-1 A-2-2 A-2-3 A-2-4 B-1-3 B-1-4"


async def test_without_wanted_seats_the_best_adjacent_ones_are_held(
    inventory: Inventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-2", clock.now() + HOLD))
    assert names(await inventory.reserve(wanted("r2", 3, clock.now() + HOLD))) == "A-2-1 A-2-2 A-2-3"
    assert names(await inventory.reserve(wanted("r3", 2, clock.now() + HOLD))) == "A-1-3 A-1-4"


async def test_seats_that_are_not_adjacent_are_better_than_none(
    inventory: Inventory, clock: FakeClock
) -> None:
    hold = await inventory.reserve(wanted("r1", 10, clock.now() + HOLD))
    assert len(set(names(hold).split())) == 10


async def test_a_repeated_request_gets_the_same_hold(inventory: Inventory, clock: FakeClock) -> None:
    request = wanted("r1", 2, clock.now() + HOLD)
    first = await inventory.reserve(request)
    clock.advance(1)
    assert await inventory.reserve(request) == first
    assert (await inventory.availability(EVENT)).remaining == 9


async def test_a_known_id_never_takes_other_seats(inventory: Inventory, clock: FakeClock) -> None:
    first = await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    other = await inventory.reserve(wanted("r1", "A-2-1 A-2-2", clock.now() + HOLD, key="hold:1"))
    assert other.seats == first.seats
    assert (await inventory.availability(EVENT)).remaining == 10


async def test_a_repeated_key_never_moves_the_expiry(inventory: Inventory, clock: FakeClock) -> None:
    first = await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    again = await inventory.reserve(wanted("r1", "A-1-1", clock.now() + 2 * HOLD))
    assert again.expires_at == first.expires_at


async def test_another_key_moves_the_expiry_out_and_says_so(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    later = clock.now() + HOLD + timedelta(seconds=30)
    extended = await inventory.reserve(wanted("r1", "A-1-1", later, key="extend:0"))
    assert extended.expires_at == later


async def test_another_key_never_moves_the_expiry_in(inventory: Inventory, clock: FakeClock) -> None:
    first = await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    earlier = clock.now() + HOLD - timedelta(seconds=30)
    answer = await inventory.reserve(wanted("r1", "A-1-1", earlier, key="extend:0"))
    assert answer.expires_at == first.expires_at


async def test_the_first_key_stays_without_effect_after_an_extension(
    inventory: Inventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    later = clock.now() + HOLD + timedelta(seconds=30)
    await inventory.reserve(wanted("r1", "A-1-1", later, key="extend:0"))
    delayed = await inventory.reserve(wanted("r1", "A-1-1", clock.now() + 2 * HOLD))
    assert delayed.expires_at == later


async def test_an_extended_hold_outlasts_its_first_expiry(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + 2 * HOLD, key="extend:0"))
    clock.advance(HOLD.total_seconds())
    with pytest.raises(SeatsTakenError):
        await inventory.reserve(wanted("r2", "A-1-1", clock.now() + HOLD))


async def test_a_refusal_names_the_taken_seats_and_takes_none(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-2", clock.now() + HOLD))
    await inventory.reserve(wanted("r2", "A-2-1", clock.now() + HOLD))
    await inventory.commit(sale("r2", "A-2-1"))
    with pytest.raises(SeatsTakenError) as refusal:
        await inventory.reserve(wanted("r3", "A-1-1 A-1-2 A-2-1 A-2-2 B-1-1", clock.now() + HOLD))
    assert set(refusal.value.data["conflicts"]) == {"A-1-2", "A-2-1", "B-1-1"}
    assert await free_seats(inventory) == "A-1-1 A-1-3 A-1-4 A-2-2 A-2-3 A-2-4 B-1-2 B-1-3 B-1-4"


async def test_a_refused_id_may_try_other_seats(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    with pytest.raises(SeatsTakenError):
        await inventory.reserve(wanted("r2", "A-1-1", clock.now() + HOLD))
    assert names(await inventory.reserve(wanted("r2", "A-1-2", clock.now() + HOLD))) == "A-1-2"


async def test_too_few_free_seats_are_refused_with_their_number(
    inventory: Inventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", 9, clock.now() + HOLD))
    with pytest.raises(SoldOutError) as refusal:
        await inventory.reserve(wanted("r2", 3, clock.now() + HOLD))
    assert refusal.value.data["remaining"] == 2
    assert (await inventory.availability(EVENT)).remaining == 2


async def test_an_unknown_event_is_not_found(inventory: Inventory, clock: FakeClock) -> None:
    with pytest.raises(NotFoundError):
        await inventory.reserve(wanted("r1", 1, clock.now() + HOLD, event_id="evt_other"))
    with pytest.raises(NotFoundError):
        await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD, event_id="evt_other"))


async def test_an_unknown_seat_is_refused_by_name_and_takes_none(
    inventory: Inventory, clock: FakeClock
) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        await inventory.reserve(wanted("r1", "A-1-1 Z-9-9", clock.now() + HOLD))
    assert any("Z-9-9" in fault for fault in refusal.value.data["errors"])
    assert (await inventory.availability(EVENT)).remaining == 11


async def test_a_seat_named_twice_is_refused(inventory: Inventory, clock: FakeClock) -> None:
    with pytest.raises(InvalidRequestError):
        await inventory.reserve(wanted("r1", "A-1-1 A-1-1", clock.now() + HOLD))


@pytest.mark.parametrize("qty", [1, 3])
async def test_another_number_of_seats_than_are_named_is_refused(
    inventory: Inventory, clock: FakeClock, qty: int
) -> None:
    with pytest.raises(InvalidRequestError):
        await inventory.reserve(replace(wanted("r1", "A-1-1 A-1-2", clock.now() + HOLD), qty=qty))


@pytest.mark.parametrize("qty", [-1, 0, 11])
async def test_a_number_of_seats_out_of_bounds_is_refused(
    inventory: Inventory, clock: FakeClock, qty: int
) -> None:
    with pytest.raises(InvalidRequestError):
        await inventory.reserve(wanted("r1", qty, clock.now() + HOLD))


async def test_a_released_id_is_refused(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    await inventory.release(return_of("r1", "A-1-1"))
    with pytest.raises(HoldEndedError):
        await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    assert (await inventory.availability(EVENT)).remaining == 11


async def test_a_sold_id_is_refused(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    await inventory.commit(sale("r1", "A-1-1"))
    with pytest.raises(HoldEndedError):
        await inventory.reserve(wanted("r1", "A-1-2", clock.now() + HOLD, key="hold:1"))


async def test_an_expired_id_is_refused_and_can_not_be_extended(
    inventory: Inventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds())
    with pytest.raises(HoldEndedError):
        await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD, key="extend:0"))
    assert (await inventory.availability(EVENT)).remaining == 11


async def test_a_request_that_comes_after_its_own_expiry_is_refused(
    inventory: Inventory, clock: FakeClock
) -> None:
    with pytest.raises(HoldEndedError):
        await inventory.reserve(wanted("r1", "A-1-1", clock.now()))
    assert (await inventory.availability(EVENT)).remaining == 11


async def test_a_request_that_was_overtaken_by_its_release_is_refused(
    inventory: Inventory, clock: FakeClock
) -> None:
    await inventory.release(return_of("r1"))
    with pytest.raises(HoldEndedError):
        await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    assert (await inventory.availability(EVENT)).remaining == 11


async def test_seats_of_an_expired_hold_are_free_for_the_next_buyer(
    inventory: Inventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-1 A-1-2", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds() - 0.001)
    with pytest.raises(SeatsTakenError):
        await inventory.reserve(wanted("r2", "A-1-2", clock.now() + HOLD))
    clock.advance(0.001)
    assert names(await inventory.reserve(wanted("r2", "A-1-2", clock.now() + HOLD))) == "A-1-2"


async def test_expired_seats_count_for_the_best_available(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", 4, clock.now() + HOLD))
    await inventory.reserve(wanted("r2", 7, clock.now() + HOLD))
    clock.advance(HOLD.total_seconds())
    hold = await inventory.reserve(wanted("r3", 4, clock.now() + HOLD))
    assert names(hold) == "A-1-1 A-1-2 A-1-3 A-1-4"


async def test_events_do_not_share_seats(under_test: InventoryUnderTest, clock: FakeClock) -> None:
    await under_test.load_event(venue({"A": ["...."]}, "evt_2"))
    await under_test.inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    other = wanted("r2", "A-1-1", clock.now() + HOLD, event_id="evt_2")
    assert names(await under_test.inventory.reserve(other)) == "A-1-1"
    answer = await under_test.inventory.availability(EVENT, seat_ids=ids("A-1-1 A-1-2"))
    assert answer.unavailable_seat_ids == ids("A-1-1")
