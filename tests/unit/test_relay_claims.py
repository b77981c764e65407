"""Claims and verdicts that the store does not take: the other rows of the batch must not wait for them."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from tests.support.clock import FakeClock
from tests.support.examples import START, outbox_entry

from reservation_api.application.deliver import Delivery, Verdict
from reservation_api.application.relay import Relay, RetryPolicy
from reservation_api.domain.errors import StoreUnavailableError
from reservation_api.domain.values import OutboxId
from reservation_api.ports.outbox import OutboxEntry, OutboxStatus, OutboxType

CREATED = OutboxType.RESERVATION_CREATED


class BusyOutbox:
    """An outbox in memory whose store is too busy for some rows."""

    def __init__(self, count: int, busy: set[int], *, removes: bool = True) -> None:
        self.rows = {row.outbox_id: row for row in (outbox_entry(f"rsv_{n}") for n in range(count))}
        self.busy = {outbox_entry(f"rsv_{n}").outbox_id for n in busy}
        self._removes = removes

    async def due(self, kind: OutboxType, now: datetime, limit: int) -> Sequence[OutboxEntry]:
        return [row for row in self.rows.values() if row.type is kind and row.next_retry_at <= now][:limit]

    async def update(self, before: OutboxEntry, after: OutboxEntry) -> bool:
        await asyncio.sleep(0)
        if before.outbox_id in self.busy:
            raise StoreUnavailableError("busy")
        self.rows[before.outbox_id] = after
        return True

    async def remove(self, outbox_ids: Sequence[OutboxId]) -> None:
        if not self._removes:
            raise StoreUnavailableError("busy")
        for outbox_id in outbox_ids:
            self.rows.pop(outbox_id)

    async def get(self, outbox_id: OutboxId) -> OutboxEntry | None:
        return self.rows.get(outbox_id)

    async def list(self, status: OutboxStatus, limit: int) -> Sequence[OutboxEntry]:
        return [row for row in self.rows.values() if row.status is status][:limit]


async def _done(entries: Sequence[OutboxEntry]) -> list[Delivery]:
    return [Delivery(entry, Verdict.DONE) for entry in entries]


async def _half_refused(entries: Sequence[OutboxEntry]) -> list[Delivery]:
    verdicts = (Verdict.DONE, Verdict.REFUSED)
    return [Delivery(entry, verdicts[number % 2], "no") for number, entry in enumerate(entries)]


async def test_claims_that_fail_keep_no_other_row_waiting() -> None:
    outbox, clock = BusyOutbox(20, busy={3, 7}), FakeClock(START + timedelta(seconds=10))
    with pytest.raises(StoreUnavailableError):  # so that the worker paces itself
        await Relay(outbox, _done, clock, RetryPolicy()).run_once(CREATED)
    assert outbox.rows.keys() == outbox.busy


async def test_rows_that_could_not_be_removed_keep_no_refusal_from_being_written() -> None:
    outbox, clock = BusyOutbox(4, busy=set(), removes=False), FakeClock(START + timedelta(seconds=10))
    with pytest.raises(StoreUnavailableError):
        await Relay(outbox, _half_refused, clock, RetryPolicy()).run_once(CREATED)
    assert sorted(row.attempts for row in outbox.rows.values()) == [0, 0, 1, 1]
