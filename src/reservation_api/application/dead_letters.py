"""What a dead-letter queue has: events that a rule could not deliver, or a function could not process.

who put it there            body                            why, by message attribute
a rule of EventBridge       the event                       RULE_ARN, TARGET_ARN, ERROR_CODE, ERROR_MESSAGE, …
a function's own queue      the event                       ErrorCode, ErrorMessage
a function's destination    the event in `requestPayload`   (in the body)
a queue's redrive policy    the event                       none
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import msgspec

from reservation_api.application.received_events import Envelope, UnreadableEventError, read_envelope
from reservation_api.domain.errors import EventBusUnavailableError
from reservation_api.domain.events import SOURCE
from reservation_api.domain.values import from_iso
from reservation_api.ports.event_bus import OutgoingEvent
from reservation_api.ports.queue import MAX_BATCH_MESSAGES, Queue, QueueMessage

HIDDEN_SECONDS = 300
"""As the document has it for the queue; in a pass that takes longer the first letters come again."""
LOOK_SECONDS = 2
"""A long poll asks every part of the queue: one that finds nothing means that nothing is there."""
MAX_LOOKED_AT = 100_000
"""SQS has at most 120,000 messages of a queue hidden at once."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, the event in it, and why it is there."""

    message: QueueMessage
    event: OutgoingEvent | None
    """As it is to be published again; None: see `unusable`."""
    unusable: str | None
    rule: str | None
    target: str | None
    error_code: str | None
    error: str | None

    @property
    def name(self) -> str:
        """The event's id, or the message's if it has none."""
        return self.message.message_id if self.event is None else self.event.id


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; what is None or empty means all."""

    event_ids: frozenset[str] = frozenset()
    detail_type: str | None = None
    rule: str | None = None
    error_code: str | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Tell whether a letter is meant."""
        event = letter.event
        return (
            (not self.event_ids or (event is not None and event.id in self.event_ids))
            and (self.detail_type is None or (event is not None and event.detail_type == self.detail_type))
            and self.rule in {None, letter.rule}
            and self.error_code in {None, letter.error_code}
        )


class Pass:
    """One pass over a queue that meets each message once, and leaves behind what it does not delete.

    Whatever ends the block, all that was not deleted can be received again at once.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._kept: dict[str, QueueMessage] = {}
        self._met: set[str] = set()
        self._met_again = 0
        """In a long pass the first come again before the last; as many as there are end it."""

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release what was received and not deleted."""
        try:
            await self._queue.release(list(self._kept.values()))
        except EventBusUnavailableError as outage:
            _log.warning("letters stay hidden for up to %d seconds: %s", HIDDEN_SECONDS, outage)

    async def next_letters(self) -> Sequence[DeadLetter]:
        """Return letters that were not met yet; none at the end. Raises EventBusUnavailableError."""
        while len(self._met) < MAX_LOOKED_AT and self._met_again <= len(self._met):
            messages = await self._queue.receive(
                MAX_BATCH_MESSAGES, wait_seconds=LOOK_SECONDS, hidden_seconds=HIDDEN_SECONDS
            )
            # For the release: without what makes them large.
            self._kept |= {one.message_id: replace(one, body="", attributes={}) for one in messages}
            fresh = [message for message in messages if message.message_id not in self._met]
            self._met |= {message.message_id for message in fresh}
            self._met_again += len(messages) - len(fresh)
            if fresh or not messages:
                return list(map(read_letter, fresh))
        return []

    async def delete(self, letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
        """Delete letters; return those that could not be. Raises EventBusUnavailableError."""
        left = {message.message_id for message in await self._queue.delete([it.message for it in letters])}
        for letter in letters:
            if letter.message.message_id not in left:
                self._kept.pop(letter.message.message_id, None)
        return [letter for letter in letters if letter.message.message_id in left]


class _Failure(msgspec.Struct, frozen=True):
    """What a function answered with, in a destination's record."""

    errorMessage: str | None = None  # noqa: N815 (AWS's names)
    errorType: str | None = None  # noqa: N815


class _Record(msgspec.Struct, frozen=True):
    """A destination's record of a failed invocation."""

    requestPayload: msgspec.Raw  # noqa: N815
    responsePayload: _Failure = _Failure()  # noqa: N815


class _Detail(msgspec.Struct, frozen=True):
    """What publishing again needs to know of a detail."""

    id: str
    trace_id: str = ""


_RECORD = msgspec.json.Decoder(_Record)
_DETAIL = msgspec.json.Decoder(_Detail)


def read_letter(message: QueueMessage) -> DeadLetter:
    """Read a message, whoever put it there; what has no event of ours in it is a letter all the same."""
    body, failure = _unwrapped(message.body)
    found = message.attributes
    event, unusable = _event_in(body)
    rule = found.get("RULE_ARN")
    return DeadLetter(
        message=message,
        event=event,
        unusable=unusable,
        rule=None if rule is None else rule.rpartition("/")[2],
        target=found.get("TARGET_ARN"),
        error_code=found.get("ERROR_CODE") or failure.errorType or found.get("ErrorCode"),
        error=found.get("ERROR_MESSAGE") or failure.errorMessage or found.get("ErrorMessage"),
    )


def _unwrapped(body: str) -> tuple[str | bytes, _Failure]:
    """Return the event of a destination's record, and why it failed; anything else as it is."""
    try:
        record = _RECORD.decode(body)
    except (msgspec.MsgspecError, UnicodeError):
        return body, _Failure()
    return bytes(record.requestPayload), record.responsePayload


def _event_in(body: str | bytes) -> tuple[OutgoingEvent | None, str | None]:
    """Return the event, or why there is none that could be published again."""
    try:
        envelope = read_envelope(body)
        if envelope.source != SOURCE:
            return None, f"an event of {envelope.source}, whose own it is to publish it again"
        return _outgoing(envelope), None
    except (UnreadableEventError, msgspec.MsgspecError, ValueError) as error:
        return None, str(error)


def _outgoing(envelope: Envelope) -> OutgoingEvent:
    """Raise ValueError or MsgspecError for a detail without an id, or a time that is none."""
    detail = _DETAIL.decode(envelope.detail)
    return OutgoingEvent(
        id=detail.id,
        source=envelope.source,
        detail_type=envelope.detail_type,
        detail=bytes(envelope.detail).decode(),
        occurred_at=from_iso(envelope.time),
        trace_id=detail.trace_id,
    )


async def list_letters(queue: Queue, selection: Selection, limit: int) -> Sequence[DeadLetter]:
    """Return up to `limit` letters that are meant, and leave them where they are.

    Raises EventBusUnavailableError.
    """
    found: list[DeadLetter] = []
    async with Pass(queue) as one_pass:
        while len(found) < limit and (letters := await one_pass.next_letters()):
            found += filter(selection.takes, letters)
    return found[:limit]
