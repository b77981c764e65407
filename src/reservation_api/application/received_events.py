"""Events as consumers get them: EventBridge's envelope, and in its detail what docs/events describes."""

from dataclasses import dataclass
from typing import Any

import msgspec

from reservation_api.domain.events import (
    RESERVATION_CREATED,
    RESERVATION_STATUS_CHANGED,
    SOURCE,
    ReservationCreated,
    ReservationEvent,
    ReservationStatusChanged,
)
from reservation_api.domain.values import from_iso, to_iso

_INSTANTS = ("hold_expires_at", "created_at", "occurred_at")


class UnreadableEventError(Exception):
    """What was delivered is no event of ours, however often it is delivered; it quotes no value of it."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What the bus puts around an event; fields that nobody here needs are passed over."""

    id: str
    """The bus's own: an event that is published twice has two."""
    source: str
    detail_type: str = msgspec.field(name="detail-type")
    time: str
    detail: msgspec.Raw
    replay_name: str | None = msgspec.field(name="replay-name", default=None)
    """Set when an archive is replayed: consumers have had the event before, or should have."""


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event that keeps to its schema."""

    envelope: Envelope
    detail: ReservationEvent


_ENVELOPE = msgspec.json.Decoder(Envelope)
_DETAILS: dict[str, msgspec.json.Decoder[Any]] = {
    RESERVATION_CREATED: msgspec.json.Decoder(ReservationCreated),
    RESERVATION_STATUS_CHANGED: msgspec.json.Decoder(ReservationStatusChanged),
}


def read_envelope(body: str | bytes) -> Envelope:
    """Read the envelope alone; raises UnreadableEventError."""
    try:
        return _ENVELOPE.decode(body)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UnreadableEventError(f"no event of a bus: {error}") from error


def read_event(body: str | bytes) -> ReceivedEvent:
    """Read an event and hold it against its schema; raises UnreadableEventError.

    Fields that the schema does not know are passed over, so that a publisher may be newer than a consumer.
    """
    envelope = read_envelope(body)
    decoder = _DETAILS.get(envelope.detail_type)
    if envelope.source != SOURCE or decoder is None:
        raise UnreadableEventError("not from this service, or of no type that it publishes")
    try:
        detail: ReservationEvent = decoder.decode(envelope.detail)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UnreadableEventError(f"{envelope.detail_type}: {error}") from error
    for name in _INSTANTS:
        if not _is_instant(getattr(detail, name)):
            raise UnreadableEventError(f"{envelope.detail_type}: {name} is no instant")
    return ReceivedEvent(envelope, detail)


def _is_instant(text: str) -> bool:
    try:
        return to_iso(from_iso(text)) == text
    except ValueError:
        return False
