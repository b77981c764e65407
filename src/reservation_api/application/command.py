"""A command, and its idempotency: what took effect once is answered again, word for word (invariant 4)."""

import hashlib
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from reservation_api.domain import errors
from reservation_api.domain.errors import IdempotencyMismatchError, RefusedError, UnavailableError
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation
from reservation_api.domain.values import RecordKey, UserId
from reservation_api.ports.clock import Clock
from reservation_api.ports.store import IdempotencyRecord, ReservationStore

IDEMPOTENCY_SECONDS = 300
"""Document section 1.3: a request may be repeated for 5 minutes."""
RECORD_TTL_SECONDS = IDEMPOTENCY_SECONDS + 10
"""A record outlives them by what clocks differ (2 s) and a write may wait: living longer harms nobody."""


@dataclass(frozen=True, slots=True)
class Command:
    """Who asks for a change, under which key, and a digest of what exactly is asked."""

    subject: UserId
    idempotency_key: str
    request_hash: str
    """SHA-256 over method, path and canonical body, in hexadecimal."""
    trace_id: str
    record_key: RecordKey = field(init=False, repr=False, compare=False)
    """The key's record: keys of two subjects never meet."""

    def __post_init__(self) -> None:
        """Work out the record's key, which every command asks for several times."""
        key = RecordKey(digest(self.subject, self.idempotency_key))
        object.__setattr__(self, "record_key", key)  # frozen, like the rest of it


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refusal that is on record, because the command had an effect before it was refused."""

    code: str
    message: str
    trace_id: str
    data: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a command is answered with, as it is stored in `response_snapshot`."""

    as_of: datetime
    reservation: Reservation | None = None
    order: Order | None = None
    refusal: Refusal | None = None
    extended_seconds: int = 0
    """Of an extension: by how many whole seconds the hold lasts longer than before."""
    replayed: bool = False


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Answer)
_REFUSALS = {
    error.code: error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, RefusedError)
}


def digest(*parts: str) -> str:
    """Return the SHA-256 of the parts in hexadecimal; no two lists of parts give the same text to it."""
    framed = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256(framed.encode()).hexdigest()


def record_of(command: Command, answer: Answer | None, now: datetime) -> IdempotencyRecord:
    """Make the record of an answered command, or of one under way (`answer` None)."""
    return record_for(command.record_key, command.request_hash, answer, now)


def record_for(key: RecordKey, request_hash: str, answer: Answer | None, now: datetime) -> IdempotencyRecord:
    """Make a record that lives for RECORD_TTL_SECONDS from `now`."""
    snapshot = None if answer is None else _ENCODER.encode(answer).decode()
    return IdempotencyRecord(key, request_hash, snapshot, math.ceil(now.timestamp()) + RECORD_TTL_SECONDS)


def recorded_answer(record: IdempotencyRecord, command: Command) -> Answer | None:
    """Return the answer on record, or None while that command is under way.

    Raises IdempotencyMismatchError if the record is another request's, and the refusal on record if
    that was the answer.
    """
    if record.request_hash != command.request_hash:
        raise IdempotencyMismatchError("this Idempotency-Key was used for another request")
    if record.response_snapshot is None:
        return None
    answer = _DECODER.decode(record.response_snapshot)
    if answer.refusal is not None:
        error = refusal_error(answer.refusal)
        error.replayed = True
        raise error
    return msgspec.structs.replace(answer, replayed=True)


def recorded_or_under_way(record: IdempotencyRecord, command: Command) -> Answer:
    """Return the answer on record; raises UnavailableError while that command is under way."""
    answer = recorded_answer(record, command)
    if answer is None:
        raise UnavailableError("the first request with this key is still under way")
    return answer


def refusal_error(refusal: Refusal) -> RefusedError:
    """Make the error of a refusal that is on record."""
    error = _REFUSALS[refusal.code](refusal.message, **refusal.data)
    error.trace_id = refusal.trace_id
    return error


async def answer_once(
    command: Command, store: ReservationStore, clock: Clock, attempt: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Run an attempt; before its refusal counts, look whether the command was answered already.

    The first attempt's answer may have been lost on its way: what it did (took the seats, ended the
    hold) may be just what the second attempt is refused for.
    """
    try:
        return await attempt()
    except RefusedError as refusal:
        if refusal.trace_id is not None:  # this refusal comes from the record
            raise
        record = await store.find_record(command.record_key, clock.now())
        if record is None:
            raise
        return recorded_or_under_way(record, command)
