"""Which seats are the best available in the built-in inventory."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from tests.support.clock import FakeClock
from tests.support.databases import opened_database
from tests.support.venues import HOLD, names, venue, wanted

from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.inventory import SqliteInventory
from reservation_api.adapters.sqlite.venues import load_event
from reservation_api.domain.errors import SoldOutError
from reservation_api.domain.values import MAX_SEATS_PER_RESERVATION


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = opened_database(tmp_path / "inventory.db")
    yield database
    database.close()


async def best(database: Database, rows: Sequence[str], qty: int) -> str:
    """Name the seats that a hold gets in section A, drawn as `row-number`."""
    await load_event(database, venue({"A": rows}))
    clock = FakeClock()
    hold = await SqliteInventory(database, clock).reserve(wanted("r1", qty, clock.now() + HOLD))
    return names(hold).replace("A-", "")


@pytest.mark.parametrize(
    ("rows", "qty", "seats"),
    [
        pytest.param(["....", "...."], 2, "1-1 1-2", id="the best row, from the left"),
        pytest.param([".B.B", "B...", "...."], 2, "2-2 2-3", id="the best row that has enough adjacent"),
        pytest.param([".B..", "...."], 2, "1-3 1-4", id="a later run of the best row"),
        pytest.param(["...", "...B...."], 4, "2-5 2-6 2-7 2-8", id="the only run that is long enough"),
        pytest.param(["." * 40, "." * 40], 10, " ".join(f"1-{n}" for n in range(1, 11)), id="ten of many"),
        pytest.param(["." * 9, "." * 10], 10, " ".join(f"2-{n}" for n in range(1, 11)), id="just ten"),
        pytest.param(
            ["." * 12, "." * 20], 10, " ".join(f"1-{n}" for n in range(1, 11)), id="rank before length"
        ),
        pytest.param([".B", "B.", "."], 1, "1-1", id="a single seat"),
    ],
)
async def test_adjacent_seats_of_the_best_row_come_first(
    database: Database, rows: list[str], qty: int, seats: str
) -> None:
    assert await best(database, rows, qty) == seats


@pytest.mark.parametrize(
    ("rows", "qty", "seats"),
    [
        pytest.param([".B.B.", "...", ".."], 4, "2-1 2-2 2-3 3-1", id="the longest run, then the next"),
        pytest.param([".B.B.", "..", "..."], 5, "3-1 3-2 3-3 2-1 2-2", id="length before rank"),
        pytest.param(["..B.", "..B.."], 4, "1-1 1-2 2-1 2-2", id="of equal runs the better row's"),
        pytest.param(["..B..", "B"], 4, "1-1 1-2 1-4 1-5", id="two runs of one row"),
        pytest.param([".B.", "B.B", "."], 3, "1-1 1-3 2-2", id="single seats from the best rows"),
        pytest.param(
            ["..", "...B.."], 6, "2-1 2-2 2-3 1-1 1-2 2-5", id="a better row's run before this row's"
        ),
        pytest.param([".", ".", ".", ".", ".."], 3, "5-1 5-2 1-1", id="the longest run of many rows"),
        pytest.param([".", ".", ".", "."], 3, "1-1 2-1 3-1", id="the best of many rows"),
    ],
)
async def test_without_a_long_run_the_seats_are_in_the_fewest_pieces(
    database: Database, rows: list[str], qty: int, seats: str
) -> None:
    assert await best(database, rows, qty) == seats


async def test_adjacency_ends_with_the_row(database: Database) -> None:
    assert await best(database, ["...", "...", "....."], 4) == "3-1 3-2 3-3 3-4"


async def test_blocked_seats_are_not_remaining(database: Database) -> None:
    with pytest.raises(SoldOutError) as refusal:
        await best(database, ["B.B", "BB"], 2)
    assert refusal.value.data["remaining"] == 1


async def test_classes_of_rows_reach_as_far_as_a_reservation_may(database: Database) -> None:
    rows = ["." * n for n in range(1, 21)]
    await load_event(database, venue({"A": rows}))
    found = await database.read(
        lambda db: db.execute(
            "SELECT longest_run, run_class FROM inventory_rows ORDER BY position"
        ).fetchall()
    )
    assert found == [(n, min(n, MAX_SEATS_PER_RESERVATION)) for n in range(1, 21)]
