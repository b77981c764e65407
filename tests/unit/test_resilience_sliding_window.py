"""Both windows count as if they kept every call."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.test_resilience_virtual_time import ManualClock

from reservation_api.adapters.resilience.sliding_window import CountWindow, Outcome, TimeWindow

outcomes = st.sampled_from(Outcome)
steps = st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0, 1.75, 3.0, 7.0, 100.0])


def counted(kept: list[Outcome]) -> list[int]:
    return [kept.count(outcome) for outcome in Outcome]


@given(size=st.integers(1, 7), calls=st.lists(outcomes, max_size=40))
def test_a_count_window_is_the_last_calls(size: int, calls: list[Outcome]) -> None:
    window = CountWindow(size)
    for done, outcome in enumerate(calls, 1):
        window.record(outcome)
        assert window.counts[: len(Outcome)] == counted(calls[:done][-size:])


@given(
    size=st.integers(1, 7),
    start=st.sampled_from([0.0, 0.75, 1000.5]),
    history=st.lists(st.tuples(steps, outcomes), max_size=40),
)
def test_a_time_window_is_the_calls_of_the_last_whole_seconds(
    size: int, start: float, history: list[tuple[float, Outcome]]
) -> None:
    clock = ManualClock(start)
    window = TimeWindow(size, clock)
    calls: list[tuple[int, Outcome]] = []
    for step, outcome in history:
        clock.advance(step)
        kept = [(second, old) for second, old in calls if second > int(clock.now) - size]
        window.expire()
        assert window.counts == counted([old for _, old in kept])
        window.record(outcome)
        calls.append((int(clock.now), outcome))
        assert window.counts == counted([old for _, old in kept] + [outcome])


@given(st.lists(st.tuples(steps, outcomes), max_size=30))
def test_recording_forgets_what_is_old_without_being_asked_to(history: list[tuple[float, Outcome]]) -> None:
    clock = ManualClock()
    asked, unasked = TimeWindow(3, clock), TimeWindow(3, clock)
    for step, outcome in history:
        clock.advance(step)
        asked.expire()
        asked.record(outcome)
        unasked.record(outcome)
        assert asked.counts == unasked.counts


def test_however_long_nobody_called_forgetting_takes_no_longer_than_the_window_has_seconds() -> None:
    clock = ManualClock()
    window = TimeWindow(3, clock)
    window.record(Outcome.FAILURE)
    clock.advance(1e12)  # one by one they would take hours
    window.record(Outcome.SUCCESS)
    assert window.counts == counted([Outcome.SUCCESS])


def test_a_window_can_count_other_things() -> None:
    window = TimeWindow(1, ManualClock(), kinds=2)
    window.record(1)
    assert window.counts == [0, 1]
