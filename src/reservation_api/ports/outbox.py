"""The outbox: work that a committed transaction left to be done, at least once (invariant 5)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from reservation_api.domain.events import ReservationEvent
from reservation_api.domain.values import OutboxId

RESERVATION_AGGREGATE = "reservation"


class OutboxType(StrEnum):
    """What is to be done; the first two are published on the bus under this very detail-type."""

    RESERVATION_CREATED = "Reservation Created"
    RESERVATION_STATUS_CHANGED = "Reservation Status Changed"
    RELEASE_SEATS = "Release Seats"
    RECOVER_CONFIRM = "Recover Confirm"


class OutboxStatus(StrEnum):
    """PENDING until done; FAILED after the last attempt, and kept until someone retries it."""

    PENDING = "PENDING"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One row (document section 1.4)."""

    outbox_id: OutboxId
    type: OutboxType
    aggregate_id: str
    payload: str
    """A JSON object, of a shape that `type` decides."""
    trace_id: str
    created_at: datetime
    updated_at: datetime
    next_retry_at: datetime
    """Nobody but the process that made the row touches it before this instant."""
    status: OutboxStatus = OutboxStatus.PENDING
    attempts: int = 0
    last_error: str | None = None
    aggregate_type: str = RESERVATION_AGGREGATE
    event: ReservationEvent | None = field(default=None, compare=False, repr=False)
    """What the payload says, while the row is in the process that made it; one that is read has none."""


def aggregate_of(outbox_id: OutboxId) -> str:
    """Return the id of the aggregate that a row is about: all of the row's id before its first full stop.

    So a row is found by its id alone, also where the aggregate is part of its key (document section 1.4).
    """
    return outbox_id.partition(".")[0]


class Outbox(Protocol):
    """Every method raises StoreUnavailableError."""

    async def due(self, kind: OutboxType, now: datetime, limit: int) -> Sequence[OutboxEntry]:
        """Return PENDING rows of a type whose `next_retry_at` has come; may lag: claim before acting.

        If there are more than `limit`, some of the oldest: workers beside each other are given others.
        """
        ...

    async def update(self, before: OutboxEntry, after: OutboxEntry) -> bool:
        """Replace a row's state if it is as in `before` (status and `next_retry_at`); tell whether it was.

        A claim is an update that moves `next_retry_at`: of several workers one wins.
        """
        ...

    async def remove(self, outbox_ids: Sequence[OutboxId]) -> None:
        """Delete rows whose work is done; absent ones are no error."""
        ...

    async def get(self, outbox_id: OutboxId) -> OutboxEntry | None:
        """Return one row."""
        ...

    async def list(self, status: OutboxStatus, limit: int) -> Sequence[OutboxEntry]:
        """Return up to `limit` rows in that status, oldest first; may lag."""
        ...
