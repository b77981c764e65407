"""The letters of a row of seats: `.` free, `H` held, `S` sold, `B` blocked; neighbours sit side by side."""

import re
import sqlite3
from collections.abc import Iterable, Mapping

from reservation_api.domain.errors import InventoryUnavailableError

FREE, HELD, SOLD, BLOCKED = ".", "H", "S", "B"

PlacesByRow = Mapping[int, list[int]]
"""Row ids, each with places in that row, counted from 0."""

_FREE_RUN = re.compile(r"\.+")


def free_runs(states: str) -> list[tuple[int, int]]:
    """List the runs of adjacent free seats as (first place, length), from left to right."""
    return [(run.start(), run.end() - run.start()) for run in _FREE_RUN.finditer(states)]


def longest_run(states: str) -> int:
    """Return how many free seats sit side by side at most."""
    return max(map(len, _FREE_RUN.findall(states)), default=0)


def with_letter(states: str, places: Iterable[int], letter: str) -> str:
    """Return the row with another letter at these places."""
    for place in places:
        states = states[:place] + letter + states[place + 1 :]
    return states


def write_states(connection: sqlite3.Connection, row_id: int, states: str) -> None:
    """Store a row's letters, and what is counted from them."""
    connection.execute(
        "UPDATE inventory_rows SET states = ?, free = ?, longest_run = ? WHERE row_id = ?",
        (states, states.count(FREE), longest_run(states), row_id),
    )


def change_held(connection: sqlite3.Connection, places: PlacesByRow, letter: str) -> None:
    """Free or sell the seats of a hold.

    Raises InventoryUnavailableError, and so changes nothing, if one of them is not held: the file is
    damaged, and to go on could sell a seat twice.
    """
    for row_id, row_places in places.items():
        (states,) = connection.execute(
            "SELECT states FROM inventory_rows WHERE row_id = ?", (row_id,)
        ).fetchone()
        if any(states[place] != HELD for place in row_places):
            raise InventoryUnavailableError(f"row {row_id} does not hold the seats that its hold names")
        write_states(connection, row_id, with_letter(states, row_places, letter))
