"""From bytes and query strings to the types of the wire, or to a refusal that says what is wrong."""

import json
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

import msgspec

from reservation_api.domain.errors import InvalidRequestError
from reservation_api.entrypoints.http.refusals import UnsupportedMediaTypeError
from reservation_api.entrypoints.http.request import Headers
from reservation_api.entrypoints.http.wire import CommandBody

B = TypeVar("B", bound=CommandBody)
Q = TypeVar("Q", bound=msgspec.Struct)

MAX_FAULT_LENGTH = 200
"""A fault may quote what was sent; no more of it than this."""
_JSON = "application/json"


class BodyCodec(Generic[B]):
    """Decodes one type of body; `empty` is what no body at all stands for, if that is allowed."""

    def __init__(self, body_type: type[B], empty: B | None = None) -> None:
        self._decoder = msgspec.json.Decoder(body_type)
        self._empty = empty

    def decode(self, raw: bytes, headers: Headers) -> B:
        """Return the body; raises InvalidRequestError, UnsupportedMediaTypeError."""
        _check_media_type(headers.get("content-type"), raw)
        if not raw and self._empty is not None:
            return self._empty
        try:
            body = self._decoder.decode(raw)
            # Each text has two quotes, more if some are escaped. Just as many as the decoded fields have:
            # no field came twice. msgspec would take the last one, and json is five times as slow.
            if raw.count(b'"') != 2 * body.count_texts():
                json.loads(raw, object_pairs_hook=_refuse_repeated_names)
        except (ValueError, RecursionError) as error:
            raise _invalid("body", error) from error
        return body


def decode_query(query: str, query_type: type[Q], lists: frozenset[str] = frozenset()) -> Q:
    """Return the query's parameters; `lists` names those whose values are separated by commas.

    Raises InvalidRequestError for an unknown or repeated parameter, or one out of bounds.
    """
    if not query:
        return query_type()
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
        given: dict[str, Any] = _refuse_repeated_names(pairs)
        for name in lists & given.keys():
            given[name] = given[name].split(",")
        return msgspec.convert(given, query_type, strict=False)
    except ValueError as error:
        raise _invalid("query", error) from error


def _check_media_type(content_type: str | None, raw: bytes) -> None:
    if content_type == _JSON or (content_type is None and not raw):
        return
    if content_type is None or content_type.partition(";")[0].strip().lower() != _JSON:
        raise UnsupportedMediaTypeError(f"the body must be {_JSON}")


def _refuse_repeated_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is given twice")
    return members


def _invalid(where: str, error: ValueError | RecursionError) -> InvalidRequestError:
    if isinstance(error, UnicodeDecodeError):
        fault = "not valid UTF-8"
    elif isinstance(error, RecursionError):
        fault = "nested too deeply"
    else:
        fault = str(error)[:MAX_FAULT_LENGTH]
    return InvalidRequestError(f"the {where} is not valid", errors=[f"{where}: {fault}"])
