"""Two workers that look at the same moment do clearly more than one: few of their rows are the same."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.api import offer_to_nobody
from tests.support.clock import FakeClock
from tests.support.examples import START, outbox_entry, reservation
from tests.support.runtimes import RUNTIMES, Ports

from reservation_api.application.deliver import Delivery, Verdict
from reservation_api.application.expire import Expire
from reservation_api.application.relay import BATCH_SIZE, Relay, RetryPolicy
from reservation_api.ports.outbox import Outbox, OutboxEntry, OutboxType
from reservation_api.ports.store import (
    AddOutboxEntry,
    Conflict,
    InsertReservation,
    ReservationStore,
    Write,
)

AT_MOST = 100
"""Writes in a transaction."""
LATER = FakeClock(START + timedelta(seconds=61))


@pytest.fixture(params=["sqlite", "dynamodb"])
async def processes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Ports]]:
    """Two on the same data."""
    async with RUNTIMES[request.param](tmp_path) as open_process:
        yield [open_process(LATER), open_process(LATER)]


class SideBySide:
    """A port of one of two workers: both have looked before either goes on; what it loses is counted."""

    def __init__(self, port: object, barrier: asyncio.Barrier) -> None:
        self._port: Any = port
        self._barrier = barrier
        self.lost = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    async def due(self, kind: OutboxType, now: datetime, limit: int) -> Any:
        rows = await self._port.due(kind, now, limit)
        await self._barrier.wait()
        return rows

    async def due_holds(self, now: datetime, limit: int) -> Any:
        holds = await self._port.due_holds(now, limit)
        await self._barrier.wait()
        return holds

    async def update(self, before: OutboxEntry, after: OutboxEntry) -> bool:
        is_won: bool = await self._port.update(before, after)
        self.lost += not is_won
        return is_won

    async def transact(self, writes: Sequence[Write]) -> Conflict | None:
        conflict: Conflict | None = await self._port.transact(writes)
        self.lost += conflict is not None
        return conflict


async def _done(entries: Sequence[OutboxEntry]) -> list[Delivery]:
    return [Delivery(entry, Verdict.DONE) for entry in entries]


async def _write(process: Ports, writes: Sequence[Write]) -> None:
    for start in range(0, len(writes), AT_MOST):
        assert await process.store.transact(writes[start : start + AT_MOST]) is None


async def test_two_relays_claim_few_rows_in_vain(processes: list[Ports]) -> None:
    rows = [AddOutboxEntry(outbox_entry(f"rsv_{n}")) for n in range(2 * AT_MOST)]
    await _write(processes[0], rows)
    both = asyncio.Barrier(2)
    boxes = [SideBySide(each.outbox, both) for each in processes]
    relays = [Relay(cast("Outbox", box), _done, LATER, RetryPolicy()) for box in boxes]
    done = await asyncio.gather(*(relay.run_once(OutboxType.RESERVATION_CREATED) for relay in relays))
    assert sum(done) + sum(box.lost for box in boxes) == 2 * BATCH_SIZE
    assert len(processes[0].look().outbox) == len(rows) - sum(done)
    assert sum(done) > 1.4 * BATCH_SIZE


async def test_two_workers_expire_few_holds_in_vain(processes: list[Ports]) -> None:
    holds = [InsertReservation(reservation(f"rsv_{n}")) for n in range(2 * AT_MOST)]
    await _write(processes[0], holds)
    both = asyncio.Barrier(2)
    stores = [SideBySide(each.store, both) for each in processes]
    expires = [Expire(cast("ReservationStore", store), LATER, offer_to_nobody) for store in stores]
    due = await asyncio.gather(*(expire.run_once() for expire in expires))
    assert due == [AT_MOST, AT_MOST]
    expired = len(due) * AT_MOST - sum(store.lost for store in stores)
    assert len(await processes[0].store.due_holds(LATER.now(), len(holds))) >= len(holds) - expired
    assert expired > 1.25 * AT_MOST
