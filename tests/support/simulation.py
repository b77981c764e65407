"""Two processes on one runtime, their clocks apart, and everything that can go wrong with their calls."""

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

from tests.support.clock import FakeClock, SkewedClock
from tests.support.faults import PLAN, Fault, Plan, ProcessDiedError
from tests.support.invariants import check_always, check_settled
from tests.support.process import EVENT, Process, run_named
from tests.support.runtimes import Runtime, World

from reservation_api.adapters.sqlite.inventory_plan import Grid, grid_plan
from reservation_api.application.command import IDEMPOTENCY_SECONDS, Answer
from reservation_api.domain.errors import IdempotencyMismatchError, RefusedError, ReservationApiError
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.ports.inventory import ReleaseOutcome, ReleaseSeats
from reservation_api.ports.outbox import OutboxType

T = TypeVar("T")

SEATS = 6
SKEW_SECONDS = 2.0
MAX_DELAY = timedelta(seconds=120)
"""A call on the network, or a paused process, is gone after this; records outlive it."""
SETTLE_ROUNDS = 60
Faults = dict[int, Fault]


@dataclass
class Call:
    """A command as its client knows it."""

    name: str
    subject: str
    key: str
    arguments: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        return f"{self.name} {self.arguments} {self.options}"


@dataclass
class Running:
    """A command that was paused by a fault."""

    call: Call
    plan: Plan
    task: "asyncio.Task[None]"
    since: datetime


class Simulation:
    """Each method is something that happens; `check` after each, `close` at the end."""

    def __init__(self, runtime: Runtime) -> None:
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.clock = FakeClock()
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.calls: list[Call] = []
        self.running: list[Running] = []
        self.late: list[tuple[datetime, Any]] = []
        self.plans: list[Plan] = []
        """One for each command and each run of a worker so far."""
        self.counter = 0
        self.answers: dict[tuple[str, str], tuple[str, Answer]] = {}
        self.run(self._open(runtime))

    async def _open(self, runtime: Runtime) -> None:
        open_process = await self.stack.enter_async_context(runtime(Path(self.folder.name)))
        self.processes = []
        for skew in (0.0, SKEW_SECONDS):
            clock = SkewedClock(self.clock, skew)
            self.processes.append(Process(open_process(clock), clock))
        grid = Grid(prices={"A": 1000}, rows=1, seats_per_row=SEATS)
        await self.processes[0].ports.load_event(grid_plan(EVENT, "Test", "KRW", grid))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def check(self) -> None:
        check_always(self.world(), self.clock.now())

    def close(self) -> None:
        try:
            self.run(self._settle())
        finally:
            self.run(self.stack.aclose())
            self.loop.close()
            self.folder.cleanup()

    # -- commands ---------------------------------------------------------------------------------

    def hold(self, at: int, who: str, key: str, seats: list[int] | int, faults: Faults) -> None:
        """Hold seats by number, or so many of the best."""
        if isinstance(seats, int):
            call = Call("hold", who, key, ((),), {"qty": seats})
        else:
            call = Call("hold", who, key, (tuple(f"A-1-{n}" for n in seats),))
        self.start(at, call, faults)

    def move(
        self, at: int, name: str, key: str, pick: int, arguments: tuple[Any, ...], faults: Faults
    ) -> None:
        """Confirm, cancel or extend a reservation as its owner: one on hold if there is one."""
        chosen = self.pick_reservation(pick)
        if chosen is not None:
            self.start(at, Call(name, chosen.user_id, key, (chosen.reservation_id, *arguments)), faults)

    def a_stranger_tries(self, name: str, pick: int) -> None:
        """Invariant 7."""
        chosen = self.pick_reservation(pick)
        if chosen is not None:
            more = {"confirm": ("pi_x",), "cancel": (), "extend": (60,)}[name]
            call = Call(name, "mallory", self.fresh(), (chosen.reservation_id, *more))
            self.start(0, call, {})
            assert (call.subject, call.key) not in self.answers, "invariant 7"

    def retry(self, at: int, pick: int, faults: Faults) -> None:
        """Send one of the latest requests again, whatever became of it."""
        if self.calls:
            self.start(at, self.calls[-1 - pick % min(len(self.calls), 6)], faults)

    def fresh(self) -> str:
        self.counter += 1
        return f"fresh_{self.counter}"

    def pick_reservation(self, pick: int) -> Reservation | None:
        known = sorted(
            self.world().reservations,
            key=lambda r: (r.status is Status.HOLD, r.created_at, r.reservation_id),
            reverse=True,
        )
        return known[pick % len(known)] if known else None

    # -- what else happens ------------------------------------------------------------------------

    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for running in [r for r in self.running if r.since + MAX_DELAY < self.clock.now()]:
            self.running.remove(running)
            self.run(self._kill(running))
        self.late = [(since, call) for since, call in self.late if since + MAX_DELAY >= self.clock.now()]

    def a_paused_process_goes_on(self, pick: int) -> None:
        if self.running:
            self.run(self._resume(self.running.pop(pick % len(self.running))))

    def a_late_call_arrives(self, pick: int) -> None:
        if self.late:
            _, call = self.late.pop(pick % len(self.late))
            self.run(_arrive(call))

    def fast_path_runs(self, at: int, faults: Faults) -> None:
        self._work(self.processes[at].run_fast_path(), faults)

    def process_forgets_its_fast_path(self, at: int) -> None:
        self.processes[at].offered.clear()

    def expiry_runs(self, at: int, faults: Faults) -> None:
        self._work(self.processes[at].expire.run_once(), faults)

    def relay_runs(self, at: int, kind: OutboxType, faults: Faults) -> None:
        self._work(self.processes[at].relay.run_once(kind), faults)

    def purge_runs(self, at: int) -> None:
        process = self.processes[at]
        self.run(process.ports.store.purge_records(process.clock.now(), 100))

    # -- how commands run -------------------------------------------------------------------------

    def world(self) -> World:
        return self.processes[0].ports.look()

    def start(self, at: int, call: Call, faults: Faults) -> None:
        self.calls.append(call)
        self.run(self._drive(at, call, self._plan(faults)))

    def _plan(self, faults: Faults) -> Plan:
        self.plans.append(Plan(faults))
        return self.plans[-1]

    async def _drive(self, at: int, call: Call, plan: Plan) -> None:
        task = asyncio.create_task(self._client(self.processes[at], call, plan))
        await self._until_done_or_paused(Running(call, plan, task, self.clock.now()))

    async def _until_done_or_paused(self, running: Running) -> None:
        paused = asyncio.create_task(running.plan.paused.wait())
        await asyncio.wait({running.task, paused}, return_when=asyncio.FIRST_COMPLETED)
        self.late += [(self.clock.now(), call) for call in running.plan.late]
        running.plan.late.clear()
        if running.task.done():
            paused.cancel()
            await running.task
        else:
            self.running.append(running)

    async def _resume(self, running: Running) -> None:
        running.plan.paused.clear()
        running.plan.resumed.set()
        running.plan.resumed = asyncio.Event()
        await self._until_done_or_paused(running)

    async def _kill(self, running: Running) -> None:
        running.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running.task

    async def _client(self, process: Process, call: Call, plan: Plan) -> None:
        PLAN.set(plan)
        try:
            answer = await run_named(
                process, call.name, (call.subject, call.key, *call.arguments), call.options
            )
        except ProcessDiedError:
            process.offered.clear()
        except IdempotencyMismatchError:
            known = self.answers.get((call.subject, call.key))
            assert known is None or known[0] != call.identity or self._is_old(known[1])
        except ReservationApiError as error:
            assert isinstance(error, RefusedError) or error.code.endswith("unavailable"), error
        else:
            self._remember(call, answer)

    def _remember(self, call: Call, answer: Answer) -> None:
        """Invariant 4: within 5 minutes the same request has the same answer."""
        known = self.answers.get((call.subject, call.key))
        if known is not None and known[0] == call.identity and not self._is_old(known[1]):
            same = (known[1].as_of, known[1].reservation, known[1].order)
            assert (answer.as_of, answer.reservation, answer.order) == same
        self.answers[call.subject, call.key] = (call.identity, answer)

    def _is_old(self, answer: Answer) -> bool:
        age = self.clock.now() - answer.as_of
        return age > timedelta(seconds=IDEMPOTENCY_SECONDS)

    def _work(self, work: Coroutine[Any, Any, Any], faults: Faults) -> None:
        self.run(self._worker(work, {n: f for n, f in faults.items() if f is not Fault.PAUSED}))

    async def _worker(self, work: Coroutine[Any, Any, Any], faults: Faults) -> None:
        plan = self._plan(faults)
        PLAN.set(plan)
        with contextlib.suppress(ProcessDiedError, ReservationApiError):
            await work
        PLAN.set(None)
        self.late += [(self.clock.now(), call) for call in plan.late]

    async def _settle(self) -> None:
        for running in self.running:
            await self._kill(running)
        for _, call in self.late:
            await _arrive(call)
        await self._workers_finish()
        self.check()
        await self._check_releases()
        self.clock.advance(700)
        await self._workers_finish()
        await check_settled(self.world(), self.clock.now(), self.processes[0].ports.inventory, EVENT)

    async def _workers_finish(self) -> None:
        """The processes take turns: whoever comes to it, there is nothing left in the end."""
        for _, process in zip(range(SETTLE_ROUNDS), cycle(self.processes), strict=False):
            process.offered.clear()
            await process.run_workers()
            if not self.world().outbox:
                return
            self.clock.advance(7)
        raise AssertionError(f"the workers do not come to an end: {self.world().outbox}")

    async def _check_releases(self) -> None:
        """Invariant 6: what has ended holds no seats, long before the inventory's own expiry."""
        inventory = self.processes[0].ports.inventory
        for reservation in self.world().reservations:
            if reservation.status not in {Status.HOLD, Status.CONFIRMED}:
                request = ReleaseSeats(
                    reservation.reservation_id,
                    EVENT,
                    reservation.seat_ids,
                    "probe",
                    f"{reservation.reservation_id}:probe:0",
                )
                outcome = await inventory.release(request)
                assert outcome is not ReleaseOutcome.RELEASED, (
                    f"invariant 6: seats still held for {reservation}"
                )


async def _arrive(call: Any) -> None:
    with contextlib.suppress(Exception):  # nobody waits for this answer any more
        await call()
