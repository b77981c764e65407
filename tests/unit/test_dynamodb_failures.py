"""Every error that DynamoDB has, and every reason of a cancelled transaction, means something to us."""

import inspect

import pytest
from botocore.session import get_session
from tests.support.dynamodb_faults import cancelled

from reservation_api.adapters.aws_wire import errors
from reservation_api.adapters.aws_wire.errors import (
    AwsCallError,
    AwsNotSentError,
    AwsOutcomeUnknownError,
    AwsRefusedError,
    AwsThrottledError,
)
from reservation_api.adapters.dynamodb.failures import (
    CANCELED,
    FAILURES,
    REASONS,
    Reason,
    WrongRequestError,
    failure_of,
    judgement_of,
    reasons_of,
)
from reservation_api.domain.errors import ReservationApiError, StoreUnavailableError

OPERATIONS = (
    *("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem", "BatchWriteItem"),
    "TransactWriteItems",
)
"""All that the service's role allows; a transaction is allowed by what it consists of."""
COMMON_CODES = {
    *("AccessDeniedException", "IncompleteSignatureException", "MissingAuthenticationTokenException"),
    *("UnrecognizedClientException", "ValidationException", "ServiceUnavailable", "ExpiredTokenException"),
}
"""Of every operation (DynamoDB Developer Guide, "Error messages and codes")."""
REASON_CODES = {
    *("None", "ConditionalCheckFailed", "ItemCollectionSizeLimitExceeded", "TransactionConflict"),
    *("ProvisionedThroughputExceeded", "ThrottlingError", "ValidationError"),
}
"""Of a cancelled transaction (API Reference, TransactWriteItems)."""


def _refused(code: str) -> AwsRefusedError:
    body = {"message": "User: arn:aws:sts::123456789012:role/x is not authorized"}
    return AwsRefusedError("Query", 400, code, body)


def _shape_names(operation: str) -> set[str]:
    model = get_session().get_service_model("dynamodb")
    return {shape.name for shape in model.operation_model(operation).error_shapes}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_error_of_an_operation_is_in_the_table(operation: str) -> None:
    assert _shape_names(operation) <= FAILURES.keys()


def test_every_error_of_all_operations_is_in_the_table() -> None:
    assert FAILURES.keys() >= COMMON_CODES


def test_every_reason_is_in_the_table() -> None:
    assert REASONS.keys() == REASON_CODES


def test_every_kind_of_failed_call_becomes_ours() -> None:
    kinds = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, AwsCallError) and not kind.__subclasses__()
    }
    made = [
        AwsThrottledError("Query", 400, "ThrottlingException", {}),
        AwsNotSentError("no connection"),
        AwsOutcomeUnknownError("time-out"),
    ]
    assert kinds <= {type(error) for error in made}
    for error in made:
        assert isinstance(failure_of(error), StoreUnavailableError)


@pytest.mark.parametrize("code", FAILURES)
def test_a_code_becomes_what_the_table_says(code: str) -> None:
    assert type(failure_of(_refused(code))) is FAILURES[code]


def test_a_bug_is_no_refusal_that_a_client_could_mend() -> None:
    assert not issubclass(WrongRequestError, ReservationApiError)
    assert FAILURES["ValidationException"] is WrongRequestError
    assert FAILURES["IdempotentParameterMismatchException"] is WrongRequestError


def test_a_code_that_nobody_knows_passes_for_an_outage() -> None:
    assert isinstance(failure_of(_refused("NewlyInventedException")), StoreUnavailableError)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException"])
def test_what_a_client_may_see_names_no_account_and_the_log_does(code: str) -> None:
    failure = failure_of(_refused(code))
    assert "123456789012" not in str(failure)
    assert "123456789012" in failure.__notes__[0]


@pytest.mark.parametrize(
    ("codes", "judgement"),
    [
        (["None", "ConditionalCheckFailed"], Reason.REFUSED),
        (["ConditionalCheckFailed", "ConditionalCheckFailed"], Reason.REFUSED),
        (["TransactionConflict", "None"], Reason.AGAIN),
        (["TransactionConflict", "ConditionalCheckFailed"], Reason.AGAIN),
        (["ConditionalCheckFailed", "ThrottlingError"], Reason.AGAIN),
        (["ConditionalCheckFailed", "ProvisionedThroughputExceeded"], Reason.AGAIN),
        (["ConditionalCheckFailed", "NewlyInvented"], Reason.AGAIN),
        (["ConditionalCheckFailed", "ValidationError"], Reason.WRONG),
        (["TransactionConflict", "ItemCollectionSizeLimitExceeded"], Reason.WRONG),
        ([], Reason.AGAIN),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else value.name,
)
def test_a_transaction_is_refused_only_if_every_condition_is_known(
    codes: list[str], judgement: Reason
) -> None:
    assert judgement_of(reasons_of(cancelled(*codes))) is judgement


def test_a_cancelled_transaction_without_reasons_has_none() -> None:
    assert reasons_of(AwsRefusedError("TransactWriteItems", 400, CANCELED, {})) == []
