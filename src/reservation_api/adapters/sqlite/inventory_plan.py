"""What a venue looks like when it is loaded: sections of rows of seats, checked as a whole."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from reservation_api.domain.values import EventId, SeatId

MAX_SEATS_PER_EVENT = 200_000
"""Twice the largest stadium; loading so many blocks other writes for about a second."""
MAX_SEATS_PER_ROW = 1_000
"""A row is one text, written anew for each change: longer ones would cost more than the rest of a hold."""
MAX_PRICE = 10**12
"""In minor units; the sum of a reservation stays far inside a 64-bit integer."""
MAX_LISTED_FAULTS = 100
"""One report names no more faults than this."""

_EVENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEAT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_MAX_LABEL = 64
_MAX_NAME = 200


class VenueError(ValueError):
    """A venue can not be loaded; `faults` lists why, all reasons at once."""

    def __init__(self, faults: Sequence[str]) -> None:
        """Take one sentence for each fault."""
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class SeatPlan:
    """A seat; its price in minor units of the event's currency."""

    seat_id: SeatId
    number: str
    price: int
    blocked: bool = False
    """Not for sale."""


@dataclass(frozen=True, slots=True)
class RowPlan:
    """A row of seats; those that follow each other are adjacent."""

    row: str
    seats: tuple[SeatPlan, ...]


@dataclass(frozen=True, slots=True)
class SectionPlan:
    """A section of rows, best row first."""

    section: str
    rows: tuple[RowPlan, ...]


@dataclass(frozen=True, slots=True)
class VenuePlan:
    """An event and its seats, best section first; raises VenueError if anything is wrong with it."""

    event_id: EventId
    name: str
    currency: str
    """ISO 4217."""
    sections: tuple[SectionPlan, ...]

    def __post_init__(self) -> None:
        """Refuse a faulty plan with the first MAX_LISTED_FAULTS faults."""
        refuse_faults(_plan_faults(self))

    @property
    def seat_count(self) -> int:
        """The number of seats, blocked ones included."""
        return sum(len(row.seats) for section in self.sections for row in section.rows)


@dataclass(frozen=True, slots=True)
class Grid:
    """Sections of equal, rectangular shape."""

    prices: Mapping[str, int]
    """What a seat costs in each section, in minor units; best section first."""
    rows: int
    seats_per_row: int


def default_seat_id(section: str, row: str, number: str) -> SeatId:
    """Make the id of a seat that was given none: `A-1-12`."""
    return SeatId(f"{section}-{row}-{number}")


def grid_plan(event_id: EventId, name: str, currency: str, grid: Grid) -> VenuePlan:
    """Plan an event with numbered rows of numbered seats; raises VenueError."""
    if len(grid.prices) * grid.rows * grid.seats_per_row > MAX_SEATS_PER_EVENT:
        raise VenueError([_too_many_seats()])
    sections = tuple(
        SectionPlan(section, tuple(_grid_row(section, n, price, grid) for n in _numbers(grid.rows)))
        for section, price in grid.prices.items()
    )
    return VenuePlan(event_id, name, currency, sections)


def demo_plan() -> VenuePlan:
    """Plan the demo event `evt_demo`: 400 seats in two sections, priced in won."""
    grid = Grid(prices={"A": 120_000, "B": 80_000}, rows=10, seats_per_row=20)
    return grid_plan(EventId("evt_demo"), "Traffic Tacos live", "KRW", grid)


def refuse_faults(faults: Iterator[str]) -> None:
    """Raise VenueError if there are any faults."""
    listed = list(islice(faults, MAX_LISTED_FAULTS))
    if next(faults, None) is not None:
        listed.append("and more faults")
    if listed:
        raise VenueError(listed)


def seat_faults(seat: SeatPlan) -> Iterator[str]:
    """Say what is wrong with a seat by itself."""
    if not _SEAT_ID.fullmatch(seat.seat_id):
        yield f"seat_id: {seat.seat_id!r} is not 1 to 64 letters, digits, '.', '_' or '-'"
    if not _is_label(seat.number):
        yield f"number: {seat.number!r} is not 1 to {_MAX_LABEL} printable characters"
    if not 0 <= seat.price <= MAX_PRICE:
        yield f"price: {seat.price} is not 0 to {MAX_PRICE} minor units"


def label_faults(kind: str, label: str) -> Iterator[str]:
    """Say what is wrong with the name of a section or row."""
    if not _is_label(label):
        yield f"{kind}: {label!r} is not 1 to {_MAX_LABEL} printable characters"


def _plan_faults(plan: VenuePlan) -> Iterator[str]:
    if not _EVENT_ID.fullmatch(plan.event_id):
        yield f"event_id: {plan.event_id!r} is not 1 to 64 letters, digits, '_' or '-'"
    if not 0 < len(plan.name) <= _MAX_NAME or not plan.name.isprintable():
        yield f"name: must be 1 to {_MAX_NAME} printable characters"
    if not _CURRENCY.fullmatch(plan.currency):
        yield f"currency: {plan.currency!r} is not three letters as in ISO 4217"
    if not plan.sections:
        yield "sections: there are none"
    if plan.seat_count > MAX_SEATS_PER_EVENT:
        yield _too_many_seats()
    yield from _repeated("section", (section.section for section in plan.sections))
    yield from _repeated("seat_id", _seat_ids(plan))
    for section in plan.sections:
        yield from _section_faults(section)


def _section_faults(section: SectionPlan) -> Iterator[str]:
    yield from label_faults("section", section.section)
    if not section.rows:
        yield f"section {section.section}: has no rows"
    for fault in _repeated("row", (row.row for row in section.rows)):
        yield f"section {section.section}: {fault}"
    for row in section.rows:
        for fault in _row_faults(row):
            yield f"section {section.section}, row {row.row}: {fault}"


def _row_faults(row: RowPlan) -> Iterator[str]:
    yield from label_faults("row", row.row)
    if not row.seats:
        yield "has no seats"
    if len(row.seats) > MAX_SEATS_PER_ROW:
        yield f"has more than {MAX_SEATS_PER_ROW} seats"
    yield from _repeated("number", (seat.number for seat in row.seats))
    for seat in row.seats:
        yield from seat_faults(seat)


def _repeated(kind: str, values: Iterator[str]) -> Iterator[str]:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            yield f"{kind}: {value!r} occurs twice"
        seen.add(value)


def _seat_ids(plan: VenuePlan) -> Iterator[str]:
    return (seat.seat_id for section in plan.sections for row in section.rows for seat in row.seats)


def _is_label(text: str) -> bool:
    return 0 < len(text) <= _MAX_LABEL and text.isprintable()


def _too_many_seats() -> str:
    return f"seats: more than {MAX_SEATS_PER_EVENT}"


def _numbers(count: int) -> range:
    return range(1, count + 1)


def _grid_row(section: str, row: int, price: int, grid: Grid) -> RowPlan:
    numbers = (str(number) for number in _numbers(grid.seats_per_row))
    seats = (SeatPlan(default_seat_id(section, str(row), number), number, price) for number in numbers)
    return RowPlan(str(row), tuple(seats))
