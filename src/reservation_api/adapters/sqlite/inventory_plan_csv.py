"""Reading a venue's seats from CSV: one line for each seat, all faults reported with their lines."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from reservation_api.adapters.sqlite.inventory_plan import (
    MAX_SEATS_PER_EVENT,
    RowPlan,
    SeatPlan,
    SectionPlan,
    default_seat_id,
    label_faults,
    refuse_faults,
    seat_faults,
)
from reservation_api.domain.values import SeatId

_REQUIRED_COLUMNS = ("section", "row", "number", "price")
_OPTIONAL_COLUMNS = ("seat_id", "blocked")
_BLOCKED = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
_MAX_PRICE_DIGITS = 18

_Cells = dict[str, str]


@dataclass(slots=True)
class _Reading:
    """The seats read so far by section and row, and the line on which each id was seen first."""

    seats: dict[str, dict[str, list[SeatPlan]]] = field(default_factory=dict)
    first_lines: dict[SeatId, int] = field(default_factory=dict)

    def add(self, line: int, cells: _Cells) -> Iterator[str]:
        """Keep the seat of a line; say what is wrong with it."""
        yield from _cell_faults(cells)
        seat = _seat(cells)
        yield from seat_faults(seat)
        first_line = self.first_lines.setdefault(seat.seat_id, line)
        if first_line != line:
            yield f"seat_id: {seat.seat_id!r} is on line {first_line} already"
        self.seats.setdefault(cells["section"], {}).setdefault(cells["row"], []).append(seat)


def read_sections(text: str) -> tuple[SectionPlan, ...]:
    """Read the sections of a CSV file; raises VenueError with the faulty lines."""
    reading = _Reading()
    refuse_faults(_file_faults(text, reading))
    return tuple(
        SectionPlan(section, tuple(RowPlan(row, tuple(seats)) for row, seats in rows.items()))
        for section, rows in reading.seats.items()
    )


def _file_faults(text: str, reading: _Reading) -> Iterator[str]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = [cell.strip().lower() for cell in next(lines, [])]
        faults = list(_header_faults(columns))
        if faults:
            yield from faults
            return
        for cells in lines:
            for fault in _line_faults(columns, cells, lines.line_num, reading):
                yield f"line {lines.line_num}: {fault}"
            if len(reading.first_lines) > MAX_SEATS_PER_EVENT:
                yield f"line {lines.line_num}: more than {MAX_SEATS_PER_EVENT} seats"
                return
    except csv.Error as error:
        yield f"line {lines.line_num}: {error}"


def _header_faults(columns: list[str]) -> Iterator[str]:
    for column in _REQUIRED_COLUMNS:
        if column not in columns:
            yield f"line 1: there is no column {column}"
    for column in dict.fromkeys(columns):
        if column not in (*_REQUIRED_COLUMNS, *_OPTIONAL_COLUMNS):
            yield f"line 1: column {column!r} is not known"
        if columns.count(column) > 1:
            yield f"line 1: column {column!r} occurs twice"


def _line_faults(columns: list[str], cells: list[str], line: int, reading: _Reading) -> Iterable[str]:
    if not cells:  # an empty line
        return ()
    if len(cells) != len(columns):
        return (f"has {len(cells)} cells, the header {len(columns)}",)
    stripped = (cell.strip() for cell in cells)
    return reading.add(line, dict(zip(columns, stripped, strict=True)))


def _cell_faults(cells: _Cells) -> Iterator[str]:
    yield from label_faults("section", cells["section"])
    yield from label_faults("row", cells["row"])
    if not _is_amount(cells["price"]):
        yield f"price: {cells['price']!r} is not a whole number of minor units"
    if cells.get("blocked", "").lower() not in _BLOCKED:
        yield f"blocked: {cells['blocked']!r} is neither true nor false"


def _seat(cells: _Cells) -> SeatPlan:
    """Make the line's seat; what can not be read has been reported already, and is left out."""
    return SeatPlan(
        SeatId(cells.get("seat_id") or default_seat_id(cells["section"], cells["row"], cells["number"])),
        cells["number"],
        int(cells["price"]) if _is_amount(cells["price"]) else 0,
        _BLOCKED.get(cells.get("blocked", "").lower(), False),
    )


def _is_amount(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_PRICE_DIGITS
