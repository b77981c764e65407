"""The relay: get every outbox row done, at least once (invariant 5).

Fast path: the process that committed a row carries it out at once, and deletes it.
Slow path: any worker takes what is older than a few seconds, claims it, carries it out, and deletes it, or
says when to try again. A row that is refused MAX_ATTEMPTS times is FAILED and waits for a person.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from reservation_api.application.cancellation import is_being_cancelled
from reservation_api.application.deliver import EVENT_TYPES, Delivery, Verdict, done_ids
from reservation_api.ports.clock import Clock
from reservation_api.ports.outbox import Outbox, OutboxEntry, OutboxStatus, OutboxType

BATCH_SIZE = 64
"""Calls of a batch are over well before CLAIM_SECONDS: 16 at a time, 5 s each at the most."""
MAX_WAITING_ROWS = 10_000
"""Rows that the fast path keeps in memory; beyond it they are left to the slow path."""
CLAIM_SECONDS = 30
"""A worker that dies gives its rows back after so long; no delivery takes longer."""
BACKOFF_CAP_SECONDS = 60.0
GATHER_SECONDS = 0.05
"""Events wait so long for company: ten in one call cost the bus, and us, little more than one."""
CALL_GATHER_SECONDS = 0.01
"""Calls of the inventory do not: nobody gets a cancelled hold's seats before."""
MAX_ERROR_LENGTH = 500

_log = logging.getLogger(__name__)

Carry = Callable[[Sequence[OutboxEntry]], Awaitable[list[Delivery]]]
"""A Deliver, or what stands around it."""
Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a row that was not delivered is tried again; durations in seconds."""

    max_attempts: int = 10
    backoff_seconds: float = 1.0
    """Before the second attempt; doubled before each further one, up to BACKOFF_CAP_SECONDS, with jitter."""
    outage_seconds: float = 3.0
    """After an outage: short, because seats wait for releases and buyers for confirms."""

    def after(self, delivery: Delivery, now: datetime) -> OutboxEntry:
        """Return the row as it stands after a delivery that did not succeed."""
        entry = replace(
            delivery.entry, updated_at=now, last_error=(delivery.error or "unknown")[:MAX_ERROR_LENGTH]
        )
        if delivery.verdict is Verdict.OUTAGE:
            return replace(entry, next_retry_at=now + _jittered(self.outage_seconds))
        attempts = entry.attempts + 1
        if attempts >= self.max_attempts:
            return replace(entry, attempts=attempts, status=OutboxStatus.FAILED)
        wait = min(BACKOFF_CAP_SECONDS, self.backoff_seconds * 2 ** (attempts - 1))
        return replace(entry, attempts=attempts, next_retry_at=now + _jittered(wait))


class FastRelay:
    """Carries out the rows of this process right after their commit.

    Events and calls go in lanes of their own: an inventory that does not answer holds up no event.
    """

    def __init__(self, outbox: Outbox, deliver: Carry, pause: Pause = asyncio.sleep) -> None:
        self._events = _Lane(outbox, deliver, partial(pause, GATHER_SECONDS))
        self._calls = _Lane(outbox, deliver, partial(pause, CALL_GATHER_SECONDS))

    @property
    def left_to_slow_path(self) -> int:
        """How many rows this process did not get done itself."""
        return self._events.left_to_slow_path + self._calls.left_to_slow_path

    def offer(self, entries: Sequence[OutboxEntry]) -> None:
        """Take committed rows; beyond MAX_WAITING_ROWS they are counted and left to the slow path."""
        self._events.offer([entry for entry in entries if entry.type in EVENT_TYPES])
        self._calls.offer([entry for entry in entries if entry.type not in EVENT_TYPES])

    async def run_forever(self) -> None:
        """Carry out rows as they come, until cancelled."""
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._events.run_forever())
            lanes.create_task(self._calls.run_forever())

    async def flush(self) -> None:
        """Return when all rows offered so far were tried once; needs `run_forever` to be running."""
        await self._events.flush()
        await self._calls.flush()


class _Lane:
    """Rows that wait for each other only."""

    def __init__(self, outbox: Outbox, deliver: Carry, gather: Callable[[], Awaitable[None]]) -> None:
        self._outbox = outbox
        self._deliver = deliver
        self._gather = gather
        self._waiting: deque[OutboxEntry] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.left_to_slow_path = 0

    def offer(self, entries: Sequence[OutboxEntry]) -> None:
        if not entries:
            return
        if len(self._waiting) + len(entries) > MAX_WAITING_ROWS:
            self.left_to_slow_path += len(entries)
            return
        self._waiting.extend(entries)
        self._idle.clear()
        self._wake.set()

    async def run_forever(self) -> None:
        self._wake.set()  # what a run that was cut off has left behind
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                if len(self._waiting) < BATCH_SIZE:  # before each batch, or under load none would be full
                    await self._gather()
                await self._run_batch()
            self._idle.set()

    async def flush(self) -> None:
        await self._idle.wait()

    async def _run_batch(self) -> None:
        batch = list(islice(self._waiting, BATCH_SIZE))
        for _ in batch:
            self._waiting.popleft()
        try:
            deliveries = await self._deliver(batch)
            await self._outbox.remove(done_ids(deliveries))
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            self._leave_to_slow_path(batch, error)
        except Exception as error:  # noqa: BLE001 (the fast path outlives any batch)
            self._leave_to_slow_path(batch, error)
        else:
            self.left_to_slow_path += sum(d.verdict is not Verdict.DONE for d in deliveries)

    def _leave_to_slow_path(self, batch: Sequence[OutboxEntry], error: BaseException) -> None:
        """Count and tell: the rows are still there, and doing them again is never wrong."""
        self.left_to_slow_path += len(batch)
        _log.warning("the fast path left a batch to the slow path: %r", error)


class Relay:
    """The slow path; any number of workers may run one."""

    def __init__(self, outbox: Outbox, deliver: Carry, clock: Clock, policy: RetryPolicy) -> None:
        self._outbox = outbox
        self._deliver = deliver
        self._clock = clock
        self._policy = policy

    async def run_once(self, kind: OutboxType) -> int:
        """Claim and carry out up to BATCH_SIZE due rows of a type; return how many got done.

        Raises StoreUnavailableError; what was claimed comes back after CLAIM_SECONDS.
        """
        now = self._clock.now()
        due = await self._outbox.due(kind, now, BATCH_SIZE)
        claims = [
            replace(entry, next_retry_at=now + timedelta(seconds=CLAIM_SECONDS), updated_at=now)
            for entry in due
        ]
        # A claim that fails must not take the others with it: they are won, and would wait for nobody.
        won = await asyncio.gather(*map(self._outbox.update, due, claims), return_exceptions=True)
        deliveries = await self._deliver(
            [claim for claim, is_won in zip(claims, won, strict=True) if is_won is True]
        )
        await self._settle(deliveries)
        _raise_first(won)
        return len(done_ids(deliveries))

    async def _settle(self, deliveries: Sequence[Delivery]) -> None:
        now = self._clock.now()
        undone = [delivery for delivery in deliveries if delivery.verdict is not Verdict.DONE]
        settled = await asyncio.gather(
            self._outbox.remove(done_ids(deliveries)),
            *(self._outbox.update(delivery.entry, self._policy.after(delivery, now)) for delivery in undone),
            return_exceptions=True,
        )
        _raise_first(settled)


def _raise_first(outcomes: Sequence[object]) -> None:
    """Raise what went wrong first, now that all is over."""
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def retried(entry: OutboxEntry, now: datetime) -> OutboxEntry:
    """Return a FAILED row as a person wants it tried again: due at once, with all its attempts."""
    return replace(entry, status=OutboxStatus.PENDING, attempts=0, next_retry_at=now, updated_at=now)


def _jittered(seconds: float) -> timedelta:
    return timedelta(milliseconds=round(seconds * random.uniform(500, 1000)))  # noqa: S311 (spreads load)
