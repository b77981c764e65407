"""The outbox port on SQLite."""

from collections.abc import Sequence
from datetime import datetime

from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.rows import OUTBOX_COLUMNS, Row, outbox_entry_of, some_of_the_oldest
from reservation_api.domain.values import OutboxId, to_iso
from reservation_api.ports.outbox import OutboxEntry, OutboxStatus, OutboxType

_SELECT = f"SELECT {OUTBOX_COLUMNS} FROM outbox"
_DUE = some_of_the_oldest(
    _SELECT, "status = 'PENDING' AND type = ? AND next_retry_at <= ?", age="next_retry_at"
)
# Pending rows may be a million after an outage: in the order of the table the oldest comes first at once
# (the plus keeps SQLite from collecting and sorting them all). Failed rows are few, and found by index.
_LIST = {
    OutboxStatus.PENDING: f"{_SELECT} WHERE +status = 'PENDING' ORDER BY rowid LIMIT ?",
    OutboxStatus.FAILED: f"{_SELECT} WHERE status = 'FAILED' ORDER BY created_at LIMIT ?",
}
_GET = f"{_SELECT} WHERE outbox_id = ?"
_UPDATE = (
    "UPDATE outbox SET status = ?, attempts = ?, next_retry_at = ?, last_error = ?, updated_at = ?"
    " WHERE outbox_id = ? AND status = ? AND next_retry_at = ?"
)
_REMOVE = "DELETE FROM outbox WHERE outbox_id = ?"


class SqliteOutbox:
    """Implements ports.outbox.Outbox on one Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, kind: OutboxType, now: datetime, limit: int) -> Sequence[OutboxEntry]:
        """Read the index of pending rows; see the port."""
        return await self._select(_DUE, (kind.value, to_iso(now), limit, limit))

    async def update(self, before: OutboxEntry, after: OutboxEntry) -> bool:
        """Compare and set one row; see the port."""
        parameters = (
            after.status.value,
            after.attempts,
            to_iso(after.next_retry_at),
            after.last_error,
            to_iso(after.updated_at),
            before.outbox_id,
            before.status.value,
            to_iso(before.next_retry_at),
        )
        return await self._database.write(
            lambda connection: connection.execute(_UPDATE, parameters).rowcount > 0
        )

    async def remove(self, outbox_ids: Sequence[OutboxId]) -> None:
        """Delete by primary key, all in one job; see the port."""
        if not outbox_ids:
            return
        await self._database.write_many(_REMOVE, [(outbox_id,) for outbox_id in outbox_ids])

    async def get(self, outbox_id: OutboxId) -> OutboxEntry | None:
        """Read by primary key; see the port."""
        found = await self._select(_GET, (outbox_id,))
        return found[0] if found else None

    async def list(self, status: OutboxStatus, limit: int) -> Sequence[OutboxEntry]:
        """Read rows in one status; see the port."""
        return await self._select(_LIST[status], (limit,))

    async def _select(self, query: str, parameters: tuple[object, ...]) -> Sequence[OutboxEntry]:
        rows: list[Row] = await self._database.read(
            lambda connection: connection.execute(query, parameters).fetchall()
        )
        return [outbox_entry_of(row) for row in rows]
