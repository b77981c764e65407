"""Venues read from files, and what a file is refused for."""

from pathlib import Path

import pytest

from reservation_api.adapters.sqlite.inventory_plan import MAX_SEATS_PER_EVENT
from reservation_api.adapters.sqlite.inventory_plan_files import MAX_FILE_BYTES
from reservation_api.adapters.sqlite.venues import EventDetails, SeatPlan, VenueError, VenuePlan, read_plan
from reservation_api.domain.values import EventId, SeatId


def read(tmp_path: Path, name: str, text: str, details: EventDetails | None = None) -> VenuePlan:
    (tmp_path / name).write_text(text, "utf-8")
    return read_plan(tmp_path / name, details)


def faults(tmp_path: Path, name: str, text: str) -> tuple[str, ...]:
    with pytest.raises(VenueError) as refusal:
        read(tmp_path, name, text)
    return refusal.value.faults


CSV = """section,row,number,price
A,1,1,120000
A,1,2,120000
B,1,1,80000
A,2,1,110000
"""

JSON = """
{"event_id": "evt_1", "name": "A concert", "currency": "EUR", "sections": [
  {"section": "A", "rows": [
    {"row": "1", "seats": [
      {"number": "1", "price": 120000, "seat_id": "front.1"},
      {"number": "2", "price": 120000, "blocked": true}]}]}]}
"""


def test_csv_gives_one_seat_a_line_in_the_order_of_the_lines(tmp_path: Path) -> None:
    plan = read(tmp_path, "evt_1.csv", CSV)
    assert (plan.event_id, plan.name, plan.currency) == ("evt_1", "evt_1", "KRW")
    assert [section.section for section in plan.sections] == ["A", "B"]
    assert [row.row for row in plan.sections[0].rows] == ["1", "2"]
    assert plan.sections[0].rows[0].seats == (
        SeatPlan(SeatId("A-1-1"), "1", 120_000),
        SeatPlan(SeatId("A-1-2"), "2", 120_000),
    )


def test_csv_may_name_seats_and_block_them(tmp_path: Path) -> None:
    text = (
        "\ufeffSeat_ID , Section,row,number,price,blocked\r\n"
        'x.1,"Stalls, left",1,1,5,TRUE\r\n'
        "\r\n"
        "x.2, Stalls right ,1,1,5,\r\n"
    )
    plan = read(tmp_path, "evt_1.csv", text)
    assert [section.section for section in plan.sections] == ["Stalls, left", "Stalls right"]
    assert plan.sections[0].rows[0].seats == (SeatPlan(SeatId("x.1"), "1", 5, blocked=True),)
    assert plan.sections[1].rows[0].seats == (SeatPlan(SeatId("x.2"), "1", 5),)


def test_what_is_given_outranks_the_file(tmp_path: Path) -> None:
    details = EventDetails(EventId("evt_9"), "Nine", "USD")
    for name, text in (("a.csv", CSV), ("a.json", JSON)):
        plan = read(tmp_path, name, text, details)
        assert (plan.event_id, plan.name, plan.currency) == ("evt_9", "Nine", "USD")


def test_csv_faults_name_their_lines_all_at_once(tmp_path: Path) -> None:
    text = (
        "section,row,number,price,blocked\n"
        "A,1,1,12.50,\n"
        "A,1,2,-5,maybe\n"
        "A,1,1,5,no\n"
        "A,1\n"
        ",1,7,5,\n"
        "A,1,8,9999999999999,\n"
        "A,1,9,99999999999999999999999999999999,\n"
        "A b,1,1,5,no\n"
    )
    assert faults(tmp_path, "evt.csv", text) == (
        "line 2: price: '12.50' is not a whole number of minor units",
        "line 3: price: '-5' is not a whole number of minor units",
        "line 3: blocked: 'maybe' is neither true nor false",
        "line 4: seat_id: 'A-1-1' is on line 2 already",
        "line 5: has 2 cells, the header 5",
        "line 6: section: '' is not 1 to 64 printable characters",
        "line 7: price: 9999999999999 is not 0 to 1000000000000 minor units",
        "line 8: price: '99999999999999999999999999999999' is not a whole number of minor units",
        "line 9: seat_id: 'A b-1-1' is not 1 to 64 letters, digits, '.', '_' or '-'",
    )


def test_a_number_twice_in_a_row_is_a_fault_even_with_two_ids(tmp_path: Path) -> None:
    text = "seat_id,section,row,number,price\na,A,1,1,5\nb,A,1,1,5\n"
    assert faults(tmp_path, "evt.csv", text) == ("section A, row 1: number: '1' occurs twice",)


def test_faults_of_the_header_are_those_of_line_1(tmp_path: Path) -> None:
    assert faults(tmp_path, "evt.csv", "section,row,row,seat,price\nA,1,1,1,1\n") == (
        "line 1: there is no column number",
        "line 1: column 'row' occurs twice",
        "line 1: column 'seat' is not known",
    )
    assert len(faults(tmp_path, "evt.csv", "")) == 4


def test_broken_quotes_name_their_line(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "evt.csv", 'section,row,number,price\nA,1,1,"5\n')
    assert fault.startswith("line ")


def test_a_file_without_seats_is_refused(tmp_path: Path) -> None:
    assert faults(tmp_path, "evt.csv", "section,row,number,price\n") == ("sections: there are none",)


def test_a_csv_file_is_read_no_further_than_a_venue_may_reach(tmp_path: Path) -> None:
    lines = [f"{n},A,{n // 1000},{n},5" for n in range(MAX_SEATS_PER_EVENT + 1)]
    text = "\n".join(["seat_id,section,row,number,price", *lines, "broken"])
    assert faults(tmp_path, "evt.csv", text) == ("line 200002: more than 200000 seats",)


def test_json_gives_sections_of_rows_of_seats(tmp_path: Path) -> None:
    plan = read(tmp_path, "any.json", JSON)
    assert (plan.event_id, plan.name, plan.currency) == ("evt_1", "A concert", "EUR")
    assert plan.sections[0].rows[0].seats == (
        SeatPlan(SeatId("front.1"), "1", 120_000),
        SeatPlan(SeatId("A-1-2"), "2", 120_000, blocked=True),
    )


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('"price": 120000', '"price": 120.5', "$.sections[0].rows[0].seats[0].price"),
        ('"price": 120000', '"price": "5"', "$.sections[0].rows[0].seats[0].price"),
        ('"number": "1", ', "", "number"),
        ('"blocked"', '"sold"', "sold"),
        ('"EUR"', "null", "$.currency"),
        ("}]}]}]}", "", "evt.json: Input data was truncated"),
    ],
)
def test_json_faults_name_their_place(tmp_path: Path, old: str, new: str, path: str) -> None:
    (fault,) = faults(tmp_path, "evt.json", JSON.replace(old, new, 1))
    assert path in fault


def test_json_faults_of_the_venue_are_all_reported(tmp_path: Path) -> None:
    text = JSON.replace("evt_1", "evt 1").replace("120000", "-1")
    assert len(faults(tmp_path, "evt.json", text)) == 3


def test_other_files_are_refused(tmp_path: Path) -> None:
    assert faults(tmp_path, "venue.xlsx", "") == ("venue.xlsx: .xlsx is neither .csv nor .json",)
    assert faults(tmp_path, "venue", "") == ("venue: no ending is neither .csv nor .json",)
    with pytest.raises(VenueError, match=r"none\.csv: No such file"):
        read_plan(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(CSV.encode() + b"\xe9")
    with pytest.raises(VenueError, match="not UTF-8 at byte"):
        read_plan(tmp_path / "latin.csv")
    with (tmp_path / "large.csv").open("wb") as large:
        large.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(VenueError, match="larger than 67108864 bytes"):
        read_plan(tmp_path / "large.csv")
