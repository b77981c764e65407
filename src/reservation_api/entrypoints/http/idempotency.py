"""The Idempotency-Key header (IETF draft-ietf-httpapi-idempotency-key-header-07, RFC 9651 strings)."""

from reservation_api.entrypoints.http.refusals import (
    IdempotencyKeyMalformedError,
    IdempotencyKeyMissingError,
)
from reservation_api.entrypoints.http.request import Headers

MAX_KEY_LENGTH = 255
KEY_PATTERN = r'^([!#-~]([ -~]{0,253}[!-~])?|"([ !#-\[\]-~]|\\["\\]){1,255}")$'
"""What `idempotency_key_of` takes, for the OpenAPI document."""


def idempotency_key_of(headers: Headers) -> str:
    """Return the key without its quotes: the quoted and the bare form of a key are the same key.

    Raises IdempotencyKeyMissingError, IdempotencyKeyMalformedError (also when there are two).
    """
    values = headers.get_all("idempotency-key")
    if not values or not values[0]:
        raise IdempotencyKeyMissingError("an Idempotency-Key header is required")
    text = values[0]
    key = _unquoted(text) if text[0] == '"' else text
    if not 0 < len(key) <= MAX_KEY_LENGTH or not (key.isascii() and key.isprintable()):
        raise _malformed()
    if len(values) > 1:
        raise IdempotencyKeyMalformedError("there must be one Idempotency-Key header")
    return key


def _unquoted(text: str) -> str:
    """Read an RFC 9651 string: a backslash comes before a quote or a backslash, and before nothing else."""
    if len(text) < len('""') or text[-1] != '"':
        raise _malformed()
    # A pair of backslashes is one character, so it must not lend its second half to a quote.
    pieces = text[1:-1].split("\\\\")
    for piece in pieces:
        if '"' in piece.replace('\\"', "") or "\\" in piece.replace('\\"', ""):
            raise _malformed()
    return "\\".join(piece.replace('\\"', '"') for piece in pieces)


def _malformed() -> IdempotencyKeyMalformedError:
    return IdempotencyKeyMalformedError(
        f"an Idempotency-Key is 1 to {MAX_KEY_LENGTH} printable ASCII characters, bare or in quotes"
    )
