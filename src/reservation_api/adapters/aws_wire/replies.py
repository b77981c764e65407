"""What a reply means: an answer, or one of the errors.

Codes are compared without their namespace (smithy.io, awsJson1_0, "Operation error serialization").
DynamoDB's CRC of its replies is not looked at: TLS already refuses a reply with a bit turned.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from reservation_api.adapters.aws_wire.connection import Reply
from reservation_api.adapters.aws_wire.errors import (
    AwsCallError,
    AwsOutcomeUnknownError,
    AwsRefusedError,
    AwsThrottledError,
)

_OK: Final = 200
_BAD_REQUEST: Final = 400
_REQUEST_TIMEOUT: Final = 408
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500

_THROTTLES: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Refused for its rate, so nothing was done, whatever the status says."""
_UNFINISHED: Final = frozenset(
    {"InternalFailure", "InternalServerError", "RequestTimeout", "ServiceUnavailable"}
)
"""Done or not, as with any status from 500 on."""
_STILL_AT_WORK: Final = "TransactionInProgressException"
SPENT_CREDENTIALS: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException"})
WRONG_TIMES: Final = frozenset(
    {
        "InvalidSignatureException",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
"""A signature whose time is minutes off; some of them say as well that the secret is wrong."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class StillAtWorkError(AwsOutcomeUnknownError):
    """The transaction of this very token is under way: to ask again is safe, whatever the call."""


class SignatureRefusedError(AwsRefusedError):
    """Who asked, or when, was not believed, and nothing was done."""

    def __init__(self, refused: tuple[str, int, str, Mapping[str, Any]], service_time: float | None) -> None:
        super().__init__(*refused)
        self.service_time = service_time
        """The service's clock, in seconds since the epoch."""


def answer(operation: str, reply: Reply) -> dict[str, Any]:
    """Return the decoded answer.

    Raises AwsRefusedError, AwsThrottledError, AwsOutcomeUnknownError, and what is more exact here.
    """
    body = _decoded(reply.body)
    if reply.status == _OK and body is not None:
        return body
    raise _error(operation, reply, body or {})


def _error(operation: str, reply: Reply, body: Mapping[str, Any]) -> AwsCallError:
    code = _code(reply, body)
    refused = (operation, reply.status, code, body)
    if reply.status < _BAD_REQUEST:
        return AwsOutcomeUnknownError(f"{operation}: HTTP {reply.status} without an answer{_named(reply)}")
    if code in _THROTTLES or reply.status == _TOO_MANY_REQUESTS:
        return AwsThrottledError(*refused)
    if code == _STILL_AT_WORK:
        return StillAtWorkError(f"{operation}: {code}")
    if reply.status >= _SERVER_ERROR or reply.status == _REQUEST_TIMEOUT or code in _UNFINISHED:
        return AwsOutcomeUnknownError(f"{operation}: HTTP {reply.status}, {code}{_named(reply)}")
    if code in SPENT_CREDENTIALS or code in WRONG_TIMES:
        return SignatureRefusedError(refused, _service_time(reply))
    return AwsRefusedError(*refused)


def _decoded(body: bytes) -> dict[str, Any] | None:
    """Return the object, {} if there is none, as where an operation has no output; None for garbage."""
    try:
        return _decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _code(reply: Reply, body: Mapping[str, Any]) -> str:
    """Return `Code` of "com.amazonaws.dynamodb.v20120810#Code:http://…"; HttpNNN if there is none."""
    header = reply.headers.get(b"x-amzn-errortype", b"").decode("latin-1")
    name = str(body.get("__type") or body.get("code") or header)
    return name.partition(":")[0].rpartition("#")[2] or f"Http{reply.status}"


def _named(reply: Reply) -> str:
    """Name the request as AWS's support knows it."""
    request_id = reply.headers.get(b"x-amzn-requestid", b"").decode("latin-1")
    return f" (request {request_id})" if request_id else ""


def _service_time(reply: Reply) -> float | None:
    try:
        return parsedate_to_datetime(reply.headers[b"date"].decode("latin-1")).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
