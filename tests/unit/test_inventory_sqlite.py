"""What the built-in inventory does beyond the contract: bounds, forgetting, two clocks, a damaged file."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.clock import FakeClock, SkewedClock
from tests.support.databases import opened_database
from tests.support.venues import EVENT, HOLD, ids, names, return_of, sale, venue, wanted

from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.inventory import SqliteInventory
from reservation_api.adapters.sqlite.inventory_holds import LAPSED_PER_CALL
from reservation_api.adapters.sqlite.inventory_reserve import MAX_KEYS_PER_HOLD
from reservation_api.adapters.sqlite.inventory_settle import ENDED_HOLDS_KEPT
from reservation_api.adapters.sqlite.venues import load_event
from reservation_api.domain.errors import (
    InvalidRequestError,
    InventoryUnavailableError,
    SeatsTakenError,
    SoldOutError,
)
from reservation_api.domain.reservation import HoldPolicy
from reservation_api.ports.inventory import MAX_LISTED_SEATS, CommitOutcome, HoldEndedError, ReleaseOutcome


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = opened_database(tmp_path / "inventory.db")
    await load_event(database, venue({"A": ["." * 50] * 10}))
    yield database
    database.close()


@pytest.fixture
def inventory(database: Database, clock: FakeClock) -> SqliteInventory:
    return SqliteInventory(database, clock)


async def statuses(database: Database) -> dict[str, int]:
    rows = await database.read(
        lambda db: db.execute("SELECT status, count(*) FROM inventory_holds GROUP BY status").fetchall()
    )
    return dict(rows)


async def hold_all_singly(inventory: SqliteInventory, clock: FakeClock, count: int) -> None:
    """Hold the best `count` seats one by one, each due a millisecond after the one before."""
    expiries = [clock.now() + HOLD + timedelta(milliseconds=n) for n in range(count)]
    for n, expires_at in enumerate(expiries):
        await inventory.reserve(wanted(f"r{n}", 1, expires_at))
    clock.advance(HOLD.total_seconds() + count)


async def test_one_call_lapses_no_more_than_its_bound(
    inventory: SqliteInventory, database: Database, clock: FakeClock
) -> None:
    await hold_all_singly(inventory, clock, LAPSED_PER_CALL + 50)
    await inventory.reserve(wanted("s1", 1, clock.now() + HOLD))
    assert await statuses(database) == {"ACTIVE": 51, "LAPSED": LAPSED_PER_CALL}
    await inventory.reserve(wanted("s2", 1, clock.now() + HOLD))
    assert await statuses(database) == {"ACTIVE": 2, "LAPSED": LAPSED_PER_CALL + 50}


async def test_wanted_seats_of_holds_due_beyond_the_bound_are_free(
    inventory: SqliteInventory, database: Database, clock: FakeClock
) -> None:
    await hold_all_singly(inventory, clock, 400)
    hold = await inventory.reserve(wanted("s1", "A-8-49 A-8-50", clock.now() + HOLD))
    assert names(hold) == "A-8-49 A-8-50"
    assert await statuses(database) == {"ACTIVE": 299, "LAPSED": LAPSED_PER_CALL + 2}


async def test_wanted_seats_of_live_holds_stay_taken_beyond_the_bound(
    inventory: SqliteInventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("live", "A-10-50", clock.now() + 10 * HOLD))
    await hold_all_singly(inventory, clock, 400)
    with pytest.raises(SeatsTakenError) as refusal:
        await inventory.reserve(wanted("s1", "A-8-50 A-10-50", clock.now() + HOLD))
    assert refusal.value.data["conflicts"] == ["A-10-50"]


async def test_best_seats_are_found_when_every_seat_is_due(
    inventory: SqliteInventory, clock: FakeClock
) -> None:
    await hold_all_singly(inventory, clock, 500)
    for n in range(50):
        hold = await inventory.reserve(wanted(f"s{n}", 10, clock.now() + HOLD))
        assert len(set(names(hold).split())) == 10
    with pytest.raises(SoldOutError) as refusal:
        await inventory.reserve(wanted("s50", 1, clock.now() + HOLD))
    assert refusal.value.data["remaining"] == 0


async def test_a_refusal_keeps_what_it_lapsed(
    inventory: SqliteInventory, database: Database, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("live", "A-1-2", clock.now() + 2 * HOLD))
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds())
    with pytest.raises(SeatsTakenError):
        await inventory.reserve(wanted("s1", "A-1-2", clock.now() + HOLD))
    assert await statuses(database) == {"ACTIVE": 1, "LAPSED": 1}


async def test_an_expired_id_is_lapsed_by_its_own_retry(
    inventory: SqliteInventory, database: Database, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds())
    with pytest.raises(HoldEndedError):
        await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    assert await statuses(database) == {"LAPSED": 1}


async def test_holds_that_ended_an_hour_ago_are_forgotten_and_others_kept(
    inventory: SqliteInventory, database: Database, clock: FakeClock
) -> None:
    for reservation, seat in (("released", "A-1-1"), ("lapsed", "A-1-2"), ("sold", "A-1-3")):
        await inventory.reserve(wanted(reservation, seat, clock.now() + HOLD))
    await inventory.reserve(wanted("live", "A-1-4", clock.now() + timedelta(hours=9)))
    await inventory.commit(sale("sold", "A-1-3"))
    clock.advance(HOLD.total_seconds())
    await inventory.release(return_of("released", "A-1-1"))
    await inventory.release(return_of("never seen"))
    assert await inventory.commit(sale("lapsed", "A-1-2")) is CommitOutcome.HOLD_EXPIRED
    clock.advance(ENDED_HOLDS_KEPT.total_seconds())
    assert await inventory.purge_ended_holds(clock.now(), 100) == 0
    clock.advance(0.001)
    assert await inventory.purge_ended_holds(clock.now(), 100) == 3
    assert await statuses(database) == {"ACTIVE": 1, "COMMITTED": 1}


async def test_a_purge_takes_no_more_than_its_limit_oldest_first(
    inventory: SqliteInventory, clock: FakeClock
) -> None:
    for n in range(5):
        await inventory.release(return_of(f"r{n}"))
        clock.advance(1)
    clock.advance(ENDED_HOLDS_KEPT.total_seconds())
    assert await inventory.purge_ended_holds(clock.now(), 2) == 2
    assert await inventory.release(return_of("r1")) is ReleaseOutcome.NOT_FOUND
    assert await inventory.release(return_of("r2")) is ReleaseOutcome.ALREADY_RELEASED


async def test_a_request_older_than_what_is_remembered_is_refused(
    inventory: SqliteInventory, clock: FakeClock
) -> None:
    delayed = wanted("r1", "A-1-1", clock.now() + HOLD)
    await inventory.release(return_of("r1"))
    clock.advance(ENDED_HOLDS_KEPT.total_seconds() + 1)
    assert await inventory.purge_ended_holds(clock.now(), 100) == 1
    with pytest.raises(HoldEndedError):
        await inventory.reserve(delayed)


def test_ended_holds_are_kept_longer_than_any_hold_lasts() -> None:
    policy = HoldPolicy()
    assert timedelta(seconds=policy.max_hold_seconds) + policy.grace < ENDED_HOLDS_KEPT


async def test_a_commit_of_an_unknown_id_closes_it(inventory: SqliteInventory, clock: FakeClock) -> None:
    assert await inventory.commit(sale("r1", "A-1-1")) is CommitOutcome.HOLD_EXPIRED
    with pytest.raises(HoldEndedError):
        await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    assert await inventory.commit(sale("r1", "A-1-1")) is CommitOutcome.HOLD_EXPIRED


async def test_a_hold_remembers_a_bounded_number_of_keys(
    inventory: SqliteInventory, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    for n in range(1, MAX_KEYS_PER_HOLD + 5):
        later = clock.now() + HOLD + timedelta(seconds=n)
        hold = await inventory.reserve(wanted("r1", "A-1-1", later, key=f"extend:{n}"))
    assert hold.expires_at == clock.now() + HOLD + timedelta(seconds=MAX_KEYS_PER_HOLD - 1)


async def test_a_key_that_changed_nothing_is_remembered_too(
    inventory: SqliteInventory, clock: FakeClock
) -> None:
    first = await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD / 2, key="extend:0"))
    again = await inventory.reserve(wanted("r1", "A-1-1", clock.now() + 2 * HOLD, key="extend:0"))
    assert again.expires_at == first.expires_at


async def test_an_expiry_is_cut_to_the_precision_that_is_stored(
    inventory: SqliteInventory, clock: FakeClock
) -> None:
    request = wanted("r1", "A-1-1", clock.now() + HOLD + timedelta(microseconds=1234))
    first = await inventory.reserve(request)
    assert first.expires_at == clock.now() + HOLD + timedelta(milliseconds=1)
    assert await inventory.reserve(request) == first


async def test_once_lapsed_by_a_fast_clock_a_hold_is_over_for_a_slow_one(
    database: Database, clock: FakeClock
) -> None:
    slow, fast = SqliteInventory(database, clock), SqliteInventory(database, SkewedClock(clock, 2))
    await slow.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds() - 1)
    assert await fast.commit(sale("r1", "A-1-1")) is CommitOutcome.HOLD_EXPIRED
    assert await slow.commit(sale("r1", "A-1-1")) is CommitOutcome.HOLD_EXPIRED
    assert names(await slow.reserve(wanted("r2", "A-1-1", clock.now() + HOLD))) == "A-1-1"


async def test_once_extended_by_a_slow_clock_a_hold_is_live_for_a_fast_one(
    database: Database, clock: FakeClock
) -> None:
    slow, fast = SqliteInventory(database, clock), SqliteInventory(database, SkewedClock(clock, 2))
    await slow.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    clock.advance(HOLD.total_seconds() - 1)
    await slow.reserve(wanted("r1", "A-1-1", clock.now() + HOLD, key="extend:0"))
    with pytest.raises(SeatsTakenError):
        await fast.reserve(wanted("r2", "A-1-1", clock.now() + HOLD))
    assert await fast.commit(sale("r1", "A-1-1")) is CommitOutcome.SOLD


async def test_the_time_is_read_when_the_job_runs_not_when_it_waits(
    inventory: SqliteInventory, database: Database, clock: FakeClock
) -> None:
    for reservation, seat in (("r1", "A-1-1"), ("r2", "A-1-2")):
        await inventory.reserve(wanted(reservation, seat, clock.now() + HOLD))
    commands_wait = threading.Event()

    def hold_up(_: sqlite3.Connection) -> None:
        commands_wait.wait()
        clock.advance(HOLD.total_seconds())

    held_up = asyncio.create_task(database.write(hold_up))
    commit = asyncio.create_task(inventory.commit(sale("r1", "A-1-1")))
    next_buyer = asyncio.create_task(inventory.reserve(wanted("r3", "A-1-2", clock.now() + 2 * HOLD)))
    await asyncio.sleep(0)  # all are with the writer now
    commands_wait.set()
    await held_up
    assert await commit is CommitOutcome.HOLD_EXPIRED
    assert names(await next_buyer) == "A-1-2"


async def test_a_damaged_file_sells_nothing_and_frees_nothing(
    inventory: SqliteInventory, database: Database, clock: FakeClock
) -> None:
    await inventory.reserve(wanted("r1", "A-1-1 A-2-1", clock.now() + HOLD))
    damage = "UPDATE inventory_rows SET states = 'S' || substr(states, 2) WHERE position = 1"
    await database.write(lambda db: db.execute(damage).rowcount)
    with pytest.raises(InventoryUnavailableError):
        await inventory.commit(sale("r1", "A-1-1 A-2-1"))
    with pytest.raises(InventoryUnavailableError):
        await inventory.release(return_of("r1", "A-1-1 A-2-1"))
    (section,) = (await inventory.status(EVENT)).sections
    assert (section.held, section.sold) == (1, 1)


async def test_a_hold_without_its_event_has_no_answer(
    inventory: SqliteInventory, database: Database, clock: FakeClock
) -> None:
    request = wanted("r1", "A-1-1", clock.now() + HOLD)
    await inventory.reserve(request)
    await database.write(lambda db: db.execute("DELETE FROM inventory_events").rowcount)
    with pytest.raises(InventoryUnavailableError):
        await inventory.reserve(request)


async def test_a_file_that_can_not_be_used_is_an_unknown_outcome(
    inventory: SqliteInventory, database: Database, tmp_path: Path, clock: FakeClock
) -> None:
    connection = sqlite3.connect(tmp_path / "inventory.db")
    for table in ("holds", "events"):
        connection.execute(f"DROP TABLE inventory_{table}")
    connection.close()
    with pytest.raises(InventoryUnavailableError):
        await inventory.reserve(wanted("r1", "A-1-1", clock.now() + HOLD))
    with pytest.raises(InventoryUnavailableError):
        await inventory.status(EVENT)


async def test_a_question_about_too_many_seats_is_refused(inventory: SqliteInventory) -> None:
    asked = ids(" ".join(f"A-1-{n}" for n in range(MAX_LISTED_SEATS + 1)))
    with pytest.raises(InvalidRequestError):
        await inventory.availability(EVENT, seat_ids=asked)
