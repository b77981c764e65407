"""Putting events on sale."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.clock import FakeClock
from tests.support.databases import opened_database
from tests.support.venues import EVENT, HOLD, names, venue, wanted

from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.inventory import SqliteInventory
from reservation_api.adapters.sqlite.venues import (
    EventSummary,
    VenueError,
    VenuePlan,
    demo_plan,
    list_events,
    load_event,
)
from reservation_api.domain.values import Money
from reservation_api.ports.inventory import SectionStatus


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = opened_database(tmp_path / "inventory.db")
    yield database
    database.close()


async def test_a_loaded_event_is_on_sale(database: Database) -> None:
    assert await load_event(database, venue({"A": ["..B", "."], "B": ["."]})) is True
    status = await SqliteInventory(database, FakeClock()).status(EVENT)
    assert status.sections[0] == SectionStatus("A", 4, 3, 0, 0, 1, *[Money(120_000, "KRW")] * 2)


async def test_prices_of_a_section_reach_from_the_least_to_the_most(database: Database) -> None:
    plan = venue({"A": ["..", ".."]})
    first, second = plan.sections[0].rows
    cheap = replace(first, seats=(replace(first.seats[0], price=7), first.seats[1]))
    dear = replace(second, seats=(second.seats[0], replace(second.seats[1], price=10**9)))
    await load_event(database, replace(plan, sections=(replace(plan.sections[0], rows=(cheap, dear)),)))
    (section,) = (await SqliteInventory(database, FakeClock()).status(EVENT)).sections
    assert (section.min_price.amount, section.max_price.amount) == (7, 10**9)


async def test_the_same_plan_again_changes_nothing(database: Database) -> None:
    clock = FakeClock()
    plan = venue({"A": [".."]})
    await load_event(database, plan)
    inventory = SqliteInventory(database, clock)
    await inventory.reserve(wanted("r1", 1, clock.now() + HOLD))
    assert await load_event(database, plan) is False
    assert (await inventory.availability(EVENT)).remaining == 1


@pytest.mark.parametrize(
    "other",
    [
        venue({"A": ["..."]}),
        venue({"A": [".B"]}),
        replace(venue({"A": [".."]}), name="Renamed"),
        replace(venue({"A": [".."]}), currency="USD"),
    ],
)
async def test_another_plan_for_a_known_event_is_refused(database: Database, other: VenuePlan) -> None:
    await load_event(database, venue({"A": [".."]}))
    with pytest.raises(VenueError, match="event evt_1 exists"):
        await load_event(database, other)
    assert (await SqliteInventory(database, FakeClock()).availability(EVENT)).remaining == 2


async def test_events_are_listed_by_id(database: Database) -> None:
    assert await list_events(database) == ()
    await load_event(database, demo_plan())
    await load_event(database, venue({"A": ["..B"]}))
    assert await list_events(database) == (
        EventSummary(EVENT, "The event evt_1", "KRW", 3),
        EventSummary(demo_plan().event_id, demo_plan().name, "KRW", 400),
    )


async def test_an_event_loaded_after_another_has_its_own_rows(database: Database) -> None:
    clock = FakeClock()
    await load_event(database, demo_plan())
    await load_event(database, venue({"A": ["..."]}))
    inventory = SqliteInventory(database, clock)
    assert names(await inventory.reserve(wanted("r1", 3, clock.now() + HOLD))) == "A-1-1 A-1-2 A-1-3"
    assert (await inventory.availability(demo_plan().event_id)).remaining == 400
