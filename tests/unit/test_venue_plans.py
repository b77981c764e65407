"""What a venue may look like, and how all its faults are reported at once."""

from dataclasses import replace

import pytest
from tests.support.venues import venue

from reservation_api.adapters.sqlite.inventory_plan import (
    MAX_LISTED_FAULTS,
    MAX_PRICE,
    MAX_SEATS_PER_EVENT,
    MAX_SEATS_PER_ROW,
)
from reservation_api.adapters.sqlite.venues import (
    Grid,
    RowPlan,
    SeatPlan,
    SectionPlan,
    VenueError,
    VenuePlan,
    demo_plan,
    grid_plan,
)
from reservation_api.domain.values import EventId, SeatId

SEAT = SeatPlan(SeatId("A-1-1"), "1", 100)


def plan_of(*seats: SeatPlan) -> VenuePlan:
    return VenuePlan(EventId("evt"), "E", "KRW", (SectionPlan("A", (RowPlan("1", seats),)),))


def faults_of_seat(seat: SeatPlan) -> tuple[str, ...]:
    with pytest.raises(VenueError) as refusal:
        plan_of(seat)
    return refusal.value.faults


def test_all_faults_are_reported_at_once() -> None:
    row = RowPlan("", (SeatPlan(SeatId("a b"), "1", -1), SEAT, SEAT))
    with pytest.raises(VenueError) as refusal:
        VenuePlan(
            EventId("evt 1"),
            "",
            "won",
            (SectionPlan("A", (row, RowPlan("2", ()), RowPlan("2", ()))), SectionPlan("A", ())),
        )
    assert len(refusal.value.faults) == 14
    assert str(refusal.value) == "\n".join(refusal.value.faults)
    text = str(refusal.value)
    for fault in (
        "event_id: 'evt 1'",
        "name:",
        "currency: 'won'",
        "section: 'A' occurs twice",
        "seat_id: 'A-1-1' occurs twice",
        "section A: has no rows",
        "section A: row: '2' occurs twice",
        "section A, row 2: has no seats",
        "section A, row : row: ''",
        "section A, row : number: '1' occurs twice",
        "section A, row : seat_id: 'a b'",
        "section A, row : price: -1",
    ):
        assert fault in text


def test_a_report_of_faults_is_bounded() -> None:
    seats = tuple(SeatPlan(SeatId(f"s{n}"), str(n), -1) for n in range(MAX_LISTED_FAULTS + 1))
    with pytest.raises(VenueError) as refusal:
        plan_of(*seats)
    assert len(refusal.value.faults) == MAX_LISTED_FAULTS + 1
    assert refusal.value.faults[-1] == "and more faults"


def test_a_venue_without_sections_is_refused() -> None:
    with pytest.raises(VenueError, match="sections: there are none"):
        VenuePlan(EventId("evt"), "E", "KRW", ())


@pytest.mark.parametrize("event_id", ["", "a.b", "a" * 65, "évt", "evt\n"])
def test_event_ids_are_bounded(event_id: str) -> None:
    with pytest.raises(VenueError, match="event_id"):
        replace(plan_of(SEAT), event_id=EventId(event_id))


@pytest.mark.parametrize("seat_id", ["", "a b", "a" * 65, "é", "a/b"])
def test_seat_ids_are_bounded(seat_id: str) -> None:
    (fault,) = faults_of_seat(replace(SEAT, seat_id=SeatId(seat_id)))
    assert "seat_id" in fault


@pytest.mark.parametrize("price", [-1, MAX_PRICE + 1])
def test_prices_are_bounded(price: int) -> None:
    (fault,) = faults_of_seat(replace(SEAT, price=price))
    assert "price" in fault


@pytest.mark.parametrize("number", ["", "x" * 65, "1\t"])
def test_numbers_are_bounded(number: str) -> None:
    (fault,) = faults_of_seat(replace(SEAT, number=number))
    assert "number" in fault


@pytest.mark.parametrize("currency", ["", "krw", "KRWW", "₩"])
def test_currencies_are_three_letters(currency: str) -> None:
    with pytest.raises(VenueError, match="currency"):
        replace(plan_of(SEAT), currency=currency)


def test_a_free_seat_and_the_dearest_one_are_fine() -> None:
    assert plan_of(replace(SEAT, price=0)).seat_count == 1
    assert plan_of(replace(SEAT, price=MAX_PRICE)).seat_count == 1


def test_rows_are_bounded() -> None:
    assert venue({"A": ["." * MAX_SEATS_PER_ROW]}).seat_count == MAX_SEATS_PER_ROW
    with pytest.raises(VenueError, match="more than"):
        venue({"A": ["." * (MAX_SEATS_PER_ROW + 1)]})


def test_venues_are_bounded() -> None:
    rows = MAX_SEATS_PER_EVENT // MAX_SEATS_PER_ROW
    with pytest.raises(VenueError, match="seats: more than"):
        venue({"A": ["." * MAX_SEATS_PER_ROW] * rows, "B": ["."]})


def test_a_grid_numbers_rows_and_seats() -> None:
    plan = grid_plan(EventId("evt"), "E", "EUR", Grid({"A": 300, "B": 200}, rows=2, seats_per_row=3))
    assert [section.section for section in plan.sections] == ["A", "B"]
    assert plan.sections[1].rows[1] == RowPlan(
        "2", tuple(SeatPlan(SeatId(f"B-2-{n}"), str(n), 200) for n in (1, 2, 3))
    )


@pytest.mark.parametrize(
    "grid", [Grid({}, 1, 1), Grid({"A": 1}, 0, 1), Grid({"A": 1}, 1, 0), Grid({"A": 1}, -1, -1)]
)
def test_an_empty_grid_is_refused(grid: Grid) -> None:
    with pytest.raises(VenueError):
        grid_plan(EventId("evt"), "E", "KRW", grid)


def test_a_grid_too_large_is_refused_before_it_is_made() -> None:
    with pytest.raises(VenueError, match="more than"):
        grid_plan(EventId("evt"), "E", "KRW", Grid({"A": 1}, 10**9, 10**9))


def test_the_demo_event_has_two_sections_of_ten_rows_of_twenty_seats() -> None:
    plan = demo_plan()
    assert (plan.event_id, plan.currency, plan.seat_count) == ("evt_demo", "KRW", 400)
    assert [len(section.rows) for section in plan.sections] == [10, 10]
    assert plan.sections[0].rows[0].seats[0] == SeatPlan(SeatId("A-1-1"), "1", 120_000)
    assert plan.sections[1].rows[9].seats[19] == SeatPlan(SeatId("B-10-20"), "20", 80_000)
