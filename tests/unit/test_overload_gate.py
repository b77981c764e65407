"""The gate before a server in computed time (tests/support/overload.py), whatever this machine does."""

from collections.abc import Callable
from itertools import chain, count

import pytest
from tests.support.overload import CAPACITY, Arrival, SimulatedServer, p95, steady

from reservation_api.config.tree import OverloadConfig
from reservation_api.entrypoints.overload.gate import MIN_ARRIVALS, WINDOW_SECONDS, Gate

PROMISE_SECONDS = 0.120
"""P95 of what is let in (document, target performance)."""
SETTLED = 3.0
"""Seconds after which nothing of the beginning is left."""
SETTINGS = OverloadConfig()


@pytest.mark.parametrize("times", [1.3, 2, 4])
def test_beyond_saturation_what_is_let_in_is_served_in_time_and_hardly_less_of_it(times: float) -> None:
    server = SimulatedServer()
    server.run(steady(times * CAPACITY, 0, 10))
    latencies = server.latencies(after=SETTLED)
    assert p95(latencies) < PROMISE_SECONDS
    cost_of_refusals = (times - 1) / 20
    assert len(latencies) / (10 - SETTLED) >= (0.95 - cost_of_refusals) * CAPACITY
    assert len(server.served) + len(server.shed) == round(times * CAPACITY * 10)


def test_without_the_gate_nobody_would_be_served_in_time() -> None:
    """What the test above would be worth if the simulation had no queue."""
    server = SimulatedServer(OverloadConfig(target_wait_seconds=1e9, max_in_flight=10**6))
    server.run(steady(2 * CAPACITY, 0, 3))
    assert server.latencies(after=1)[0] > PROMISE_SECONDS


def test_the_limit_ends_where_the_server_can_follow_whether_it_began_above_or_below() -> None:
    ends = []
    for begins_low in (False, True):
        server = SimulatedServer()
        if begins_low:
            for number in range(10):  # what stalls again and again is let have little
                server.stall(0.3 * number, 0.25)
        server.run(steady(2 * CAPACITY, 0, 12))
        ends.append(server.limit_between(6, 12))
    above, below = ends
    assert above == pytest.approx(below, rel=0.15)
    # The waiting that is allowed, and what requests take without any, by Little's law.
    can_follow = CAPACITY * (SETTINGS.target_wait_seconds + 0.006)
    assert 0.7 * can_follow < above < 2 * can_follow


@pytest.mark.parametrize("share", [0.05, 0.5, 0.8, 0.95])
def test_below_saturation_nobody_is_refused(share: float) -> None:
    server = SimulatedServer()
    server.run(steady(share * CAPACITY, 0, 5))
    assert server.shed == []


def test_a_slow_dependency_is_no_overload() -> None:
    slow = Arrival(0, dependency_seconds=0.9)
    server = SimulatedServer()
    server.run(chain(steady(0.3 * CAPACITY, 0, 5), steady(0.3 * CAPACITY, 1, 5, slow)))
    assert server.shed == []
    assert server.gate.limit == SETTINGS.max_in_flight


def test_more_than_the_highest_are_never_let_in_however_idle_the_process_is() -> None:
    """A dependency that hangs holds them all."""
    server = SimulatedServer()
    server.run(steady(0.5 * CAPACITY, 0, 4, Arrival(0, dependency_seconds=60)))
    assert len(server.served) == SETTINGS.max_in_flight * (1 - SETTINGS.reserved_share)


def test_a_short_stall_refuses_nobody() -> None:
    server = SimulatedServer()
    server.stall(2, 0.15)
    server.run(steady(0.5 * CAPACITY, 0, 5))
    assert server.shed == []


def test_after_a_long_stall_everybody_is_let_in_again() -> None:
    server = SimulatedServer()
    server.stall(2, 2.0)
    server.run(steady(0.6 * CAPACITY, 0, 15))
    assert [arrival for arrival in server.shed if arrival.at > 6] == []
    assert server.gate.limit == SETTINGS.max_in_flight


def test_after_an_overload_everybody_is_let_in_again() -> None:
    server = SimulatedServer()
    server.run(chain(steady(3 * CAPACITY, 0, 4), steady(0.7 * CAPACITY, 4, 14)))
    assert [arrival for arrival in server.shed if arrival.at > 5] == []
    assert server.gate.limit == SETTINGS.max_in_flight


def test_who_is_about_to_pay_comes_before_who_looks() -> None:
    """All the time but for the moments after the limit has fallen, in which those before fill it."""
    server = SimulatedServer()
    looks, pays = steady(1.8 * CAPACITY, 0, 10), steady(0.2 * CAPACITY, 0, 10, Arrival(0, urgent=True))
    server.run(chain(looks, pays))
    refused = [arrival for arrival in server.shed if arrival.urgent and arrival.at > SETTLED]
    assert len(refused) < 0.005 * 0.2 * CAPACITY * (10 - SETTLED)
    assert len([arrival for arrival in server.shed if not arrival.urgent]) > 5 * CAPACITY


def test_urgent_requests_alone_are_bounded_too() -> None:
    server = SimulatedServer()
    server.run(steady(2 * CAPACITY, 0, 8, Arrival(0, urgent=True)))
    assert p95(server.latencies(after=SETTLED)) < PROMISE_SECONDS
    assert server.gate.shed_urgent == len(server.shed) > 5 * CAPACITY


def test_waiting_for_the_store_counts_as_waiting_here() -> None:
    """The event loop is idle all the while: only the store's own line tells."""
    per_second = 400.0
    server = SimulatedServer()
    server.run(steady(2 * per_second, 0, 12, Arrival(0, store_seconds=1 / per_second)))
    assert p95(server.latencies(after=SETTLED)) < PROMISE_SECONDS
    assert len(server.latencies(after=SETTLED)) >= 0.9 * per_second * (12 - SETTLED)


def test_where_there_is_one_place_it_is_for_anybody() -> None:
    gate = Gate(OverloadConfig(min_in_flight=1, max_in_flight=1, reserved_share=0.5))
    assert not gate.is_full()
    gate.enter()
    assert gate.is_full(urgent=True)


def gate_for(requests: int) -> tuple[Gate, list[Callable[[], None]]]:
    """Make a gate for so many, in a loop that does what is in the list when the test says so."""
    ready: list[Callable[[], None]] = []
    settings = OverloadConfig(min_in_flight=requests, max_in_flight=requests, reserved_share=0.0)
    return Gate(settings, after_reading=ready.append), ready


def test_a_request_that_waits_for_nothing_is_there_until_its_turn_ends() -> None:
    """They are gone before the next one is looked at; by those under way alone there would be no limit."""
    gate, ready = gate_for(4)
    admitted = [gate.admit(urgent=False) for _ in range(6)]
    assert admitted == [True] * 4 + [False] * 2
    ready.pop()()  # they have had their turn: what is read now is of the next
    assert not gate.is_full()
    admitted = [gate.admit(urgent=False) for _ in range(6)]
    assert admitted == [True] * 4 + [False] * 2


def test_a_handful_of_requests_in_a_window_say_nothing() -> None:
    ready: list[Callable[[], None]] = []
    seconds = count()  # each look at the clock is late
    gate = Gate(SETTINGS, clock=lambda: float(next(seconds)), after_reading=ready.append)
    limits = []
    for _ in range(2 * MIN_ARRIVALS):
        assert gate.admit(urgent=True)
        ready.pop()()
        ready.pop()()
        limits.append(gate.limit)
    assert limits == [SETTINGS.max_in_flight] * (2 * MIN_ARRIVALS - 1) + [SETTINGS.min_in_flight]


TARGET = SETTINGS.target_wait_seconds


@pytest.mark.parametrize(
    ("admitted", "shed", "left", "waited", "is_late"),
    [
        pytest.param(20, 0, 0, 18 * TARGET, False, id="they wait still, each for a part of it"),
        pytest.param(20, 0, 0, 22 * TARGET, True, id="each for too long"),
        pytest.param(0, 20, 20, 18 * TARGET, False, id="those who left have waited, and nobody came"),
        pytest.param(0, 20, 20, 22 * TARGET, True, id="they have waited for too long"),
        pytest.param(10, 90, 0, 11 * TARGET, True, id="who was turned away has waited for nothing"),
    ],
)
def test_the_stores_queue_is_shared_by_those_who_were_let_in(
    admitted: int,
    shed: int,
    left: int,
    waited: float,
    is_late: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    now = waited_so_far = 0.0
    ready: list[Callable[[], None]] = []
    gate = Gate(SETTINGS, lambda: waited_so_far, lambda: now, ready.append)
    for _ in range(3 * left):
        gate.enter()
    for _ in range(3):  # the first window began before they came; twice late is a queue
        if gate.limit < SETTINGS.max_in_flight:
            break
        now += WINDOW_SECONDS * 2
        for _ in range(admitted):
            assert gate.admit(urgent=True)
            gate.enter()
        for _ in range(shed):
            gate.turn_away(urgent=False)
        for _ in range(left):
            gate.leave()
        waited_so_far += waited
        ready.pop()()
        ready.pop()()
    assert (gate.limit < SETTINGS.max_in_flight) == is_late


def test_a_turn_ends_once_whether_another_follows_or_not() -> None:
    """The end that was arranged for the first must not end the second."""
    gate, ready = gate_for(2)
    assert gate.admit(urgent=False)
    ready.pop()()
    (end_of_first,) = ready
    assert [gate.admit(urgent=False) for _ in range(3)] == [True, True, False]
    end_of_first()
    assert gate.is_full()
    ready.pop()()
    ready.pop()()
    assert not gate.is_full()


def test_after_a_pause_nobody_is_taken_for_present_who_has_left() -> None:
    gate, ready = gate_for(4)
    for _ in range(4):
        assert gate.admit(urgent=False)
        gate.enter()
    ready.pop()()
    assert not gate.admit(urgent=False)
    for _ in range(4):
        gate.leave()
    ready.pop()()
    assert gate.admit(urgent=False)
