"""The event bus: where committed events go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reservation_api.domain.errors import EventBusUnavailableError

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
    span_id: str | None = None
    """Of the request that made it; None: its trace is not recorded."""


PublishOutcome = str | EventBusUnavailableError | None
"""None: the bus has the event. Text: why it refuses that one, which trying again is not likely to change.
The error: nothing is wrong with the event, but the bus did not take it now, or may have without saying so."""


class EventBus(Protocol):
    """At least once, in no order."""

    async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[PublishOutcome]:
        """Publish up to MAX_BATCH_ENTRIES events; return what became of each, in their order.

        Raises EventBusUnavailableError when that is what became of every one of them.
        """
        ...
