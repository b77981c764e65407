"""Use cases in random order, with random faults, on two processes whose clocks differ: the invariants hold.

Each command may be refused by any port, lose any answer, have any call arrive late, be paused before any
call while others go on, or die at any of its awaits. When all is over, the workers get their time, and
everything durable must make sense.
"""

import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from tests.support.faults import DECLINED, Fault
from tests.support.runtimes import EVERY_CASE, UNDER_FAULTS, Runtime
from tests.support.simulation import SEATS, Faults, Simulation

from reservation_api.ports.outbox import OutboxType

FRESH = ""
PROCESSES = [0, 1]
SUBJECTS = ["alice", "bob"]
KEYS = [FRESH, FRESH, FRESH, "k1", "k2"]
PAYMENTS = [FRESH, FRESH, FRESH, "pi_1", DECLINED]
PICKS = [0, 0, 0, 1, 2, 3]
EXTENSIONS = [5, 60, 300]
PASSING_SECONDS = [0.001, 1.0, 1.0, 6.0, 6.0, 31.0, 59.0, 62.0, 119.0, 299.0, 311.0]
MAX_CALLS = 6
"""No command makes more port calls than this without a race."""
HISTORIES = [(name, seed) for name in UNDER_FAULTS for seed in range(20 if name in EVERY_CASE else 3)]

at = st.sampled_from(PROCESSES)
pick = st.sampled_from(PICKS)
key = st.sampled_from(KEYS)
some_faults = st.dictionaries(st.integers(0, MAX_CALLS - 1), st.sampled_from(Fault), min_size=1, max_size=2)
faults = st.one_of(st.just({}), some_faults)
seats = st.one_of(st.integers(1, 3), st.lists(st.integers(1, SEATS), min_size=1, max_size=3, unique=True))


class Reservations(RuleBasedStateMachine):
    runtime: Runtime

    def __init__(self) -> None:
        super().__init__()
        self.simulation = Simulation(type(self).runtime)

    @rule(at=at, who=st.sampled_from(SUBJECTS), key=key, seats=seats, faults=faults)
    def hold(self, at: int, who: str, key: str, seats: list[int] | int, faults: Faults) -> None:
        self.simulation.hold(at, who, key or self.simulation.fresh(), seats, faults)

    @rule(at=at, key=key, pick=pick, payment=st.sampled_from(PAYMENTS), faults=faults)
    def confirm(self, at: int, key: str, pick: int, payment: str, faults: Faults) -> None:
        fresh = self.simulation.fresh
        self.simulation.move(at, "confirm", key or fresh(), pick, (payment or fresh(),), faults)

    @rule(at=at, key=key, pick=pick, faults=faults)
    def cancel(self, at: int, key: str, pick: int, faults: Faults) -> None:
        self.simulation.move(at, "cancel", key or self.simulation.fresh(), pick, (), faults)

    @rule(at=at, key=key, pick=pick, seconds=st.sampled_from(EXTENSIONS), faults=faults)
    def extend(self, at: int, key: str, pick: int, seconds: int, faults: Faults) -> None:
        self.simulation.move(at, "extend", key or self.simulation.fresh(), pick, (seconds,), faults)

    @rule(name=st.sampled_from(["confirm", "cancel", "extend"]), pick=pick)
    def a_stranger_tries(self, name: str, pick: int) -> None:
        self.simulation.a_stranger_tries(name, pick)

    @rule(at=at, pick=pick, faults=faults)
    def retry(self, at: int, pick: int, faults: Faults) -> None:
        self.simulation.retry(at, pick, faults)

    @rule(seconds=st.sampled_from(PASSING_SECONDS))
    def time_passes(self, seconds: float) -> None:
        self.simulation.time_passes(seconds)

    @rule(pick=pick)
    def a_paused_process_goes_on(self, pick: int) -> None:
        self.simulation.a_paused_process_goes_on(pick)

    @rule(pick=pick)
    def a_late_call_arrives(self, pick: int) -> None:
        self.simulation.a_late_call_arrives(pick)

    @rule(at=at, faults=faults)
    def fast_path_runs(self, at: int, faults: Faults) -> None:
        self.simulation.fast_path_runs(at, faults)

    @rule(at=at)
    def process_forgets_its_fast_path(self, at: int) -> None:
        self.simulation.process_forgets_its_fast_path(at)

    @rule(at=at, faults=faults)
    def expiry_runs(self, at: int, faults: Faults) -> None:
        self.simulation.expiry_runs(at, faults)

    @rule(at=at, kind=st.sampled_from(OutboxType), faults=faults)
    def relay_runs(self, at: int, kind: OutboxType, faults: Faults) -> None:
        self.simulation.relay_runs(at, kind, faults)

    @rule(at=at)
    def purge_runs(self, at: int) -> None:
        self.simulation.purge_runs(at)

    @invariant()
    def always(self) -> None:
        self.simulation.check()

    def teardown(self) -> None:
        self.simulation.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", UNDER_FAULTS)
def test_invariants_hold_in_short_histories_that_shrink(name: str) -> None:
    class OnRuntime(Reservations):
        runtime = staticmethod(UNDER_FAULTS[name])

    run_state_machine_as_test(
        OnRuntime,
        settings=settings(
            max_examples=100 if name in EVERY_CASE else 15,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize(("name", "seed"), HISTORIES)
def test_invariants_hold_in_long_histories(name: str, seed: int) -> None:
    chance = random.Random(seed)
    simulation = Simulation(UNDER_FAULTS[name])
    try:
        for _ in range(250):
            _something_happens(simulation, chance)
            simulation.check()
    finally:
        simulation.close()


def _something_happens(simulation: Simulation, chance: random.Random) -> None:  # noqa: C901, PLR0911 (a list)
    at, pick = chance.choice(PROCESSES), chance.choice(PICKS)
    key = chance.choice(KEYS) or simulation.fresh()
    faults = _faults(chance)
    match chance.randrange(20):
        case 0 | 1 | 2 | 3:
            named = chance.sample(range(1, SEATS + 1), 2)
            wanted: list[int] | int = named if chance.random() < 0.5 else chance.randint(1, 3)
            return simulation.hold(at, chance.choice(SUBJECTS), key, wanted, faults)
        case 4 | 5 | 6:
            payment = chance.choice(PAYMENTS) or simulation.fresh()
            return simulation.move(at, "confirm", key, pick, (payment,), faults)
        case 7:
            return simulation.move(at, "cancel", key, pick, (), faults)
        case 8:
            return simulation.move(at, "extend", key, pick, (chance.choice(EXTENSIONS),), faults)
        case 9 | 10 | 11:
            return simulation.retry(at, pick, faults)
        case 12 | 13:
            return simulation.time_passes(chance.choice(PASSING_SECONDS))
        case 14:
            return simulation.a_paused_process_goes_on(pick)
        case 15:
            return simulation.a_late_call_arrives(pick)
        case 16:
            return simulation.expiry_runs(at, faults)
        case 17:
            return simulation.fast_path_runs(at, faults)
        case 18:
            return simulation.relay_runs(at, chance.choice(list(OutboxType)), faults)
        case _:
            return _something_rare(simulation, chance)


def _something_rare(simulation: Simulation, chance: random.Random) -> None:
    match chance.randrange(3):
        case 0:
            simulation.process_forgets_its_fast_path(chance.choice(PROCESSES))
        case 1:
            simulation.purge_runs(chance.choice(PROCESSES))
        case _:
            name = chance.choice(["confirm", "cancel", "extend"])
            simulation.a_stranger_tries(name, chance.choice(PICKS))


def _faults(chance: random.Random) -> Faults:
    count = chance.choice([0, 0, 1, 1, 2])
    return {chance.randrange(MAX_CALLS): chance.choice(list(Fault)) for _ in range(count)}
