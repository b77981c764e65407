"""What DynamoDB's refusals mean to us: a table of its errors, and one of a cancelled transaction's reasons.

AwsCallError                       ours
├── AwsUnansweredError             StoreUnavailableError: done or not; a retry with the same key is safe
└── AwsRefusedError, by its code   StoreUnavailableError: not done; it passes, or an operator mends it
                                   WrongRequestError: not done; a bug, which trying again does not mend
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

from reservation_api.adapters.aws_wire.errors import AwsCallError, AwsRefusedError
from reservation_api.domain.errors import StoreUnavailableError


class WrongRequestError(Exception):
    """DynamoDB finds malformed what this adapter asks: a bug, or tables of another shape."""


CANCELED: Final = "TransactionCanceledException"
CONFLICT: Final = "TransactionConflictException"
CONDITION_FAILED: Final = "ConditionalCheckFailedException"

FAILURES: Final[Mapping[str, type[Exception]]] = {
    # Of the service's state: it passes.
    "ProvisionedThroughputExceededException": StoreUnavailableError,
    "RequestLimitExceeded": StoreUnavailableError,
    "ThrottlingException": StoreUnavailableError,
    "InternalServerError": StoreUnavailableError,
    "ServiceUnavailable": StoreUnavailableError,
    "ReplicatedWriteConflictException": StoreUnavailableError,
    "TransactionInProgressException": StoreUnavailableError,
    CONFLICT: StoreUnavailableError,  # these two after as many tries as they were worth
    CANCELED: StoreUnavailableError,
    # Of the deployment: tables that are missing, credentials that are wrong. An operator mends it.
    "ResourceNotFoundException": StoreUnavailableError,
    "AccessDeniedException": StoreUnavailableError,
    "UnrecognizedClientException": StoreUnavailableError,
    "InvalidSignatureException": StoreUnavailableError,
    "IncompleteSignatureException": StoreUnavailableError,
    "MissingAuthenticationTokenException": StoreUnavailableError,
    "ExpiredTokenException": StoreUnavailableError,
    # Of what was asked.
    "ValidationException": WrongRequestError,
    "SerializationException": WrongRequestError,
    "UnknownOperationException": WrongRequestError,
    "IdempotentParameterMismatchException": WrongRequestError,
    "ItemCollectionSizeLimitExceededException": WrongRequestError,
    CONDITION_FAILED: WrongRequestError,  # whoever sets a condition looks for this before the table does
}


class Reason(Enum):
    """What one item of a cancelled transaction says of it."""

    FINE = "would have been written"
    REFUSED = "its condition does not hold"
    AGAIN = "its condition is unknown, since others were at work on it or the table was too busy"
    WRONG = "a bug"


REASONS: Final[Mapping[str, Reason]] = {
    "None": Reason.FINE,
    "ConditionalCheckFailed": Reason.REFUSED,
    "TransactionConflict": Reason.AGAIN,
    "ThrottlingError": Reason.AGAIN,
    "ProvisionedThroughputExceeded": Reason.AGAIN,
    "ItemCollectionSizeLimitExceeded": Reason.WRONG,
    "ValidationError": Reason.WRONG,
}


THROTTLED: Final = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})
"""Reasons for which trying again is more of what was too much."""


def failure_of(error: AwsCallError) -> Exception:
    """Return what to raise for a call that failed, `from` that error."""
    failure: Exception = StoreUnavailableError("the store gave no answer")
    if isinstance(error, AwsRefusedError):
        # An error that this table does not know says nothing of us: it passes, or an operator sees it.
        failure = FAILURES.get(error.code, StoreUnavailableError)(f"the store refuses: {error.code}")
    failure.add_note(str(error))  # for the log: it may name the account, and clients are shown the message
    return failure


def reasons_of(error: AwsRefusedError) -> Sequence[Mapping[str, Any]]:
    """Return the reasons of a cancelled transaction, one for each of its items, in their order."""
    reasons: Sequence[Mapping[str, Any]] = error.body.get("CancellationReasons") or []
    return reasons


def judgement_of(reasons: Sequence[Mapping[str, Any]]) -> Reason:
    """Say what became of a cancelled transaction as a whole.

    Refused, only if each condition is known: one that is not may be the one that decides.
    """
    found = {REASONS.get(reason["Code"], Reason.AGAIN) for reason in reasons}
    for reason in (Reason.WRONG, Reason.AGAIN, Reason.REFUSED):
        if reason in found:
            return reason
    return Reason.AGAIN


def is_throttled(reasons: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a table was too busy for some item of a cancelled transaction."""
    return any(reason["Code"] in THROTTLED for reason in reasons)
