"""The outbox rows that commands leave behind, and what their payloads say."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from reservation_api.domain.events import ReservationEvent, event_of
from reservation_api.domain.reservation import Reservation
from reservation_api.domain.values import EventId, OrderId, OutboxId, ReservationId, SeatId
from reservation_api.ports.outbox import OutboxEntry, OutboxType, aggregate_of
from reservation_api.ports.request_context import Trace, present_trace

Offer = Callable[[Sequence[OutboxEntry]], None]
"""Hands committed rows to the fast path; it never blocks and may drop them: the slow path has them all."""

FAST_PATH_SECONDS = 3
"""A row belongs to the process that made it for so long; then any worker may take it, within a second:
a cancelled hold's seats are free within 5 s while a worker runs (design section 5)."""
RECOVERY_SECONDS = 3
"""A confirm that has had no answer for so long is taken over by a worker."""

_ENCODER = msgspec.json.Encoder()


class ReleasePayload(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which seats to give back, and why."""

    event_id: EventId
    seat_ids: tuple[SeatId, ...]
    reason: str
    traceparent: str | None = None


class RecoveryPayload(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which confirm to finish."""

    order_id: OrderId
    traceparent: str | None = None


class _Traced(msgspec.Struct):
    """What every payload may say; the rest is skipped."""

    traceparent: str | None = None


_TRACED = msgspec.json.Decoder(_Traced)
_IS_TRACED = '"traceparent":"'
"""In a payload that need not be decoded to know that it is not: in text, the quotes would be escaped."""
_IS_NOT_TRACED = ',"traceparent":null}'
"""How most events would end: many a row is just below a kilobyte, and the next one is charged for as well."""
_SPAN_ID = slice(36, 52)
"""Of a `traceparent` of ours."""


def event_entry(reservation: Reservation, trace_id: str) -> OutboxEntry:
    """Make the row that publishes what has just happened to a reservation."""
    event, traceparent = event_of(reservation, trace_id), _traceparent(trace_id)
    if traceparent is not None:
        event = replace(event, traceparent=traceparent)
    kind = OutboxType.RESERVATION_CREATED if event.status == "HOLD" else OutboxType.RESERVATION_STATUS_CHANGED
    return _entry(event.id, kind, event, trace_id, reservation.updated_at)


def release_entry(
    reservation_id: ReservationId, payload: ReleasePayload, trace_id: str, now: datetime
) -> OutboxEntry:
    """Make the row that gives seats back to the inventory."""
    payload = msgspec.structs.replace(payload, traceparent=_traceparent(trace_id))
    return _entry(OutboxId(f"{reservation_id}.release"), OutboxType.RELEASE_SEATS, payload, trace_id, now)


def release_of(reservation: Reservation, reason: str, trace_id: str) -> OutboxEntry:
    """Make the row that gives a reservation's seats back."""
    payload = ReleasePayload(reservation.event_id, reservation.seat_ids, reason)
    return release_entry(reservation.reservation_id, payload, trace_id, reservation.updated_at)


def recovery_id(reservation_id: ReservationId, order_id: OrderId) -> OutboxId:
    """Return the id of the row that finishes one attempt to confirm."""
    return OutboxId(f"{reservation_id}.confirm.{order_id}")


def recovery_entry(reservation: Reservation, order_id: OrderId, trace_id: str) -> OutboxEntry:
    """Make the row that finishes a confirm should this process not live to do it."""
    outbox_id = recovery_id(reservation.reservation_id, order_id)
    payload = RecoveryPayload(order_id, _traceparent(trace_id))
    return _entry(outbox_id, OutboxType.RECOVER_CONFIRM, payload, trace_id, reservation.updated_at)


def trace_of(entry: OutboxEntry) -> Trace:
    """Return the trace of the request that left a row, and the span in it if that was recorded."""
    if _IS_TRACED in entry.payload:
        traceparent = _TRACED.decode(entry.payload).traceparent
        if traceparent is not None:
            return Trace(entry.trace_id, is_sampled=True, span_id=traceparent[_SPAN_ID])
    return Trace(entry.trace_id)


def _traceparent(trace_id: str) -> str | None:
    """Name the present request, if it is recorded; a confirm that another has begun is that one's."""
    trace = present_trace()
    if trace is None or not trace.is_sampled or trace.trace_id != trace_id:
        return None
    return trace.traceparent


def _entry(
    outbox_id: OutboxId,
    kind: OutboxType,
    payload: ReservationEvent | ReleasePayload | RecoveryPayload,
    trace_id: str,
    now: datetime,
) -> OutboxEntry:
    text = _ENCODER.encode(payload).decode()
    if text.endswith(_IS_NOT_TRACED):
        text = text.removesuffix(_IS_NOT_TRACED) + "}"
    wait = RECOVERY_SECONDS if kind is OutboxType.RECOVER_CONFIRM else FAST_PATH_SECONDS
    return OutboxEntry(
        outbox_id=outbox_id,
        type=kind,
        aggregate_id=aggregate_of(outbox_id),
        payload=text,
        trace_id=trace_id,
        created_at=now,
        updated_at=now,
        next_retry_at=now + timedelta(seconds=wait),
        event=None if isinstance(payload, msgspec.Struct) else payload,
    )
