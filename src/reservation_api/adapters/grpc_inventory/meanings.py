"""What the inventory's codes mean to us: the one table from the wire's refusals to ours.

A refusal is believed only if it says for certain what was not done. Everything else leaves the outcome
unknown, which is an InventoryUnavailableError: the same request may be sent again.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc

from reservation_api.domain.errors import (
    InvalidRequestError,
    InventoryUnavailableError,
    NotFoundError,
    SeatsTakenError,
    SoldOutError,
)
from reservation_api.domain.values import MAX_SEATS_PER_RESERVATION
from reservation_api.ports.inventory import CommitOutcome, HoldEndedError, ReleaseOutcome
from reservation_proto.common.v1 import errors_pb2 as codes

Refusal = Callable[[codes.Error], Exception]

MAX_LISTED_FAULTS = 20
"""Of a refused request; it has at most ten seats."""
MAX_FAULT_LENGTH = 200

_SEAT_FIELDS = frozenset({"seat_ids", "seat_id", "unavailable_seat_ids"})
"""Details under these names name a seat that is taken."""
_COUNT = re.compile(r"[0-9]{1,9}")


def _invalid(error: codes.Error) -> Exception:
    faults = [f"{detail.field}: {detail.reason}"[:MAX_FAULT_LENGTH] for detail in error.details]
    return InvalidRequestError("the inventory can not serve this request", errors=faults[:MAX_LISTED_FAULTS])


def _not_found(_: codes.Error) -> Exception:
    return NotFoundError("the inventory knows no such event or section")


def _hold_ended(_: codes.Error) -> Exception:
    return HoldEndedError("the inventory has ended this hold")


def _taken(error: codes.Error) -> Exception:
    named = dict.fromkeys(detail.value for detail in error.details if detail.field in _SEAT_FIELDS)
    return SeatsTakenError("seats are taken", conflicts=list(named)[:MAX_SEATS_PER_RESERVATION])


def _sold_out(error: codes.Error) -> Exception:
    told = [detail.value for detail in error.details if detail.field == "remaining"]
    remaining = int(told[0]) if told and _COUNT.fullmatch(told[0]) else 0
    return SoldOutError("too few seats are free", remaining=remaining)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code says for certain, by what was asked; None: nothing, the outcome is unknown.

    A commit is never answered by raising a refusal: whoever finishes a confirm takes one for an outcome
    that is on record, and would leave the intent standing for good.
    """

    refusal: Refusal | None = None
    """Of a reserve, or of a question."""
    commit: CommitOutcome | None = None
    release: ReleaseOutcome | None = None


_UNKNOWN = Meaning()

MEANINGS: Mapping[int, Meaning] = {
    codes.ERROR_CODE_UNSPECIFIED: _UNKNOWN,
    # These three are about this service's own credentials: an operator's matter, not a client's.
    codes.ERROR_CODE_UNAUTHENTICATED: _UNKNOWN,
    codes.ERROR_CODE_FORBIDDEN: _UNKNOWN,
    codes.ERROR_CODE_UNAUTHORIZED: _UNKNOWN,
    codes.ERROR_CODE_INVALID_ARGUMENT: Meaning(_invalid, release=ReleaseOutcome.FAILED),
    # The id is unknown to a commit if its hold ended so long ago that it was forgotten.
    codes.ERROR_CODE_NOT_FOUND: Meaning(_not_found, CommitOutcome.HOLD_EXPIRED, ReleaseOutcome.NOT_FOUND),
    codes.ERROR_CODE_ALREADY_EXISTS: _UNKNOWN,
    # Whatever it is that fails, it was not reserved: 400 and no retry. It says too little about a commit.
    codes.ERROR_CODE_FAILED_PRECONDITION: Meaning(_invalid, release=ReleaseOutcome.FAILED),
    codes.ERROR_CODE_RATE_LIMITED: _UNKNOWN,
    codes.ERROR_CODE_QUOTA_EXCEEDED: _UNKNOWN,
    # A key is always sent, and a repeated one must get the first answer: the inventory breaks its word.
    codes.ERROR_CODE_IDEMPOTENCY_REQUIRED: _UNKNOWN,
    codes.ERROR_CODE_IDEMPOTENCY_CONFLICT: _UNKNOWN,
    codes.ERROR_CODE_RESERVATION_EXPIRED: Meaning(
        _hold_ended, CommitOutcome.HOLD_EXPIRED, ReleaseOutcome.ALREADY_RELEASED
    ),
    codes.ERROR_CODE_PAYMENT_NOT_APPROVED: Meaning(commit=CommitOutcome.PAYMENT_REFUSED),
    codes.ERROR_CODE_INVENTORY_CONFLICT: Meaning(_taken, CommitOutcome.SEATS_CONFLICT, ReleaseOutcome.FAILED),
    codes.ERROR_CODE_INSUFFICIENT_INVENTORY: Meaning(_sold_out, CommitOutcome.SEATS_CONFLICT),
    codes.ERROR_CODE_INTERNAL: _UNKNOWN,
    codes.ERROR_CODE_UNAVAILABLE: _UNKNOWN,
    codes.ERROR_CODE_TIMEOUT: _UNKNOWN,
    codes.ERROR_CODE_UPSTREAM_TIMEOUT: _UNKNOWN,
    codes.ERROR_CODE_UPSTREAM_ERROR: _UNKNOWN,
    codes.ERROR_CODE_DATA_CORRUPTION: _UNKNOWN,
    codes.ERROR_CODE_CONCURRENT_MODIFICATION: _UNKNOWN,
}

# Statuses are for what went wrong on the way, and most of them can come from a proxy. The two that only
# the inventory's own code gives are taken as refusals of a reserve or a question; never of a commit.
STATUSES: Mapping[grpc.StatusCode, Refusal | None] = {
    grpc.StatusCode.OK: None,
    grpc.StatusCode.CANCELLED: None,
    grpc.StatusCode.UNKNOWN: None,
    grpc.StatusCode.INVALID_ARGUMENT: _invalid,
    grpc.StatusCode.DEADLINE_EXCEEDED: None,
    grpc.StatusCode.NOT_FOUND: _not_found,
    grpc.StatusCode.ALREADY_EXISTS: None,
    grpc.StatusCode.PERMISSION_DENIED: None,
    grpc.StatusCode.UNAUTHENTICATED: None,
    grpc.StatusCode.RESOURCE_EXHAUSTED: None,
    grpc.StatusCode.FAILED_PRECONDITION: None,
    grpc.StatusCode.ABORTED: None,
    grpc.StatusCode.UNIMPLEMENTED: None,
    grpc.StatusCode.INTERNAL: None,
    grpc.StatusCode.UNAVAILABLE: None,
    grpc.StatusCode.DATA_LOSS: None,
    grpc.StatusCode.OUT_OF_RANGE: None,
}


def meaning_of(error: codes.Error) -> Meaning:
    """Return what an error means; a code that this contract does not know means nothing certain."""
    return MEANINGS.get(error.code, _UNKNOWN)


def refusal_of(error: codes.Error) -> Exception:
    """Return what to raise for the error of a reserve or a question."""
    refusal = meaning_of(error).refusal
    return unknown_outcome(error) if refusal is None else refusal(error)


def refusal_of_status(status: grpc.StatusCode) -> Exception:
    """Return what to raise for the gRPC status of a reserve or a question."""
    refusal = STATUSES.get(status)
    return unreached(status) if refusal is None else refusal(codes.Error())


def unreached(status: grpc.StatusCode) -> InventoryUnavailableError:
    """Return what to raise for a call that has no reply; the cause says more, and is not for clients."""
    return InventoryUnavailableError(f"the inventory gave no answer: {status.name}")


def unknown_outcome(error: codes.Error, status: int = 0) -> InventoryUnavailableError:
    """Return what to raise for a reply that leaves the outcome unknown; its text is for the log only."""
    unavailable = InventoryUnavailableError(f"the inventory answered code {error.code}, status {status}")
    unavailable.add_note(f"it said: {error.message[:MAX_FAULT_LENGTH]}")
    return unavailable
