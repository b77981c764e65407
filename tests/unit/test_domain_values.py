"""Money and instants."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import seat

from reservation_api.adapters.system_clock import SystemClock
from reservation_api.domain.values import (
    Money,
    Seat,
    SeatId,
    from_iso,
    to_iso,
    total_price,
    whole_milliseconds,
)

INSTANTS = st.datetimes(timezones=st.just(UTC))
AMOUNTS = st.integers(-(10**12), 10**12)


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_amounts_of_one_currency_add_up_in_any_order(a: int, b: int, c: int) -> None:
    won = [Money(amount, "KRW") for amount in (a, b, c)]
    assert won[0] + won[1] + won[2] == won[2] + won[0] + won[1] == Money(a + b + c, "KRW")


def test_amounts_of_two_currencies_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="can not add USD to KRW"):
        Money(1, "KRW") + Money(1, "USD")


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=10))
def test_the_total_is_the_sum_of_the_seats_prices(amounts: list[int]) -> None:
    seats = tuple(seat(f"A-1-{n}", amount) for n, amount in enumerate(amounts))
    assert total_price(seats) == Money(sum(amounts), "KRW")


def test_no_seats_have_no_price() -> None:
    with pytest.raises(ValueError, match="no seats"):
        total_price(())


def test_seats_in_two_currencies_have_no_total() -> None:
    dollars = Seat(SeatId("A-1-2"), "A", "1", "2", Money(1, "USD"))
    with pytest.raises(ValueError, match="USD"):
        total_price((seat(), dollars))


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC), "2026-11-23T12:00:00.000Z"),
        (datetime(2026, 11, 23, 12, 0, 0, 5_000, tzinfo=UTC), "2026-11-23T12:00:00.005Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC), "2026-01-02T03:04:05.999Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_written_to_the_millisecond_whole_seconds_too(instant: datetime, text: str) -> None:
    assert to_iso(instant) == text


@given(INSTANTS)
def test_every_instant_has_the_same_width(instant: datetime) -> None:
    assert len(to_iso(instant)) == len("YYYY-MM-DDTHH:MM:SS.mmmZ")


@given(INSTANTS)
def test_an_instant_reads_back_as_it_was_to_the_millisecond(instant: datetime) -> None:
    read = from_iso(to_iso(instant))
    assert read == whole_milliseconds(instant)
    assert read.tzinfo is UTC
    assert to_iso(read) == to_iso(instant)


@given(INSTANTS, INSTANTS)
def test_the_order_of_texts_is_the_order_of_times(one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))
    assert to_iso(earlier) <= to_iso(later)
    assert (to_iso(earlier) == to_iso(later)) == (whole_milliseconds(earlier) == whole_milliseconds(later))


@given(INSTANTS, st.integers(1, 10**6))
def test_a_millisecond_later_is_later_as_text(instant: datetime, milliseconds: int) -> None:
    earlier = min(instant, datetime(9999, 12, 31, tzinfo=UTC))
    assert to_iso(earlier) < to_iso(earlier + timedelta(milliseconds=milliseconds))


@pytest.mark.parametrize(
    "text", ["", "now", "2026-13-01T00:00:00.000Z", "2026-11-23T25:00:00.000Z", "12:00Z"]
)
def test_what_is_no_instant_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|must be in"):
        from_iso(text)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-23, 23))  # noqa: DTZ001
def test_whole_milliseconds_are_the_same_instant_in_utc_cut_not_rounded(naive: datetime, hours: int) -> None:
    instant = naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    cut = whole_milliseconds(instant)
    assert cut.tzinfo is UTC
    assert timedelta(0) <= instant - cut < timedelta(milliseconds=1)
    assert cut.microsecond % 1000 == 0


def test_the_clock_tells_whole_milliseconds_in_utc() -> None:
    before = datetime.now(UTC)
    told = [SystemClock().now() for _ in range(100)]
    assert all(instant.microsecond % 1000 == 0 and instant.tzinfo is UTC for instant in told)
    assert before - timedelta(milliseconds=1) < told[0] <= told[-1] <= datetime.now(UTC)
