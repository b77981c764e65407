"""The answer to a request that there is no room for: made beforehand, since it must cost next to nothing."""

from typing import Final

from reservation_api.domain.errors import OverloadedError
from reservation_api.entrypoints.http.message import begin_of, fields_of
from reservation_api.entrypoints.http.problems import problem_response
from reservation_api.entrypoints.http.request import HeaderList, Response

RETRY_AFTERS: Final = (1, 2, 3, 4, 5)
"""Seconds, in turns: who is sent away together does not come back together."""
_TRACE_ID: Final = "0" * 32


def overloaded(number: int) -> OverloadedError:
    """Return the refusal of the n-th request that is turned away."""
    seconds = RETRY_AFTERS[number % len(RETRY_AFTERS)]
    return OverloadedError("too many requests are under way in this process", retry_after_seconds=seconds)


def _made() -> tuple[int, bytes, bytes, list[HeaderList]]:
    answers = [problem_response(overloaded(number), _TRACE_ID) for number in range(len(RETRY_AFTERS))]
    before, _, after = answers[0].body.partition(_TRACE_ID.encode())
    return answers[0].status, before, after, [answer.headers for answer in answers]


SHED_STATUS, _BEFORE, _AFTER, _HEADERS = _made()
_LENGTH: Final = len(_BEFORE + _TRACE_ID.encode() + _AFTER)
_FIELDS: Final = [fields_of(SHED_STATUS, headers, _LENGTH) + _BEFORE for headers in _HEADERS]


def shed_response(number: int, trace_id: str) -> Response:
    """Render `overloaded(number)`, as problem_response does."""
    body = b"%b%b%b" % (_BEFORE, trace_id.encode(), _AFTER)
    return Response(SHED_STATUS, _HEADERS[number % len(_HEADERS)], body)


def shed_bytes(number: int, trace_id: str) -> bytes:
    """Write `shed_response` as a connection does that is kept."""
    fields = _FIELDS[number % len(_FIELDS)]
    return b"%b%b%b%b" % (begin_of(SHED_STATUS), fields, trace_id.encode(), _AFTER)
