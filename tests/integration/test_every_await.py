"""At each await of each command: let another command through, or any fault happen; the invariants hold.

The histories of test_invariants_under_faults are random; these are all the short ones.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from zlib import crc32

import pytest
from tests.support.faults import DECLINED, Fault
from tests.support.runtimes import EVERY_CASE, UNDER_FAULTS
from tests.support.simulation import Call, Faults, Simulation

from reservation_api.domain.reservation import Status
from reservation_api.ports.outbox import OutboxType

FIRST, SECOND = 0, 1
NEVER = 99
"""No command makes so many calls."""

Action = Callable[[Simulation, int, Faults], None]


def _confirm(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.move(at, "confirm", f"confirm-{at}", 0, (f"pi_{at}",), faults)


def _confirm_declined(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.move(at, "confirm", f"declined-{at}", 0, (DECLINED,), faults)


def _confirm_with_used_payment(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.hold(at, "alice", "other seats", [5], {})
    simulation.move(at, "confirm", "other confirm", 0, ("pi_used",), {})
    simulation.move(at, "confirm", f"used-{at}", 0, ("pi_used",), faults)


def _cancel(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.move(at, "cancel", f"cancel-{at}", 0, (), faults)


def _extend(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.move(at, "extend", f"extend-{at}", 0, (60,), faults)


def _first_hold(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.hold(at, "alice", "first key", [1, 2], faults)


def _hold_again(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.hold(at, "alice", "another key", [1, 2], faults)


def _hold_twin(simulation: Simulation, at: int, faults: Faults) -> None:
    _first_hold(simulation, at, faults)


def _hold_other_body(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.hold(at, "alice", "first key", [3], faults)


def _hold_best(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.hold(at, "bob", "best key", 3, faults)


def _expire(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.time_passes(61)
    simulation.expiry_runs(at, faults)


def _inventory_expires(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.time_passes(119.5)
    simulation.hold(at, "bob", "late buyer", [1, 2], faults)


def _relay(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.time_passes(6)
    for kind in OutboxType:
        simulation.relay_runs(at, kind, faults)


def _the_same_again(simulation: Simulation, at: int, faults: Faults) -> None:
    simulation.retry(at, 0, faults)


def _key_is_reused(simulation: Simulation, at: int, faults: Faults) -> None:
    """Past the record's 5 minutes; what is paused is long dead then."""
    simulation.time_passes(311)
    simulation.retry(at, 0, faults)


COMMANDS: list[Action] = [
    _confirm,
    _confirm_declined,
    _confirm_with_used_payment,
    _cancel,
    _extend,
    _hold_again,
    _hold_twin,
    _hold_other_body,
    _hold_best,
]
OTHERS: list[Action] = [*COMMANDS, _expire, _inventory_expires, _relay, _the_same_again, _key_is_reused]


@contextmanager
def _after_a_hold(runtime: str, *, forgotten: bool = False) -> Iterator[Simulation]:
    """Alice holds seats 1 and 2; at the end the workers run and everything is checked."""
    simulation = Simulation(UNDER_FAULTS[runtime])
    try:
        if not forgotten:
            _first_hold(simulation, FIRST, {})
        yield simulation
        simulation.check()
    finally:
        simulation.close()


def _name(action: Action) -> str:
    return action.__name__.strip("_")


@cache
def _calls_made(command: Action, *, forgotten: bool = False) -> int:
    """Count the port calls of an undisturbed command: no fault past the last of them ever strikes."""
    with _after_a_hold("sqlite", forgotten=forgotten) as simulation:
        command(simulation, FIRST, {NEVER: Fault.REFUSED})
    return max(plan.calls for plan in simulation.plans if plan.faults)


def _calls(runtime: str, calls_made: int, *case: Action | Fault) -> Sequence[int]:
    """Every call, and one past the end; over a network only one call, and another one in each case."""
    if runtime in EVERY_CASE:
        return range(calls_made + 1)
    names = [part.name if isinstance(part, Fault) else part.__name__ for part in case]
    return [crc32(" ".join(names).encode()) % calls_made]


@pytest.mark.parametrize("runtime", UNDER_FAULTS)
@pytest.mark.parametrize("other", OTHERS, ids=_name)
@pytest.mark.parametrize("command", COMMANDS, ids=_name)
def test_another_command_between_any_two_awaits(runtime: str, command: Action, other: Action) -> None:
    for call in _calls(runtime, _calls_made(command), command, other):
        with _after_a_hold(runtime) as simulation:
            command(simulation, FIRST, {call: Fault.PAUSED})
            other(simulation, SECOND, {})
            simulation.check()
            simulation.a_paused_process_goes_on(0)


@pytest.mark.parametrize("runtime", UNDER_FAULTS)
@pytest.mark.parametrize(
    "fault", [fault for fault in Fault if fault is not Fault.PAUSED], ids=lambda f: f.name
)
@pytest.mark.parametrize("command", [*COMMANDS, _expire, _relay], ids=_name)
def test_any_fault_at_any_await_and_the_client_tries_again(
    runtime: str, command: Action, fault: Fault
) -> None:
    for call in _calls(runtime, _calls_made(command), command, fault):
        with _after_a_hold(runtime) as simulation:
            command(simulation, FIRST, {call: fault})
            simulation.check()
            simulation.retry(SECOND, 0, {})
            simulation.a_late_call_arrives(0)
            simulation.check()
            simulation.retry(SECOND, 0, {})


@pytest.mark.parametrize("runtime", UNDER_FAULTS)
@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
def test_a_first_hold_that_fails_and_a_retry_that_overtakes_it(runtime: str, fault: Fault) -> None:
    for call in _calls(runtime, _calls_made(_first_hold, forgotten=True), fault):
        for seconds in (0.0, 1.0, 59.0, 61.0, 118.0):
            with _after_a_hold(runtime, forgotten=True) as simulation:
                _first_hold(simulation, FIRST, {call: fault})
                simulation.time_passes(seconds)
                simulation.retry(SECOND, 0, {})
                _cancel(simulation, SECOND, {})
                simulation.a_late_call_arrives(0)
                simulation.a_paused_process_goes_on(0)
                simulation.hold(SECOND, "bob", "bobs", [1, 2], {})


@pytest.mark.parametrize("runtime", UNDER_FAULTS)
def test_an_undisturbed_confirm_sells_and_its_retry_is_told_the_same(runtime: str) -> None:
    with _after_a_hold(runtime) as simulation:
        _confirm(simulation, FIRST, {})
        (reservation,) = simulation.world().reservations
        assert reservation.status is Status.CONFIRMED
        first = simulation.answers["alice", "confirm-0"]
        simulation.start(
            SECOND, Call("confirm", "alice", "confirm-0", (reservation.reservation_id, "pi_0")), {}
        )
        again = simulation.answers["alice", "confirm-0"][1]
        assert again.replayed
        assert again.order == first[1].order


@pytest.mark.parametrize("runtime", UNDER_FAULTS)
def test_seats_of_an_id_about_to_be_abandoned_stay_with_the_twin_that_commits_it(runtime: str) -> None:
    with _after_a_hold(runtime) as simulation:
        simulation.time_passes(309)
        simulation.hold(
            FIRST, "alice", "first key", [3, 4], {2: Fault.PAUSED}
        )  # refused: the key is [1, 2]'s
        simulation.time_passes(2)
        simulation.retry(SECOND, 0, {})  # the key is free again, and so is the id
        simulation.a_paused_process_goes_on(0)
        simulation.fast_path_runs(FIRST, {})
        simulation.hold(SECOND, "bob", "bobs key", [3, 4], {})
        simulation.check()
        holders = [r.user_id for r in simulation.world().reservations if "A-1-3" in r.seat_ids]
        assert holders == ["alice"]


@pytest.mark.parametrize("runtime", UNDER_FAULTS)
def test_an_extended_hold_keeps_its_seats_for_as_long_as_it_lasts(runtime: str) -> None:
    with _after_a_hold(runtime) as simulation:
        simulation.move(FIRST, "extend", "far", 0, (300,), {})
        for _ in range(4):
            simulation.time_passes(59)
            simulation.hold(SECOND, "bob", simulation.fresh(), [1, 2], {})
            simulation.check()
        holders = {r.user_id for r in simulation.world().reservations if r.is_live(simulation.clock.now())}
        assert holders == {"alice"}
