"""The event bus of the AWS runtime.

PutEvents answers for a bus that does not exist as if it had taken the events (aws-cli issue 9186). What keeps
a misspelt name from losing them is IAM: the service role may put events on the one bus it is named with.
"""

import asyncio
from collections.abc import Sequence

from reservation_api.adapters.aws_wire.errors import AwsCaller, AwsCallError
from reservation_api.adapters.eventbridge.entries import (
    SIZE_LIMIT_BYTES,
    Entry,
    batches_of,
    entry_of,
    size_of,
)
from reservation_api.adapters.eventbridge.outcomes import is_about_content, outcomes_of, unavailable
from reservation_api.domain.errors import EventBusUnavailableError
from reservation_api.ports.event_bus import OutgoingEvent, PublishOutcome


class EventBridgeBus:
    """Implements ports.event_bus.EventBus."""

    def __init__(self, events: AwsCaller, bus_name: str) -> None:
        self._events = events
        self._bus_name = bus_name

    async def publish(self, events: Sequence[OutgoingEvent]) -> Sequence[PublishOutcome]:
        """Put the events on the bus in as few calls as hold them; see the port."""
        entries = [entry_of(event, self._bus_name) for event in events]
        sizes = list(map(size_of, entries))
        outcomes = list(map(_too_large, sizes))
        fitting = [index for index, refusal in enumerate(outcomes) if refusal is None]
        batches = [[fitting[i] for i in batch] for batch in batches_of([sizes[i] for i in fitting])]
        answers = await asyncio.gather(*(self._put([entries[i] for i in batch]) for batch in batches))
        for batch, answer in zip(batches, answers, strict=True):
            for index, outcome in zip(batch, answer, strict=True):
                outcomes[index] = outcome
        return _unless_all_unavailable(outcomes)

    async def _put(self, entries: Sequence[Entry]) -> Sequence[PublishOutcome]:
        try:
            # Repeatable: an event that arrives twice has one id, and consumers drop it.
            answer = await self._events.call("PutEvents", {"Entries": entries}, repeatable=True)
        except AwsCallError as error:
            if not is_about_content(error):
                return [unavailable(error)] * len(entries)
            if len(entries) == 1:
                return [str(error)]
            # One of them spoils the call: each by itself, so that the others are not refused with it.
            return [outcome for entry in entries for outcome in await self._put([entry])]
        return outcomes_of(answer, len(entries))


def _unless_all_unavailable(outcomes: Sequence[PublishOutcome]) -> Sequence[PublishOutcome]:
    errors = [outcome for outcome in outcomes if isinstance(outcome, EventBusUnavailableError)]
    if errors and len(errors) == len(outcomes):
        raise errors[0]
    return outcomes


def _too_large(size: int) -> PublishOutcome:
    if size < SIZE_LIMIT_BYTES:
        return None
    return f"the event has {size} bytes, and an event bus takes less than {SIZE_LIMIT_BYTES}"
