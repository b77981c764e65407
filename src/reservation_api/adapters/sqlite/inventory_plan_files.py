"""Reading a venue from a file: CSV as a spreadsheet writes it, or JSON."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from reservation_api.adapters.sqlite.inventory_plan import (
    RowPlan,
    SeatPlan,
    SectionPlan,
    VenueError,
    VenuePlan,
    default_seat_id,
)
from reservation_api.adapters.sqlite.inventory_plan_csv import read_sections
from reservation_api.domain.values import EventId, SeatId

MAX_FILE_BYTES = 64 * 1024 * 1024
"""300 bytes for each of the seats that an event may have."""


@dataclass(frozen=True, slots=True)
class EventDetails:
    """What a CSV file does not say about its event; what is given here outranks a JSON file."""

    event_id: EventId | None = None
    """If not given for CSV: the file's name without its ending."""
    name: str | None = None
    """If not given for CSV: the event id."""
    currency: str | None = None
    """If not given for CSV: KRW."""


class _JsonSeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: str
    price: int
    seat_id: str | None = None
    blocked: bool = False


class _JsonRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    row: str
    seats: list[_JsonSeat]


class _JsonSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    section: str
    rows: list[_JsonRow]


class _JsonPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    event_id: str
    name: str
    currency: str
    sections: list[_JsonSection]


_JSON = msgspec.json.Decoder(_JsonPlan)


def read_plan(path: Path, details: EventDetails | None = None) -> VenuePlan:
    """Read a plan from a `.csv` or `.json` file in UTF-8; raises VenueError with all faults and their lines.

    CSV: a header with `section,row,number,price` and, if wanted, `seat_id` (else `section-row-number`) and
    `blocked` (true or false); then a line for each seat. Sections and rows rank, and seats of a row are
    adjacent, in the order of the lines. JSON:

        {"event_id": "evt_1", "name": "A concert", "currency": "KRW", "sections": [
          {"section": "A", "rows": [
            {"row": "1", "seats": [
              {"number": "1", "price": 120000, "seat_id": "A-1-1", "blocked": false}]}]}]}

    `seat_id` and `blocked` may be left out. Prices are whole numbers of minor units.
    """
    details = details or EventDetails()
    match path.suffix.lower():
        case ".csv":
            return _read_csv(path, details)
        case ".json":
            return _read_json(path, details)
        case suffix:
            raise VenueError([f"{path.name}: {suffix or 'no ending'} is neither .csv nor .json"])


def _read_csv(path: Path, details: EventDetails) -> VenuePlan:
    sections = read_sections(_read_text(path))
    event_id = details.event_id or EventId(path.stem)
    return VenuePlan(event_id, details.name or event_id, details.currency or "KRW", sections)


def _read_json(path: Path, details: EventDetails) -> VenuePlan:
    try:
        wire = _JSON.decode(_read_text(path))
    except msgspec.DecodeError as error:
        raise VenueError([f"{path.name}: {error}"]) from error
    return VenuePlan(
        details.event_id or EventId(wire.event_id),
        details.name or wire.name,
        details.currency or wire.currency,
        tuple(_section(section) for section in wire.sections),
    )


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise VenueError([f"{path.name}: larger than {MAX_FILE_BYTES} bytes"])
        return path.read_bytes().decode("utf-8-sig")  # spreadsheets begin with a byte order mark
    except OSError as error:
        raise VenueError([f"{path.name}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise VenueError([f"{path.name}: not UTF-8 at byte {error.start}"]) from error


def _section(wire: _JsonSection) -> SectionPlan:
    rows = (RowPlan(row.row, tuple(_seat(wire, row, seat) for seat in row.seats)) for row in wire.rows)
    return SectionPlan(wire.section, tuple(rows))


def _seat(section: _JsonSection, row: _JsonRow, wire: _JsonSeat) -> SeatPlan:
    seat_id = wire.seat_id or default_seat_id(section.section, row.row, wire.number)
    return SeatPlan(SeatId(seat_id), wire.number, wire.price, wire.blocked)
