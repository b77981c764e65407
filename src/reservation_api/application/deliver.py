"""Do what outbox rows say: publish an event, release seats, finish a confirm."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

import msgspec

from reservation_api.application.outbox_entries import RecoveryPayload, ReleasePayload, trace_of
from reservation_api.application.recover import Recover
from reservation_api.domain.errors import UnavailableError
from reservation_api.domain.events import SOURCE
from reservation_api.domain.values import OutboxId, ReservationId
from reservation_api.ports.event_bus import MAX_BATCH_ENTRIES, EventBus, OutgoingEvent, PublishOutcome
from reservation_api.ports.inventory import Inventory, ReleaseOutcome, ReleaseSeats
from reservation_api.ports.outbox import OutboxEntry, OutboxType
from reservation_api.ports.request_context import RequestContext

MAX_CONCURRENT_CALLS = 16
"""Calls to the inventory under way at once from one relay: releases never crowd out holds."""

EVENT_TYPES = frozenset({OutboxType.RESERVATION_CREATED, OutboxType.RESERVATION_STATUS_CHANGED})
"""What goes to the bus; the rest are calls."""

_RELEASE = msgspec.json.Decoder(ReleasePayload)
_RECOVERY = msgspec.json.Decoder(RecoveryPayload)
_log = logging.getLogger(__name__)


class Verdict(Enum):
    """What became of a row's work."""

    DONE = "done"
    REFUSED = "refused"
    """Answered with no; it counts as an attempt."""
    OUTAGE = "outage"
    """Not answered; it counts as no attempt."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row, what became of it, and why."""

    entry: OutboxEntry
    verdict: Verdict
    error: str | None = None


class Deliver:
    """Carry out rows of any type; nothing it does is wrong to do twice."""

    def __init__(self, bus: EventBus, inventory: Inventory, recover: Recover) -> None:
        self._bus = bus
        self._inventory = inventory
        self._recover = recover
        self._calls = asyncio.Semaphore(MAX_CONCURRENT_CALLS)

    async def __call__(self, entries: Sequence[OutboxEntry]) -> list[Delivery]:
        """Carry out every row, whatever becomes of the others; return one delivery a row, in any order."""
        events = [entry for entry in entries if entry.type in EVENT_TYPES]
        batches = [events[i : i + MAX_BATCH_ENTRIES] for i in range(0, len(events), MAX_BATCH_ENTRIES)]
        calls = [entry for entry in entries if entry.type not in EVENT_TYPES]
        published, called = await asyncio.gather(
            asyncio.gather(*(self._publish(batch) for batch in batches)),
            asyncio.gather(*(self._call(entry) for entry in calls)),
        )
        return [delivery for batch in published for delivery in batch] + called

    async def _publish(self, batch: Sequence[OutboxEntry]) -> list[Delivery]:
        try:
            outcomes = await self._bus.publish([_outgoing(entry) for entry in batch])
            return [_published(entry, outcome) for entry, outcome in zip(batch, outcomes, strict=True)]
        except UnavailableError as error:
            return [Delivery(entry, Verdict.OUTAGE, str(error)) for entry in batch]
        except Exception as error:  # noqa: BLE001 (one bad batch must not stop the relay)
            _log.exception("the event bus adapter failed")
            return [Delivery(entry, Verdict.REFUSED, repr(error)) for entry in batch]

    async def _call(self, entry: OutboxEntry) -> Delivery:
        async with self._calls:
            try:
                # The trace of the request that left the row, without its deadline: nobody waits any more.
                with RequestContext(trace_of(entry)):
                    error = await self._carry_out(entry)
            except UnavailableError as outage:
                return Delivery(entry, Verdict.OUTAGE, str(outage))
            except Exception as bug:  # noqa: BLE001 (a poisoned row must end as FAILED, not loop)
                _log.exception("an outbox row could not be carried out: %s", entry.outbox_id)
                return Delivery(entry, Verdict.REFUSED, repr(bug))
        return Delivery(entry, Verdict.DONE if error is None else Verdict.REFUSED, error)

    async def _carry_out(self, entry: OutboxEntry) -> str | None:
        """Return why the work is refused, or None when it is done."""
        match entry.type:
            case OutboxType.RELEASE_SEATS:
                outcome = await self._inventory.release(_release(entry))
                return "the inventory has sold these seats" if outcome is ReleaseOutcome.FAILED else None
            case OutboxType.RECOVER_CONFIRM:
                order_id = _RECOVERY.decode(entry.payload).order_id
                await self._recover(ReservationId(entry.aggregate_id), order_id)
                return None
            case OutboxType.RESERVATION_CREATED | OutboxType.RESERVATION_STATUS_CHANGED:
                raise ValueError("events go to the bus")
            case _:
                assert_never(entry.type)


def done_ids(deliveries: Sequence[Delivery]) -> list[OutboxId]:
    """Return the ids of the rows whose work is done."""
    return [delivery.entry.outbox_id for delivery in deliveries if delivery.verdict is Verdict.DONE]


def _published(entry: OutboxEntry, outcome: PublishOutcome) -> Delivery:
    if isinstance(outcome, UnavailableError):
        return Delivery(entry, Verdict.OUTAGE, str(outcome))
    return Delivery(entry, Verdict.DONE if outcome is None else Verdict.REFUSED, outcome)


def _outgoing(entry: OutboxEntry) -> OutgoingEvent:
    return OutgoingEvent(
        id=entry.outbox_id,
        source=SOURCE,
        detail_type=entry.type.value,
        detail=entry.payload,
        occurred_at=entry.created_at,
        trace_id=entry.trace_id,
        span_id=trace_of(entry).span_id,
    )


def _release(entry: OutboxEntry) -> ReleaseSeats:
    payload = _RELEASE.decode(entry.payload)
    return ReleaseSeats(
        reservation_id=ReservationId(entry.aggregate_id),
        event_id=payload.event_id,
        seat_ids=payload.seat_ids,
        reason=payload.reason,
        idempotency_key=f"{entry.aggregate_id}:release:0",
    )
