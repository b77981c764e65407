"""The built-in seat inventory: the embedded runtime's side of the inventory port (design section 1)."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from sqlite3 import Connection
from typing import Final, TypeVar

from reservation_api.adapters.sqlite import inventory_reserve, inventory_settle, inventory_status
from reservation_api.adapters.sqlite.database import Database
from reservation_api.domain.errors import InventoryUnavailableError, StoreUnavailableError
from reservation_api.domain.values import EventId, SeatId
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import (
    Availability,
    CommitOutcome,
    CommitSeats,
    InventoryStatus,
    ReleaseOutcome,
    ReleaseSeats,
    ReserveSeats,
    SeatHold,
)

T = TypeVar("T")
_OPEN: Final = nullcontext()
"""Keeps nothing of who is in it: one is enough for all."""


class SqliteInventory:
    """Implements ports.inventory.Inventory on a database file, which any number of processes may share.

    Each command is one write job, so it happens wholly or not at all, one after the other. Expired holds
    need no sweep: whoever wants their seats ends them first. The time is read inside the job, where
    waiting for the writer can not make it stale.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        """Use the database's tables of events, rows, seats and holds."""
        self._database = database
        self._clock = clock

    def admission(self) -> AbstractAsyncContextManager[None]:
        """Let everybody in: the file is this process's own."""
        return _OPEN

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        """Hold all the seats or none; raises as the port says."""
        inventory_reserve.check_request(request)
        answer = await self._write(lambda db: inventory_reserve.reserve(db, request, self._clock.now()))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def commit(self, request: CommitSeats) -> CommitOutcome:
        """Sell all the seats or none; an id that is over, or was never used, is HOLD_EXPIRED."""
        return await self._write(lambda db: inventory_settle.commit(db, request, self._clock.now()))

    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        """Free all seats of this id, whichever the request names; the id can not be used again."""
        return await self._write(lambda db: inventory_settle.release(db, request, self._clock.now()))

    async def availability(
        self, event_id: EventId, *, seat_ids: Sequence[SeatId] = (), section: str | None = None
    ) -> Availability:
        """List free seats; those of holds that have expired are free, whether or not somebody looked.

        Raises NotFoundError for an unknown event or section, InvalidRequestError for more than
        MAX_LISTED_SEATS ids.
        """
        asked = inventory_status.Asked(event_id, section, tuple(dict.fromkeys(seat_ids)))
        return await self._read(lambda db: inventory_status.availability(db, asked, self._clock.now()))

    async def status(self, event_id: EventId, *, section: str | None = None) -> InventoryStatus:
        """Count an event's seats; raises NotFoundError for an unknown event or section."""
        asked = inventory_status.Asked(event_id, section)
        return await self._read(lambda db: inventory_status.status(db, asked, self._clock.now()))

    async def purge_ended_holds(self, now: datetime, limit: int) -> int:
        """Forget up to `limit` holds that were released or lapsed over an hour ago; return how many went."""
        return await self._write(lambda db: inventory_settle.purge_ended(db, now, limit))

    async def _write(self, job: Callable[[Connection], T]) -> T:
        try:
            return await self._database.write(job)
        except StoreUnavailableError as error:
            raise InventoryUnavailableError(f"the inventory's file: {error}") from error

    async def _read(self, job: Callable[[Connection], T]) -> T:
        try:
            return await self._database.read(job)
        except StoreUnavailableError as error:
            raise InventoryUnavailableError(f"the inventory's file: {error}") from error
