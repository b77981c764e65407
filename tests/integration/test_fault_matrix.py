"""Every fault of the way to the inventory against every command: what is answered, written, and finished.

Real sockets and the product's own client, guard and server; the service's time is a fake clock's. The
deadline is real time. Nothing races with it here: late answers within it come 240 ms late under a deadline
that nobody misses, and those beyond it are let go when the caller has given up after the product's 250 ms.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus

import pytest
from tests.support.fault_proxy import Network
from tests.support.grpc_faults import Answers, Wired, finish_by_workers, wired
from tests.support.invariants import check_always
from tests.support.process import command

from reservation_api.adapters.resilience.settings import BreakerState, CircuitBreakerSettings
from reservation_api.application.command import Answer
from reservation_api.domain.errors import InventoryUnavailableError
from reservation_api.domain.reservation import HoldPolicy, Reservation, Status
from reservation_api.entrypoints.http.problems import KINDS
from reservation_api.ports.outbox import OutboxStatus, OutboxType
from reservation_api.ports.store import IdempotencyRecord

KEY, PAYMENT = "the key", "pi_1"
SEATS = ("A-1-1", "A-1-2")
WANTED = len(SEATS)
RESERVE, COMMIT, RELEASE = "ReserveSeat", "CommitReservation", "ReleaseHold"
HOLD_SECONDS, GRACE_SECONDS = HoldPolicy().hold_seconds, HoldPolicy().grace_seconds
EXTENSION_SECONDS = 60
SECONDS_UNTIL_A_WORKER_TAKES_OVER = 4
LONG_AFTER_SECONDS = 700
BREAKS_AT = CircuitBreakerSettings(
    sliding_window_size=10,
    minimum_number_of_calls=10,
    failure_rate_threshold=100,
    permitted_number_of_calls_in_half_open_state=1,
)
"""No cell of the matrix has so many failures."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and whether the inventory has done what it was asked; None: nobody can tell."""

    sentence: str
    is_done: bool | None
    network: Network = Network.SOUND
    answers: Answers = Answers.RIGHT
    takes_the_deadline: bool = False


REFUSED = Fault("the port is closed", is_done=False, network=Network.REFUSED)
BLACK_HOLE = Fault(
    "no call is ever answered", is_done=False, network=Network.BLACK_HOLE, takes_the_deadline=True
)
IN_TIME = Fault("answers come 240 ms late, within the deadline", is_done=True, network=Network.LATE)
TOO_LATE = Fault(
    "answers come after the deadline", is_done=None, network=Network.WITHHELD, takes_the_deadline=True
)
CUT = Fault("the connection is reset in the middle of the answer", is_done=True, network=Network.CUT)
LOST = Fault("the work is done and its answer lost", is_done=True, network=Network.LOST)
EXHAUSTED = Fault("the inventory says RESOURCE_EXHAUSTED", is_done=False, answers=Answers.EXHAUSTED)
INTERNAL = Fault("the inventory says INTERNAL, its work done", is_done=True, answers=Answers.INTERNAL)
MALFORMED = Fault("the reply is no message", is_done=True, answers=Answers.MALFORMED)
WRONG_SEATS = Fault("the reply names other seats", is_done=True, answers=Answers.WRONG_SEATS)


@dataclass(frozen=True)
class After:
    """What a command is answered, and what is durable when it and its fast path have ended."""

    sentence: str
    is_answered: bool
    """Otherwise it is InventoryUnavailableError: 503, and a retry is safe."""
    status: Status | None
    waiting: OutboxType | None = None
    """The one outbox row that is left."""
    is_extended: bool = False

    @property
    def has_intent(self) -> bool:
        return self.waiting is OutboxType.RECOVER_CONFIRM


HELD = After("is answered, the seats held", is_answered=True, status=Status.HOLD)
NOTHING = After("is unavailable, nothing written", is_answered=False, status=None)
ABANDONED = After("is unavailable, its id given up", is_answered=False, status=Status.ABANDONED)
SOLD = After("is answered, the seats sold", is_answered=True, status=Status.CONFIRMED)
INTENT = After(
    "is unavailable, its intent standing with a recovery row",
    is_answered=False,
    status=Status.HOLD,
    waiting=OutboxType.RECOVER_CONFIRM,
)
FREED = After("is answered, the seats free", is_answered=True, status=Status.CANCELLED)
FREED_LATER = After(
    "is answered, the release waiting",
    is_answered=True,
    status=Status.CANCELLED,
    waiting=OutboxType.RELEASE_SEATS,
)
LAPSED = After("happens, the seats free", is_answered=True, status=Status.EXPIRED)
LAPSED_LATER = After(
    "happens, the release waiting",
    is_answered=True,
    status=Status.EXPIRED,
    waiting=OutboxType.RELEASE_SEATS,
)
EXTENDED = After("is answered, the hold longer", is_answered=True, status=Status.HOLD, is_extended=True)
AS_BEFORE = After("is unavailable, the hold as before", is_answered=False, status=Status.HOLD)

COMMANDS = ("hold", "confirm", "cancel", "expire", "extend")
ROWS = {
    # fault      hold       confirm cancel       expire        extend
    REFUSED: (NOTHING, INTENT, FREED_LATER, LAPSED_LATER, AS_BEFORE),
    BLACK_HOLE: (NOTHING, INTENT, FREED_LATER, LAPSED_LATER, AS_BEFORE),
    IN_TIME: (HELD, SOLD, FREED, LAPSED, EXTENDED),
    TOO_LATE: (NOTHING, INTENT, FREED_LATER, LAPSED_LATER, AS_BEFORE),
    CUT: (NOTHING, INTENT, FREED_LATER, LAPSED_LATER, AS_BEFORE),
    LOST: (NOTHING, INTENT, FREED_LATER, LAPSED_LATER, AS_BEFORE),
    EXHAUSTED: (NOTHING, INTENT, FREED_LATER, LAPSED_LATER, AS_BEFORE),
    INTERNAL: (NOTHING, INTENT, FREED_LATER, LAPSED_LATER, AS_BEFORE),
    MALFORMED: (NOTHING, INTENT, FREED_LATER, LAPSED_LATER, AS_BEFORE),
    # A release frees what the id holds, whichever seats its reply names.
    WRONG_SEATS: (ABANDONED, INTENT, FREED, LAPSED, AS_BEFORE),
}
EXPECTED = {
    (fault, name): after for fault, row in ROWS.items() for name, after in zip(COMMANDS, row, strict=True)
}

SEATS_IN_THE_END = {
    # A hold that was not answered may leave its seats held until its client, or the inventory's expiry.
    "hold": {(0, 0), (WANTED, 0)},
    "confirm": {(0, WANTED)},
    "cancel": {(0, 0)},
    "expire": {(0, 0)},
    "extend": {(WANTED, 0)},
}
"""Held and sold, when the workers have finished."""
STATUSES_IN_THE_END = {
    "hold": {Status.HOLD},
    "confirm": {Status.CONFIRMED},
    "cancel": {Status.CANCELLED},
    "expire": {Status.EXPIRED, Status.HOLD},
    "extend": {Status.HOLD},
}
"""When the client has its answer; of an expired hold, the next one has the seats."""


class Cell:
    """One fault and one command, step by step."""

    def __init__(self, wires: Wired, name: str) -> None:
        self.wires = wires
        self.process = wires.process
        self.name = name
        self.reservation_id = ""

    @property
    def reservation(self) -> Reservation | None:
        reservations = self.wires.world.reservations
        assert len(reservations) <= 1
        return reservations[0] if reservations else None

    async def prepare(self) -> None:
        """Hold the seats if the command is about a hold, and let the fast path do its part."""
        if self.name != "hold":
            held = await self.process.hold("alice", "first", SEATS)
            assert held.reservation is not None
            self.reservation_id = held.reservation.reservation_id
            await self.process.run_fast_path()
        if self.name == "expire":
            self.wires.clock.advance(HOLD_SECONDS)
        assert not self.wires.world.outbox
        self.wires.relay.asked.clear()

    async def breaks(self, fault: Fault) -> None:
        if fault.takes_the_deadline:
            self.wires.runs_out_of_patience()
        self.wires.relay.answers = fault.answers
        await self.wires.proxy.breaks(fault.network)

    async def run(self) -> Answer | None:
        """Run the command, each time with the same key; expiry has no answer."""
        match self.name:
            case "hold":
                return await self.process.hold("alice", KEY, SEATS)
            case "confirm":
                return await self.process.confirm("alice", KEY, self.reservation_id, PAYMENT)
            case "cancel":
                return await self.process.cancel("alice", KEY, self.reservation_id)
            case "extend":
                return await self.process.extend("alice", KEY, self.reservation_id, EXTENSION_SECONDS)
        assert await self.process.expire.run_once() == 1
        return None

    async def is_answered(self) -> bool:
        try:
            await self.run()
        except InventoryUnavailableError:
            return False
        finally:
            sold = self.wires.relay.keys(COMMIT)
            assert len(sold) <= 1, f"a commit is never repeated by itself: {sold}"
            await self.process.run_fast_path()
        return True

    async def record(self) -> IdempotencyRecord | None:
        """Read what is on record for the key; the request's digest has no part in it."""
        key = command("alice", KEY).record_key
        return await self.process.ports.store.find_record(key, self.wires.clock.now())

    async def check(self, after: After) -> None:
        """What is written is as the table says."""
        check_always(self.wires.world, self.wires.clock.now())
        assert [entry.type for entry in self.wires.world.outbox] == ([after.waiting] if after.waiting else [])
        reservation = self.reservation
        assert (reservation and reservation.status) == after.status
        if reservation is not None:
            assert (reservation.intent is not None) is after.has_intent
            assert (reservation.extensions > 0) is after.is_extended
        record = await self.record()
        assert (record is not None) is (self.has_key and (after.is_answered or after.has_intent))
        if record is not None:
            assert (record.response_snapshot is not None) is after.is_answered

    @property
    def has_key(self) -> bool:
        return self.name != "expire"

    async def a_worker_meets_the_fault(self) -> None:
        """It is an outage to the worker: no attempt is counted, and nothing is given up."""
        self.wires.clock.advance(SECONDS_UNTIL_A_WORKER_TAKES_OVER)
        await self.process.run_workers()
        check_always(self.wires.world, self.wires.clock.now())
        for entry in self.wires.world.outbox:
            assert (entry.status, entry.attempts) == (OutboxStatus.PENDING, 0)

    async def finish(self) -> None:
        await finish_by_workers(self.wires)
        assert self.wires.relay.answers is Answers.RIGHT
        assert await self.wires.seats() in SEATS_IN_THE_END[self.name]

    def check_keys(self) -> None:
        """However often the inventory is asked to do something, it is asked with the same words."""
        for method in (RESERVE, COMMIT, RELEASE):
            ids = [key.partition(":")[0] for key in self.wires.relay.keys(method)]
            assert len(set(self.wires.relay.keys(method))) == len(set(ids)), method

    async def the_client_tries_again(self) -> None:
        """The same key gets one answer, now and later; of an expired hold, anybody gets the seats."""
        if self.name == "expire":
            await self.process.hold("bob", "bobs key", SEATS)
        else:
            self.check_keys()
            first = await self.run()
            assert first is not None
            if not first.replayed:
                self.check_keys()
            again = await self.run()
            assert again is not None
            assert again.replayed
            assert (again.as_of, again.reservation, again.order) == (
                first.as_of,
                first.reservation,
                first.order,
            )
        await self.process.run_fast_path()
        statuses = {r.status for r in self.wires.world.reservations} - {Status.ABANDONED}
        assert statuses == STATUSES_IN_THE_END[self.name]


def seats_after(fault: Fault, name: str, after: After) -> tuple[int, int]:
    """Say how many seats the inventory holds and has sold when the command has ended."""
    if name == "extend" or not fault.is_done:
        return (0, 0) if name == "hold" else (WANTED, 0)
    if after is ABANDONED:
        return (0, 0)
    return {"hold": (WANTED, 0), "confirm": (0, WANTED)}.get(name, (0, 0))


@pytest.fixture
async def wires(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wired]:
    folders = [tmp_path_factory.mktemp(name) for name in ("inventory", "service")]
    async with wired(folders, BREAKS_AT) as opened:
        yield opened


@pytest.mark.parametrize(
    ("fault", "name", "after"),
    [
        pytest.param(fault, name, after, id=f"{fault.sentence} - {name} {after.sentence}")
        for (fault, name), after in EXPECTED.items()
    ],
)
async def test_when(wires: Wired, fault: Fault, name: str, after: After) -> None:
    cell = Cell(wires, name)
    await cell.prepare()

    await cell.breaks(fault)
    assert await cell.is_answered() is after.is_answered
    await cell.check(after)
    if fault.is_done is not None:
        assert await wires.seats() == seats_after(fault, name, after)
    assert (wires.proxy.late_answers > 0) is (fault is IN_TIME)
    await cell.a_worker_meets_the_fault()
    wires.check_deadlines()

    await wires.heals()
    await cell.finish()
    await cell.the_client_tries_again()
    await finish_by_workers(wires)
    wires.clock.advance(LONG_AFTER_SECONDS)
    await finish_by_workers(wires)


async def test_seats_of_a_hold_that_nobody_asks_for_again_are_freed_by_the_inventory(wires: Wired) -> None:
    cell = Cell(wires, "hold")
    await cell.breaks(LOST)
    assert not await cell.is_answered()
    await wires.heals()
    wires.clock.advance(HOLD_SECONDS + GRACE_SECONDS - 1)
    await finish_by_workers(wires, seconds=0)
    assert await wires.seats() == (WANTED, 0)
    wires.clock.advance(1)
    assert await wires.seats() == (0, 0)


def test_what_is_unavailable_is_answered_with_503() -> None:
    assert KINDS[InventoryUnavailableError].status == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.parametrize("name", ["hold", "confirm", "extend"])
async def test_with_the_breaker_open_it_is_refused_at_once_with_nothing_asked_or_written(
    wires: Wired, name: str
) -> None:
    cell = Cell(wires, name)
    await cell.prepare()
    before = wires.world
    wires.breaker.force_open()
    assert not await cell.is_answered()
    assert wires.relay.asked == []
    assert wires.world == before
    assert await cell.record() is None
    wires.breaker.reset()
    await cell.the_client_tries_again()


@pytest.mark.parametrize("name", ["confirm", "cancel", "expire"])
@pytest.mark.parametrize("fault", [CUT, INTERNAL], ids=lambda fault: fault.sentence)
async def test_with_the_breaker_open_workers_finish_what_is_begun(
    wires: Wired, fault: Fault, name: str
) -> None:
    cell = Cell(wires, name)
    await cell.prepare()
    await cell.breaks(fault)
    await cell.is_answered()
    await cell.check(EXPECTED[fault, name])
    wires.breaker.force_open()
    await wires.heals()
    await cell.finish()
    assert wires.breaker.state is BreakerState.FORCED_OPEN
    wires.breaker.reset()
    await cell.the_client_tries_again()


async def test_a_cancel_gives_its_seats_back_through_an_open_breaker(wires: Wired) -> None:
    cell = Cell(wires, "cancel")
    await cell.prepare()
    wires.breaker.force_open()
    assert await cell.is_answered()
    await cell.check(FREED)
    assert await wires.seats() == (0, 0)


async def test_failures_open_the_breaker_and_the_first_answer_after_its_wait_closes_it(wires: Wired) -> None:
    cell = Cell(wires, "confirm")
    await cell.prepare()
    await cell.breaks(INTERNAL)
    assert not await cell.is_answered()
    for n in range(BREAKS_AT.minimum_number_of_calls - 1):
        assert wires.breaker.state.value == BreakerState.CLOSED.value
        with pytest.raises(InventoryUnavailableError):
            await wires.process.hold("bob", f"key {n}", ["A-1-6"])
    assert wires.breaker.state.value == BreakerState.OPEN.value

    await wires.heals()
    wires.relay.asked.clear()
    with pytest.raises(InventoryUnavailableError):
        await wires.process.hold("bob", "refused at once", ["A-1-3"])
    assert wires.relay.asked == []
    await finish_by_workers(wires)
    await cell.check(SOLD)

    wires.breaker_time.seconds += BREAKS_AT.wait_duration_in_open_state_seconds
    await wires.process.hold("bob", "refused at once", ["A-1-3"])
    assert wires.breaker.state.value == BreakerState.CLOSED.value
