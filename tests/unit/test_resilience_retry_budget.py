"""The retry budget: retries stay a small part of the calls, and a few are always allowed."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.test_resilience_virtual_time import ManualClock

from reservation_api.adapters.resilience.retry_budget import RetryBudget
from reservation_api.adapters.resilience.settings import RetryBudgetSettings


def make_budget(ratio: float = 0.2, floor: int = 0, window: int = 10) -> tuple[ManualClock, RetryBudget]:
    clock = ManualClock()
    settings = RetryBudgetSettings(token_ratio=ratio, min_retries_per_second=floor, window_seconds=window)
    return clock, RetryBudget("inventory", settings, clock)


def spent(budget: RetryBudget, tries: int = 10_000) -> int:
    return sum(budget.try_spend() for _ in range(tries))


def test_there_is_one_retry_for_so_many_calls() -> None:
    _, budget = make_budget(ratio=0.2)
    for _ in range(14):
        budget.record_call()
    assert spent(budget) == 2
    budget.record_call()
    assert spent(budget) == 1


def test_parts_of_tokens_add_up_to_whole_ones() -> None:
    _, budget = make_budget(ratio=0.29)
    for _ in range(100):
        budget.record_call()
    assert spent(budget) == 29


def test_a_ratio_is_taken_to_the_nearest_thousandth() -> None:
    _, budget = make_budget(ratio=0.0996)
    for _ in range(10):
        budget.record_call()
    assert spent(budget) == 1


def test_some_retries_a_second_are_allowed_without_any_calls() -> None:
    _, budget = make_budget(floor=3, window=10)
    assert spent(budget) == 30


def test_without_calls_and_without_a_floor_there_are_none() -> None:
    _, budget = make_budget()
    assert spent(budget) == 0


def test_calls_and_retries_are_forgotten_after_the_window() -> None:
    clock, budget = make_budget(ratio=0.5, floor=1, window=10)
    for _ in range(20):
        budget.record_call()
    assert spent(budget) == 20
    clock.advance(9)
    assert spent(budget) == 0
    clock.advance(1)
    assert spent(budget) == 10


def test_a_quiet_time_saves_nothing_up() -> None:
    clock, budget = make_budget(floor=3, window=10)
    clock.advance(100_000)
    assert spent(budget) == 30


def test_it_says_what_is_left_and_how_often_it_refused() -> None:
    clock, budget = make_budget(ratio=0.5, window=10)
    for _ in range(5):
        budget.record_call()
    budget.try_spend()
    metrics = budget.metrics()
    assert (metrics.calls, metrics.retries, metrics.retries_left, metrics.refused_retries) == (5, 1, 1, 0)
    assert spent(budget, tries=3) == 1
    assert budget.metrics().refused_retries == 2
    clock.advance(5)
    budget.try_spend()
    clock.advance(5)
    metrics = budget.metrics()
    assert (metrics.calls, metrics.retries, metrics.retries_left, metrics.refused_retries) == (0, 0, 0, 3)


def test_nothing_is_left_when_the_calls_are_forgotten_before_the_retries() -> None:
    clock, budget = make_budget(ratio=1.0, window=10)
    budget.record_call()
    clock.advance(9)
    budget.try_spend()
    clock.advance(1)
    assert budget.metrics().retries_left == 0


@given(
    ratio=st.integers(0, 1000),
    floor=st.integers(0, 2),
    window=st.integers(1, 4),
    history=st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 9.0]), st.booleans()), max_size=60),
)
def test_a_retry_is_allowed_exactly_when_the_window_pays_for_it(
    ratio: int, floor: int, window: int, history: list[tuple[float, bool]]
) -> None:
    clock, budget = make_budget(ratio / 1000, floor, window)
    calls: list[int] = []
    retries: list[int] = []
    for step, is_call in history:
        clock.advance(step)
        second = int(clock.now)
        if is_call:
            budget.record_call()
            calls.append(second)
            continue
        paid = floor * window * 1000 + ratio * sum(second - old < window for old in calls)
        due = 1000 * (1 + sum(second - old < window for old in retries))
        assert budget.try_spend() is (due <= paid)
        if due <= paid:
            retries.append(second)
