import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation_api.config.tree import RateLimitConfig
from reservation_api.domain.values import UserId
from reservation_api.entrypoints.http.refusals import TooManyRequestsError
from reservation_api.entrypoints.overload.rate_limit import MAX_SUBJECTS, RateLimit

ALICE, BOB = UserId("alice"), UserId("bob")
LIMITS = st.builds(RateLimitConfig, st.integers(1, 1000), st.integers(1, 100))
PAUSES = st.lists(st.floats(0, 2) | st.just(0.0), max_size=200)


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0
        """A machine that has been up for days: fractions are coarser there."""

    def __call__(self) -> float:
        return self.now


def is_let_in(rates: RateLimit, subject: UserId = ALICE) -> bool:
    try:
        rates.take(subject)
    except TooManyRequestsError:
        return False
    return True


@given(LIMITS, PAUSES)
def test_no_more_than_the_burst_and_the_rate_get_in_in_any_time(
    settings: RateLimitConfig, pauses: list[float]
) -> None:
    time = Time()
    rates, came = RateLimit(settings, time), []
    for pause in pauses:
        time.now += pause
        if is_let_in(rates):
            came.append(time.now)
    for begin, first in enumerate(came):
        for end, last in enumerate(came[begin:], start=begin):
            assert end - begin + 1 <= settings.burst + settings.requests_per_second * (last - first) + 0.01


@given(LIMITS, PAUSES)
def test_who_never_asks_faster_than_the_rate_is_never_refused(
    settings: RateLimitConfig, pauses: list[float]
) -> None:
    time = Time()
    rates = RateLimit(settings, time)
    for pause in pauses:
        time.now += pause + 1 / settings.requests_per_second
        assert is_let_in(rates)


@given(LIMITS, st.integers(0, 50))
def test_who_waits_as_long_as_told_gets_in_and_not_much_sooner(settings: RateLimitConfig, more: int) -> None:
    time = Time()
    rates = RateLimit(settings, time)
    for _ in range(settings.burst):
        rates.take(ALICE)
    for _ in range(1 + more):  # refusals take nothing
        with pytest.raises(TooManyRequestsError) as refused:
            rates.take(ALICE)
    wait_seconds: float = refused.value.data["retry_after_seconds"]
    begin = time.now
    time.now = begin + wait_seconds * 0.9
    assert not is_let_in(rates)
    time.now = begin + wait_seconds + 1e-6
    assert is_let_in(rates)
    assert rates.refused == 2 + more


def test_one_subjects_haste_is_no_others_concern() -> None:
    rates = RateLimit(RateLimitConfig(1, 2), Time())
    assert [is_let_in(rates) for _ in range(3)] == [True, True, False]
    assert is_let_in(rates, BOB)


def test_memory_is_bounded_and_those_longest_away_are_forgotten_first() -> None:
    rates = RateLimit(RateLimitConfig(1, 1), Time(), max_subjects=10)
    for number in range(1_000):
        rates.take(UserId(f"user-{number}"))
        is_let_in(rates, ALICE)  # always there, so never forgotten
        assert rates.remembered <= 10
    assert not is_let_in(rates, ALICE)
    assert not is_let_in(rates, UserId("user-999"))
    assert is_let_in(rates, UserId("user-0"))


def test_who_has_been_away_for_a_while_is_remembered() -> None:
    rates = RateLimit(RateLimitConfig(1, 1), Time(), max_subjects=10)
    rates.take(ALICE)
    for number in range(6):
        rates.take(UserId(f"user-{number}"))
    assert not is_let_in(rates, ALICE)


def test_a_hundred_thousand_subjects_are_remembered() -> None:
    rates = RateLimit(RateLimitConfig(1, 1), Time())
    half = MAX_SUBJECTS // 2
    for number in range(half):
        rates.take(UserId(f"user-{number}"))
    assert not any(is_let_in(rates, UserId(f"user-{number}")) for number in range(0, half, 1000))


def test_a_rate_of_nothing_is_no_limit() -> None:
    rates = RateLimit(RateLimitConfig(0, 1), Time())
    for _ in range(1_000):
        rates.take(ALICE)
    assert (rates.refused, rates.remembered) == (0, 0)
