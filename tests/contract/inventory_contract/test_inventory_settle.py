"""Committing and releasing: repeatable, and only what the id itself holds."""

from datetime import timedelta

import pytest
from tests.contract.inventories import InventoryUnderTest
from tests.support.clock import FakeClock
from tests.support.venues import EVENT, HOLD, names, return_of, sale, venue, wanted

from reservation_api.domain.errors import SeatsTakenError
from reservation_api.ports.inventory import CommitOutcome, HoldEndedError, Inventory, ReleaseOutcome


@pytest.fixture(autouse=True)
async def _event(under_test: InventoryUnderTest) -> None:
    await under_test.load_event(venue({"A": ["....", "...."]}))


async def counts(inventory: Inventory) -> tuple[int, int, int]:
    """Count (free, held, sold) seats."""
    (section,) = (await inventory.status(EVENT)).sections
    return section.available, section.held, section.sold


async def test_a_commit_sells_the_held_seats(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1 A-2-1", clock.now() + HOLD))
    assert await inventory.commit(sale("r1", "A-2-1 A-1-1")) is CommitOutcome.SOLD
    assert await counts(inventory) == (6, 0, 2)


async def test_a_repeated_commit_answers_the_same(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    await inventory.commit(sale("r1", "A-1-1"))
    assert await inventory.commit(sale("r1", "A-1-1")) is CommitOutcome.SOLD
    assert await counts(inventory) == (7, 0, 1)


async def test_a_repeated_commit_answers_the_same_long_after_the_hold(
    inventory: Inventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    await inventory.commit(sale("r1", "A-1-1"))
    clock.advance(7200)
    assert await inventory.commit(sale("r1", "A-1-1")) is CommitOutcome.SOLD


async def test_sold_seats_are_never_freed_by_time(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    await inventory.commit(sale("r1", "A-1-1"))
    clock.advance(7200)
    with pytest.raises(SeatsTakenError):
        await inventory.reserve(wanted("r2", "A-1-1", clock.now() + HOLD))


async def test_a_commit_just_before_expiry_sells(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds() - 0.001)
    assert await inventory.commit(sale("r1", "A-1-1")) is CommitOutcome.SOLD


async def test_a_commit_at_expiry_is_refused_and_stays_refused(
    inventory: Inventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds())
    assert await inventory.commit(sale("r1", "A-1-1")) is CommitOutcome.HOLD_EXPIRED
    assert await inventory.commit(sale("r1", "A-1-1")) is CommitOutcome.HOLD_EXPIRED
    assert await counts(inventory) == (8, 0, 0)


async def test_a_commit_within_an_extension_sells(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    later = clock.now() + HOLD + timedelta(seconds=30)
    await inventory.reserve(wanted("r1", "A-1-1", later, key="extend:0"))
    clock.advance(HOLD.total_seconds() + 29)
    assert await inventory.commit(sale("r1", "A-1-1")) is CommitOutcome.SOLD


async def test_a_hold_whose_seats_were_given_to_others_can_not_commit(
    inventory: Inventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-1 A-1-2", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds())
    await inventory.reserve(wanted("r2", "A-1-2", clock.now() + HOLD))
    assert await inventory.commit(sale("r1", "A-1-1 A-1-2")) is CommitOutcome.HOLD_EXPIRED
    assert await inventory.commit(sale("r2", "A-1-2")) is CommitOutcome.SOLD
    assert await counts(inventory) == (7, 0, 1)


async def test_a_commit_of_other_seats_than_held_is_refused(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1 A-1-2", clock.now() + HOLD))
    for seats in ("A-1-1", "A-1-1 A-1-3", "A-1-1 A-1-2 A-1-3"):
        assert await inventory.commit(sale("r1", seats)) is CommitOutcome.SEATS_CONFLICT
    assert await counts(inventory) == (6, 2, 0)


async def test_a_commit_of_an_unknown_id_is_refused(inventory: Inventory) -> None:
    assert await inventory.commit(sale("r1", "A-1-1")) is CommitOutcome.HOLD_EXPIRED
    assert await counts(inventory) == (8, 0, 0)


async def test_a_commit_after_release_is_refused(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    await inventory.release(return_of("r1", "A-1-1"))
    assert await inventory.commit(sale("r1", "A-1-1")) is CommitOutcome.HOLD_EXPIRED
    assert await counts(inventory) == (8, 0, 0)


async def test_a_release_frees_the_seats_of_its_id_only(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    await inventory.reserve(wanted("r2", "A-1-2", clock.now() + HOLD))
    outcome = await inventory.release(return_of("r1", "A-1-1 A-1-2"))
    assert outcome is ReleaseOutcome.RELEASED
    assert await counts(inventory) == (7, 1, 0)
    assert names(await inventory.reserve(wanted("r3", "A-1-1", clock.now() + HOLD))) == "A-1-1"


async def test_a_repeated_release_frees_nothing_more(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    await inventory.release(return_of("r1", "A-1-1"))
    await inventory.reserve(wanted("r2", "A-1-1", clock.now() + HOLD))
    assert await inventory.release(return_of("r1", "A-1-1")) is ReleaseOutcome.ALREADY_RELEASED
    assert await counts(inventory) == (7, 1, 0)


async def test_a_release_of_an_expired_hold_spares_the_next_buyer(
    inventory: Inventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds())
    await inventory.reserve(wanted("r2", "A-1-1", clock.now() + HOLD))
    assert await inventory.release(return_of("r1", "A-1-1")) is ReleaseOutcome.ALREADY_RELEASED
    assert await inventory.commit(sale("r2", "A-1-1")) is CommitOutcome.SOLD


async def test_a_release_of_an_expired_hold_closes_its_id(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds())
    assert await inventory.release(return_of("r1", "A-1-1")) is not ReleaseOutcome.FAILED
    with pytest.raises(HoldEndedError):
        await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD, key="hold:1"))
    assert await counts(inventory) == (8, 0, 0)


async def test_sold_seats_can_not_be_released(inventory: Inventory, clock: FakeClock) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    await inventory.commit(sale("r1", "A-1-1"))
    assert await inventory.release(return_of("r1", "A-1-1")) is ReleaseOutcome.FAILED
    assert await counts(inventory) == (7, 0, 1)


async def test_a_release_of_an_unknown_id_says_so_and_may_be_repeated(inventory: Inventory) -> None:
    assert await inventory.release(return_of("r1", "A-1-1")) is ReleaseOutcome.NOT_FOUND
    again = await inventory.release(return_of("r1", "A-1-1"))
    assert again in (ReleaseOutcome.NOT_FOUND, ReleaseOutcome.ALREADY_RELEASED)
