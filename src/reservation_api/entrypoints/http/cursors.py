"""Cursors: where a list goes on, for this subject, list and filter only; opaque, and no secret."""

import base64
import binascii

import msgspec

from reservation_api.application.command import digest
from reservation_api.domain.errors import InvalidRequestError
from reservation_api.domain.values import UserId

MAX_CURSOR_LENGTH = 2048
"""Above any position of the read models: a few keys of bounded length."""
_SUBJECT_DIGITS = 16


class ListId(msgspec.Struct, frozen=True):
    """Which list, whose, and with which filter."""

    name: str
    subject: UserId
    filter: str = ""


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    name: str
    subject_digest: str
    filter: str
    after: str


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Cursor)


def cursor_of(page: ListId, after: str) -> str:
    """Write the cursor of what follows `after`, the read model's own position."""
    cursor = _Cursor(page.name, _digest(page), page.filter, after)
    return base64.urlsafe_b64encode(_ENCODER.encode(cursor)).decode().rstrip("=")


def position_of(page: ListId, cursor: str) -> str:
    """Return the read model's position; raises InvalidRequestError for another list's cursor, or garbage."""
    try:
        decoded = _DECODER.decode(base64.b64decode(_padded(cursor), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error) as error:
        raise _bad_cursor() from error
    if (decoded.name, decoded.subject_digest, decoded.filter) != (page.name, _digest(page), page.filter):
        raise _bad_cursor()
    return decoded.after


def _digest(page: ListId) -> str:
    """Keep the subject out of the cursor: cursors end up in logs and browser histories."""
    return digest(page.subject)[:_SUBJECT_DIGITS]


def _padded(cursor: str) -> bytes:
    return cursor.encode() + b"=" * (-len(cursor) % 4)


def _bad_cursor() -> InvalidRequestError:
    return InvalidRequestError("the cursor is not one of this list's", errors=["cursor: not valid here"])
