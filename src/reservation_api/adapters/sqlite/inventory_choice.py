"""Which seats a hold gets: the wanted ones, or the best available, adjacent first (design section 5)."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reservation_api.adapters.sqlite.inventory_holds import HeldSeat, places_of
from reservation_api.adapters.sqlite.inventory_rows import FREE, HELD, free_runs, with_letter, write_states
from reservation_api.domain.values import EventId, SeatId

_WANTED = """
SELECT seat.row_id, place, seat_id, section, row, number, price, states
FROM inventory_seats AS seat JOIN inventory_rows USING (row_id)
WHERE seat.event_id = ? AND seat_id IN ({})
"""

# The best row that has a run of :qty free seats, and the leftmost of its runs. Rows are indexed by
# (run_class, position): the best row of each class that will do is one look-up, and there are ten.
_ADJACENT = """
WITH classes(n) AS (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10))
SELECT seat.row_id, place, seat_id, section, row, number, price, states
FROM inventory_rows AS best JOIN inventory_seats AS seat
  ON seat.row_id = best.row_id AND place BETWEEN instr(states, :run) - 1 AND instr(states, :run) - 2 + :qty
WHERE best.event_id = :event_id AND best.position = (
  SELECT min((
    SELECT min(position) FROM inventory_rows WHERE event_id = :event_id AND run_class = n
  )) FROM classes WHERE n >= :qty
)
ORDER BY place
"""

_LONGEST_RUNS = """
SELECT row_id, position, states FROM inventory_rows
WHERE event_id = ? AND run_class > 0 ORDER BY run_class DESC, position LIMIT ?
"""

_PIECE = """
SELECT seat.row_id, place, seat_id, section, row, number, price, states
FROM inventory_seats AS seat JOIN inventory_rows USING (row_id)
WHERE seat.row_id = ? AND place >= ? AND place < ? ORDER BY place
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """Seats, and the letters of their rows as they are now."""

    seats: tuple[HeldSeat, ...]
    states: dict[int, str]

    def letter(self, seat: HeldSeat) -> str:
        """Return the seat's letter."""
        return self.states[seat.row_id][seat.place]


def find_wanted(connection: sqlite3.Connection, event_id: EventId, seat_ids: tuple[SeatId, ...]) -> Choice:
    """Find seats by id, in the order of the ids; unknown ones are left out."""
    query = _WANTED.format(",".join("?" * len(seat_ids)))
    found = _choice(connection.execute(query, (event_id, *seat_ids)))
    by_id = {seat.seat_id: seat for seat in found.seats}
    return Choice(tuple(by_id[seat_id] for seat_id in seat_ids if seat_id in by_id), found.states)


def find_best(connection: sqlite3.Connection, event_id: EventId, qty: int) -> Choice:
    """Find `qty` adjacent free seats in the best row that has them, else the fewest pieces.

    Fewer seats come back only if the event has no more free ones.
    """
    parameters = {"event_id": event_id, "qty": qty, "run": FREE * qty}
    adjacent = _choice(connection.execute(_ADJACENT, parameters))
    return adjacent if adjacent.seats else _find_pieces(connection, event_id, qty)


def hold_seats(connection: sqlite3.Connection, choice: Choice) -> None:
    """Give free seats the letter of a hold."""
    for row_id, places in places_of(choice.seats).items():
        write_states(connection, row_id, with_letter(choice.states[row_id], places, HELD))


def _find_pieces(connection: sqlite3.Connection, event_id: EventId, qty: int) -> Choice:
    """Take the longest runs first: no other choice has fewer pieces.

    The `qty` rows with the longest runs are enough to look at: each has one piece to give.
    """
    rows = connection.execute(_LONGEST_RUNS, (event_id, qty)).fetchall()
    runs = [
        (-length, position, place, row_id)
        for row_id, position, states in rows
        for place, length in free_runs(states)
    ]
    found: list[tuple[Any, ...]] = []
    for negative_length, _, place, row_id in sorted(runs):
        end = place + min(-negative_length, qty - len(found))
        found += connection.execute(_PIECE, (row_id, place, end))
        if len(found) == qty:
            break
    return _choice(found)


def _choice(found: Iterable[tuple[Any, ...]]) -> Choice:
    states: dict[int, str] = {}
    seats = []
    for *seat, row_states in found:
        held = HeldSeat(*seat)
        states[held.row_id] = row_states
        seats.append(held)
    return Choice(tuple(seats), states)
