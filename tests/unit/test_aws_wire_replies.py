"""What every kind of reply means."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation_api.adapters.aws_wire.connection import Reply
from reservation_api.adapters.aws_wire.errors import (
    AwsCallError,
    AwsNotSentError,
    AwsOutcomeUnknownError,
    AwsRefusedError,
    AwsThrottledError,
)
from reservation_api.adapters.aws_wire.replies import SignatureRefusedError, StillAtWorkError, answer

NAMESPACE = "com.amazonaws.dynamodb.v20120810#"
THROTTLES = [
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "TooManyRequestsException",
    "RequestThrottled",
    "ThrottledException",
    "SlowDown",
]
UNFINISHED = ["InternalServerError", "InternalFailure", "ServiceUnavailable", "RequestTimeout"]
SIGNATURES = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
]
REFUSALS = [
    "AccessDeniedException",
    "ConditionalCheckFailedException",
    "IdempotentParameterMismatchException",
    "ResourceNotFoundException",
    "TransactionCanceledException",
    "TransactionConflictException",
    "ValidationException",
]
EVERY_ERROR = [
    *((code, status, AwsThrottledError) for code in THROTTLES for status in (400, 500, 503)),
    *((code, status, AwsOutcomeUnknownError) for code in UNFINISHED for status in (400, 408, 500, 503)),
    *((code, status, StillAtWorkError) for code in ["TransactionInProgressException"] for status in (400,)),
    *((code, status, SignatureRefusedError) for code in SIGNATURES for status in (400, 403)),
    *((code, status, AwsRefusedError) for code in REFUSALS for status in (400, 403, 404, 413)),
    *(("Whatever", status, AwsOutcomeUnknownError) for status in (408, 500, 502, 503, 504, 599)),
    ("Whatever", 429, AwsThrottledError),
]


def error_of(status: int, body: object = None, **headers: str) -> AwsCallError:
    content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    with pytest.raises(AwsCallError) as caught:
        answer("GetItem", Reply(status, content, named))
    return caught.value


@pytest.mark.parametrize(("code", "status", "kind"), EVERY_ERROR)
def test_every_error_is_of_its_kind(code: str, status: int, kind: type[AwsCallError]) -> None:
    assert type(error_of(status, {"__type": NAMESPACE + code})) is kind


def test_a_refusal_has_everything_that_the_service_said() -> None:
    body: dict[str, Any] = {
        "__type": NAMESPACE + "TransactionCanceledException",
        "Message": "Transaction cancelled",
        "CancellationReasons": [
            {"Code": "None"},
            {"Code": "ConditionalCheckFailed", "Item": {"pk": {"S": "x"}}},
        ],
    }
    error = error_of(400, body)
    assert isinstance(error, AwsRefusedError)
    assert (error.operation, error.status, error.code) == ("GetItem", 400, "TransactionCanceledException")
    assert (error.message, error.body) == ("Transaction cancelled", body)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"__type": "com.amazonaws.dynamodb.v20120810#LimitExceededException"}, {}),
        ({"__type": "LimitExceededException"}, {}),
        (
            {"__type": "com.amazon.coral.service#LimitExceededException:http://internal.amazon.com/coral/#x"},
            {},
        ),
        ({"code": "aws.protocoltests.restjson#LimitExceededException"}, {}),
        ({"__type": "a#LimitExceededException"}, {"x_amzn_errortype": "Another"}),
        (b"", {"x_amzn_errortype": "LimitExceededException:http://internal.amazon.com/coral/"}),
        (b"<html>", {"x_amzn_errortype": "a#LimitExceededException"}),
    ],
)
def test_a_code_is_found_without_its_namespace(body: object, headers: dict[str, str]) -> None:
    error = error_of(400, body, **headers)
    assert isinstance(error, AwsRefusedError)
    assert error.code == "LimitExceededException"


@pytest.mark.parametrize(
    "body", [b"", b"<html>no</html>", b"[]", b"{}", b'{"__type": ""}', b'"text"', b"\xff"]
)
def test_an_error_without_a_code_has_that_of_http(body: bytes) -> None:
    error = error_of(413, body)
    assert isinstance(error, AwsRefusedError)
    assert error.code == "Http413"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"<html></html>",
        b'{"a": 1} {"b": 2}',
        b'{"a": "\xff"}',
        b'{"Item":' * 100_000,
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_an_answer_that_is_no_object_leaves_the_outcome_unknown(body: bytes) -> None:
    assert type(error_of(200, body)) is AwsOutcomeUnknownError


@pytest.mark.parametrize("status", [201, 204, 301, 304, 399])
def test_what_is_neither_an_answer_nor_an_error_leaves_the_outcome_unknown(status: int) -> None:
    assert type(error_of(status, {"Item": {}})) is AwsOutcomeUnknownError


def test_an_answer_is_decoded() -> None:
    assert answer("GetItem", Reply(200, '{"Item": {"n": {"N": "1"}, "s": {"S": "ü"}}}'.encode(), {})) == {
        "Item": {"n": {"N": "1"}, "s": {"S": "ü"}}
    }


def test_an_operation_without_an_output_answers_nothing() -> None:
    assert answer("DeleteMessage", Reply(200, b"", {})) == {}


def test_an_unknown_outcome_names_the_request_for_the_services_support() -> None:
    assert "REQUEST7" in str(error_of(500, {"__type": "InternalServerError"}, x_amzn_requestid="REQUEST7"))


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Mon, 23 Nov 2026 04:00:00 GMT", 1_795_406_400.0),
        ("Mon, 23 Nov 2026", None),
        ("now", None),
        ("Mon, 99 Nov 2026 04:00:00 GMT", None),
        ("1 Jan 999999999999 12:00:00", None),
        ("\xff", None),
    ],
)
def test_a_refused_signature_tells_the_services_time_if_it_is_one(date: str, seconds: float | None) -> None:
    error = error_of(400, {"__type": "x#InvalidSignatureException"}, date=date)
    assert isinstance(error, SignatureRefusedError)
    assert error.service_time == seconds


dates = st.binary(max_size=60) | st.from_regex(
    rb"(Mon, )?[0-9]{1,4} [A-Za-z]{3} [0-9]{1,20} [0-9:.]{0,10} ?[-+]?[0-9A-Z]{0,6}", fullmatch=True
)


@given(dates)
def test_no_date_is_too_odd(date: bytes) -> None:
    headers = {b"date": date}
    with pytest.raises(SignatureRefusedError):
        answer("GetItem", Reply(400, b'{"__type": "InvalidSignatureException"}', headers))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["__type", "code", "message"]), inner)
    ),
)
bodies = st.binary(max_size=100) | json_values.map(lambda value: json.dumps(value).encode())


@given(
    st.integers(200, 599),
    bodies,
    st.dictionaries(st.sampled_from([b"date", b"x-amzn-errortype"]), st.binary()),
)
def test_no_reply_is_too_odd(status: int, body: bytes, headers: dict[bytes, bytes]) -> None:
    """Whatever comes is an object or one of the errors, and nothing says that it surely was not sent."""
    try:
        answered = answer("GetItem", Reply(status, body, headers))
    except AwsCallError as error:
        assert not isinstance(error, AwsNotSentError)
        assert not (status >= 500 and type(error) is AwsRefusedError)
        assert not (status < 400 and isinstance(error, AwsRefusedError))
    else:
        assert (status, type(answered)) == (200, dict)
