"""The event bus of the embedded runtime: a log in the same file, in the order in which events arrived."""

from collections.abc import Sequence
from dataclasses import dataclass

from reservation_api.adapters.sqlite.database import Database
from reservation_api.domain.errors import EventBusUnavailableError, UnavailableError
from reservation_api.domain.values import to_iso
from reservation_api.ports.event_bus import OutgoingEvent

_APPEND = (
    "INSERT INTO event_log (id, source, detail_type, detail, occurred_at, trace_id) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO NOTHING"
)
_READ = (
    "SELECT seq, id, source, detail_type, detail, occurred_at FROM event_log"
    " WHERE seq > ? ORDER BY seq LIMIT ?"
)
_LAST = "SELECT coalesce(max(seq), 0) FROM event_log"


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as the log keeps it; `seq` grows in order of arrival."""

    seq: int
    id: str
    source: str
    detail_type: str
    detail: str
    occurred_at: str


class SqliteEventLog:
    """Implements ports.event_bus.EventBus: it keeps each event once, and refuses none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[str | None]:
        """Append the events that are new, in one job; see the port."""
        rows = [
            (
                event.id,
                event.source,
                event.detail_type,
                event.detail,
                to_iso(event.occurred_at),
                event.trace_id,
            )
            for event in events
        ]
        try:
            await self._database.write_many(_APPEND, rows)
        except UnavailableError as error:
            raise EventBusUnavailableError(f"the event log: {error}") from error
        return [None] * len(events)

    async def read(self, after: int, limit: int) -> Sequence[LoggedEvent]:
        """Return up to `limit` events that came after `seq` = `after`, oldest first."""
        rows = await self._database.read(
            lambda connection: connection.execute(_READ, (after, limit)).fetchall()
        )
        return [LoggedEvent(*row) for row in rows]

    async def last_seq(self) -> int:
        """Return the newest event's `seq`; 0 for an empty log."""
        row: tuple[int] = await self._database.read(lambda connection: connection.execute(_LAST).fetchone())
        return row[0]
