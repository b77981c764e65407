"""The event bus: where committed events go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

MAX_BATCH_ENTRIES = 10
"""PutEvents takes ten entries a call."""


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """One event as the bus takes it."""

    id: str
    """Unique to the event; a repeated delivery carries it again."""
    source: str
    detail_type: str
    detail: str
    """A JSON object; its schema is docs/events/*.schema.json."""
    occurred_at: datetime
    trace_id: str


class EventBus(Protocol):
    """At least once, in no order."""

    async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[str | None]:
        """Publish up to MAX_BATCH_ENTRIES events.

        Returns, for each event in order, None when the bus has it, or why the bus refuses that entry.
        Raises EventBusUnavailableError when nothing is known of any of them (outage, throttling).
        """
        ...
