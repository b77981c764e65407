"""The payment service behind `payment.v1.PaymentService`: is this reservation paid for?"""

from collections.abc import Mapping
from typing import Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from reservation_api.domain.errors import PaymentRefusedError, PaymentUnavailableError
from reservation_api.domain.values import Money
from reservation_api.ports.payment import PaymentClaim
from reservation_proto.common.v1 import errors_pb2 as codes
from reservation_proto.payment.v1 import payment_pb2 as wire

METHOD = "/payment.v1.PaymentService/GetPaymentStatus"

Reply = TypeVar("Reply", bound=Message)

# True: the payment service says for certain that this subject has no such payment. False: nobody knows.
# Nothing is asked of a payment that is refused: it may be completed, and the confirm tried again.
REFUSALS: Mapping[int, bool] = {
    codes.ERROR_CODE_UNSPECIFIED: False,
    codes.ERROR_CODE_UNAUTHENTICATED: False,  # this service's own credentials, as UNAUTHORIZED is
    codes.ERROR_CODE_FORBIDDEN: True,  # the payment is another user's
    codes.ERROR_CODE_UNAUTHORIZED: False,
    codes.ERROR_CODE_INVALID_ARGUMENT: True,
    codes.ERROR_CODE_NOT_FOUND: True,
    codes.ERROR_CODE_ALREADY_EXISTS: False,
    codes.ERROR_CODE_FAILED_PRECONDITION: False,
    codes.ERROR_CODE_RATE_LIMITED: False,
    codes.ERROR_CODE_QUOTA_EXCEEDED: False,
    codes.ERROR_CODE_IDEMPOTENCY_REQUIRED: False,
    codes.ERROR_CODE_IDEMPOTENCY_CONFLICT: False,
    codes.ERROR_CODE_RESERVATION_EXPIRED: False,
    codes.ERROR_CODE_PAYMENT_NOT_APPROVED: True,
    codes.ERROR_CODE_INVENTORY_CONFLICT: False,
    codes.ERROR_CODE_INSUFFICIENT_INVENTORY: False,
    codes.ERROR_CODE_INTERNAL: False,
    codes.ERROR_CODE_UNAVAILABLE: False,
    codes.ERROR_CODE_TIMEOUT: False,
    codes.ERROR_CODE_UPSTREAM_TIMEOUT: False,
    codes.ERROR_CODE_UPSTREAM_ERROR: False,
    codes.ERROR_CODE_DATA_CORRUPTION: False,
    codes.ERROR_CODE_CONCURRENT_MODIFICATION: False,
}
# Statuses that only the payment service's own code gives; the others may come from anything on the way.
REFUSING_STATUSES = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT})

_NOT_COMPLETED: Mapping[int, str] = {
    wire.PAYMENT_STATUS_PENDING: "pending",
    wire.PAYMENT_STATUS_PROCESSING: "processing",
    wire.PAYMENT_STATUS_FAILED: "failed",
    wire.PAYMENT_STATUS_CANCELLED: "cancelled",
    wire.PAYMENT_STATUS_REFUNDED: "refunded",
    wire.PAYMENT_STATUS_EXPIRED: "expired",
}


class Peer(Protocol):
    """How the payment service is called; adapters.grpc_inventory.peer.GrpcPeer is one."""

    async def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Reply:
        """Return the reply; raises grpc.aio.AioRpcError whatever went wrong."""
        ...

    async def close(self) -> None:
        """Give back the connections; may be repeated."""
        ...


class GrpcPaymentVerifier:
    """Implements ports.payment.PaymentVerifier over the wire.

    A payment that is pending or processing is refused like one that failed: nothing is stored for a
    refusal, so the subject tries again when it is completed, under the same key if they like.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def verify(self, claim: PaymentClaim) -> None:
        """Return if the payment is completed, this user's, for this reservation and of this amount.

        Raises PaymentRefusedError (`reason`) if it is not, PaymentUnavailableError if nobody can tell.
        """
        request = wire.GetPaymentStatusRequest(
            payment_intent_id=claim.payment_intent_id, user_id=claim.user_id
        )
        try:
            reply = await self._peer.call(METHOD, request, wire.GetPaymentStatusResponse, repeatable=True)
        except grpc.aio.AioRpcError as error:
            raise _refusal_of_status(error.code()) from error
        if reply.HasField("error"):
            raise _refusal_of(reply.error)
        _check_payment(claim, reply.payment)

    async def close(self) -> None:
        """Give back the connections; may be repeated."""
        await self._peer.close()


def _check_payment(claim: PaymentClaim, payment: wire.Payment) -> None:
    """Check whose payment it is before what has become of it: nobody learns of another's payment."""
    if payment.payment_intent_id != claim.payment_intent_id:
        raise PaymentUnavailableError("the payment service's answer is about another payment")
    if payment.user_id != claim.user_id:
        raise _unknown_payment()
    if payment.reservation_id != claim.reservation_id:
        raise PaymentRefusedError("the payment is for something else", reason="other_reservation")
    if payment.status in _NOT_COMPLETED:
        state = _NOT_COMPLETED[payment.status]
        raise PaymentRefusedError(f"the payment is not completed but {state}", reason=f"payment_{state}")
    if payment.status != wire.PAYMENT_STATUS_COMPLETED or not payment.HasField("amount"):
        raise PaymentUnavailableError("the payment service's answer can not be believed")
    if Money(payment.amount.amount, payment.amount.currency) != claim.amount:
        raise PaymentRefusedError("the payment is of another amount", reason="other_amount")


def _refusal_of(error: codes.Error) -> Exception:
    if REFUSALS.get(error.code, False):
        return _unknown_payment()
    unavailable = PaymentUnavailableError(f"the payment service failed with code {error.code}")
    unavailable.add_note(f"it said: {error.message[:200]}")
    return unavailable


def _refusal_of_status(status: grpc.StatusCode) -> Exception:
    if status in REFUSING_STATUSES:
        return _unknown_payment()
    return PaymentUnavailableError(f"the payment service gave no answer: {status.name}")


def _unknown_payment() -> PaymentRefusedError:
    return PaymentRefusedError("the subject has no such payment", reason="unknown_payment")
