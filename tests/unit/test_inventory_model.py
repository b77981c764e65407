"""Random commands from two processes whose clocks differ, against a dictionary of seats.

The model knows nothing of rows, letters or sweeps: a seat is somebody's, and a hold is over once one of
the two processes has looked at it after its expiry.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.support.clock import FakeClock, SkewedClock
from tests.support.databases import opened_database
from tests.support.venues import EVENT, return_of, sale, venue, wanted

from reservation_api.adapters.sqlite.inventory import SqliteInventory
from reservation_api.adapters.sqlite.inventory_holds import decode_seats
from reservation_api.adapters.sqlite.inventory_rows import free_runs
from reservation_api.adapters.sqlite.venues import VenuePlan, load_event
from reservation_api.domain.errors import SeatsTakenError, SoldOutError
from reservation_api.domain.values import SeatId, to_iso
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import CommitOutcome, HoldEndedError, ReleaseOutcome, SeatHold

ROWS = {"A": ["....", ".B..."], "B": ["...", ".."]}
RESERVATIONS = st.sampled_from([f"r{n}" for n in range(12)])
PROCESSES = st.sampled_from([0, 1])
SECONDS = st.integers(1, 20)


def seat_ids_of(plan: VenuePlan) -> list[list[SeatId]]:
    """List the seats that are for sale by row, a blocked one as a gap."""
    return [
        [SeatId("") if seat.blocked else seat.seat_id for seat in row.seats]
        for section in plan.sections
        for row in section.rows
    ]


PLAN = venue(ROWS)
PLAN_ROWS = seat_ids_of(PLAN)
SEATS = sorted(seat_id for row in PLAN_ROWS for seat_id in row if seat_id)


@dataclass
class ModelHold:
    seats: tuple[SeatId, ...]
    expires_at: datetime
    status: str
    keys: set[str]


class TwoProcesses(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        path = Path(self.directory.name) / "inventory.db"
        self.databases = [opened_database(path) for _ in range(2)]
        self.clock = FakeClock()
        self.clocks: list[Clock] = [self.clock, SkewedClock(self.clock, 2)]
        self.inventories = [
            SqliteInventory(database, clock)
            for database, clock in zip(self.databases, self.clocks, strict=True)
        ]
        self.runner.run(load_event(self.databases[0], PLAN))
        self.holds: dict[str, ModelHold] = {}
        self.owners: dict[SeatId, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            for database in self.databases:
                database.close()
            self.runner.close()
            self.directory.cleanup()

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(
        process=PROCESSES,
        reservation=RESERVATIONS,
        seats=st.sets(st.sampled_from(SEATS), min_size=1, max_size=4),
        seconds=SECONDS,
        key=st.sampled_from(["hold:0", "extend:0", "extend:1"]),
    )
    def reserve_wanted(
        self, process: int, reservation: str, seats: set[SeatId], seconds: int, key: str
    ) -> None:
        now = self.clocks[process].now()
        expires_at = now + timedelta(seconds=seconds)
        request = wanted(reservation, " ".join(sorted(seats)), expires_at, key=key)
        answer = self.run(self.inventories[process].reserve(request))
        if reservation in self.holds:
            self.check_known(reservation, answer, now, expires_at, key)
            return
        self.lapse_due(now)
        conflicts = sorted(seats & self.owners.keys())
        if conflicts:
            assert isinstance(answer, SeatsTakenError)
            assert answer.data["conflicts"] == conflicts
        else:
            assert isinstance(answer, SeatHold)
            assert [seat.seat_id for seat in answer.seats] == sorted(seats)
            self.take(reservation, answer, expires_at, key)

    @rule(process=PROCESSES, reservation=RESERVATIONS, qty=st.integers(1, 6), seconds=SECONDS)
    def reserve_best(self, process: int, reservation: str, qty: int, seconds: int) -> None:
        now = self.clocks[process].now()
        expires_at = now + timedelta(seconds=seconds)
        answer = self.run(self.inventories[process].reserve(wanted(reservation, qty, expires_at)))
        if reservation in self.holds:
            self.check_known(reservation, answer, now, expires_at, "hold:0")
            return
        self.lapse_due(now)
        free = [seat_id for seat_id in SEATS if seat_id not in self.owners]
        if len(free) < qty:
            assert isinstance(answer, SoldOutError)
            assert answer.data["remaining"] == len(free)
        else:
            assert isinstance(answer, SeatHold)
            assert len(answer.seats) == qty
            assert self.pieces([seat.seat_id for seat in answer.seats]) == self.fewest_pieces(qty)
            self.take(reservation, answer, expires_at, "hold:0")

    @rule(process=PROCESSES, reservation=RESERVATIONS)
    def commit(self, process: int, reservation: str) -> None:
        now = self.clocks[process].now()
        hold = self.holds.get(reservation)
        seats = " ".join(hold.seats) if hold else "A-1-1"
        outcome = self.run(self.inventories[process].commit(sale(reservation, seats)))
        if hold is None:
            self.holds[reservation] = ModelHold((), now, "ended", set())
        elif hold.status == "active" and hold.expires_at <= now:
            self.end(reservation)
        elif hold.status == "active":
            hold.status = "sold"
        sold = hold is not None and hold.status == "sold"
        assert outcome is (CommitOutcome.SOLD if sold else CommitOutcome.HOLD_EXPIRED)

    @rule(process=PROCESSES, reservation=RESERVATIONS)
    def release(self, process: int, reservation: str) -> None:
        hold = self.holds.get(reservation)
        outcome = self.run(self.inventories[process].release(return_of(reservation)))
        if hold is None:
            assert outcome is ReleaseOutcome.NOT_FOUND
            self.holds[reservation] = ModelHold((), self.clock.now(), "ended", set())
        elif hold.status == "active":
            assert outcome is ReleaseOutcome.RELEASED
            self.end(reservation)
        elif hold.status == "sold":
            assert outcome is ReleaseOutcome.FAILED
        else:
            assert outcome is ReleaseOutcome.ALREADY_RELEASED

    @invariant()
    def the_file_agrees_with_the_model(self) -> None:
        if not hasattr(self, "runner"):
            return
        rows, holds = self.runner.run(self.databases[0].read(_everything))
        seats = [(seat, row_id, place) for row_id, place, seat in self.places(rows)]
        letters = {seat: rows[row_id][place] for seat, row_id, place in seats if seat}
        for seat_id, letter in letters.items():
            owner = self.owners.get(seat_id)
            expected = "." if owner is None else {"active": "H", "sold": "S"}[self.holds[owner].status]
            assert letter == expected, (seat_id, letter, owner)
        assert {reservation: hold.status for reservation, hold in self.holds.items()} == {
            reservation: {"ACTIVE": "active", "COMMITTED": "sold"}.get(status, "ended")
            for reservation, status, _, _ in holds
        }
        for reservation, _, stored, expires_at in holds:
            hold = self.holds[reservation]
            if hold.status == "ended":
                continue
            assert tuple(seat.seat_id for seat in stored) == hold.seats
            assert expires_at == to_iso(hold.expires_at)
            assert all(self.owners[seat_id] == reservation for seat_id in hold.seats)

    @invariant()
    def both_processes_count_what_their_clock_says(self) -> None:
        if not hasattr(self, "runner"):
            return
        for inventory, clock in zip(self.inventories, self.clocks, strict=True):
            live = [self.holds[owner] for owner in self.owners.values()]
            taken = [hold for hold in live if hold.status == "sold" or hold.expires_at > clock.now()]
            answer = self.runner.run(inventory.availability(EVENT))
            assert answer.remaining == len(answer.available_seats) == len(SEATS) - len(taken)

    def run(self, call: Any) -> Any:
        async def answer() -> Any:
            try:
                return await call
            except (SeatsTakenError, SoldOutError, HoldEndedError) as refusal:
                return refusal

        return self.runner.run(answer())

    def check_known(
        self, reservation: str, answer: Any, now: datetime, expires_at: datetime, key: str
    ) -> None:
        hold = self.holds[reservation]
        if hold.status == "active" and hold.expires_at <= now:
            self.end(reservation)
        if hold.status != "active":
            assert isinstance(answer, HoldEndedError)
            return
        if key not in hold.keys:
            hold.keys.add(key)
            hold.expires_at = max(hold.expires_at, expires_at)
        assert isinstance(answer, SeatHold)
        assert answer.expires_at == hold.expires_at
        assert tuple(seat.seat_id for seat in answer.seats) == hold.seats

    def take(self, reservation: str, answer: SeatHold, expires_at: datetime, key: str) -> None:
        seats = tuple(seat.seat_id for seat in answer.seats)
        assert answer.expires_at == expires_at
        assert not set(seats) & self.owners.keys(), "a seat is in two holds"
        self.holds[reservation] = ModelHold(seats, expires_at, "active", {key})
        self.owners.update(dict.fromkeys(seats, reservation))

    def lapse_due(self, now: datetime) -> None:
        for reservation, hold in self.holds.items():
            if hold.status == "active" and hold.expires_at <= now:
                self.end(reservation)

    def end(self, reservation: str) -> None:
        hold = self.holds[reservation]
        hold.status = "ended"
        for seat_id in hold.seats:
            del self.owners[seat_id]

    def runs(self, is_in: Any) -> list[int]:
        """Return the lengths of runs of neighbouring seats that are in a set."""
        return [
            len(list(run))
            for row in PLAN_ROWS
            for inside, run in groupby(row, key=lambda seat_id: bool(seat_id) and is_in(seat_id))
            if inside
        ]

    def pieces(self, seats: list[SeatId]) -> int:
        return len(self.runs(seats.__contains__))

    def fewest_pieces(self, qty: int) -> int:
        pieces = 0
        for length in sorted(self.runs(lambda seat_id: seat_id not in self.owners), reverse=True):
            if qty <= 0:
                break
            qty -= length
            pieces += 1
        return pieces

    def places(self, rows: dict[int, str]) -> list[tuple[int, int, SeatId]]:
        return [
            (row_id, place, seat_id)
            for row_id, row in zip(sorted(rows), PLAN_ROWS, strict=True)
            for place, seat_id in enumerate(row)
        ]


def _everything(connection: Any) -> tuple[dict[int, str], list[tuple[str, str, Any, str]]]:
    """Read all rows and holds, checking what is counted from the letters."""
    rows = {}
    for row_id, states, free, run in connection.execute(
        "SELECT row_id, states, free, longest_run FROM inventory_rows"
    ):
        assert free == states.count(".")
        assert run == max((length for _, length in free_runs(states)), default=0)
        rows[row_id] = states
    holds = connection.execute(
        "SELECT reservation_id, status, seats, expires_at FROM inventory_holds"
    ).fetchall()
    return rows, [(r, status, decode_seats(seats), expires_at) for r, status, seats, expires_at in holds]


TestTwoProcesses = TwoProcesses.TestCase
TestTwoProcesses.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
