"""The payment service's answers: what is paid, what is not, and what nobody knows."""

from collections.abc import Callable

import grpc
import pytest
from tests.support.grpc_peers import CannedPeer

from reservation_api.adapters.grpc_payment.verifier import REFUSALS, GrpcPaymentVerifier
from reservation_api.domain.errors import PaymentRefusedError, PaymentUnavailableError
from reservation_api.domain.values import Money, PaymentIntentId, ReservationId, UserId
from reservation_api.ports.payment import PaymentClaim
from reservation_proto.common.v1 import errors_pb2 as codes
from reservation_proto.common.v1 import types_pb2 as types
from reservation_proto.payment.v1 import payment_pb2 as wire

CLAIM = PaymentClaim(PaymentIntentId("pi_1"), ReservationId("rsv_1"), UserId("user"), Money(240_000, "KRW"))
REFUSED = {
    codes.ERROR_CODE_NOT_FOUND,
    codes.ERROR_CODE_FORBIDDEN,
    codes.ERROR_CODE_INVALID_ARGUMENT,
    codes.ERROR_CODE_PAYMENT_NOT_APPROVED,
}


def paid() -> wire.Payment:
    return wire.Payment(
        payment_intent_id="pi_1",
        reservation_id="rsv_1",
        user_id="user",
        status=wire.PAYMENT_STATUS_COMPLETED,
        amount=types.Money(amount=240_000, currency="KRW"),
    )


async def verify(reply: wire.GetPaymentStatusResponse | grpc.StatusCode) -> None:
    await GrpcPaymentVerifier(CannedPeer(reply)).verify(CLAIM)


async def test_a_completed_payment_for_this_reservation_and_amount_is_fine() -> None:
    peer = CannedPeer(wire.GetPaymentStatusResponse(payment=paid()))
    await GrpcPaymentVerifier(peer).verify(CLAIM)
    asked = wire.GetPaymentStatusRequest(payment_intent_id="pi_1", user_id="user")
    assert peer.asked == [("/payment.v1.PaymentService/GetPaymentStatus", asked, True)]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (wire.PAYMENT_STATUS_PENDING, "payment_pending"),
        (wire.PAYMENT_STATUS_PROCESSING, "payment_processing"),
        (wire.PAYMENT_STATUS_FAILED, "payment_failed"),
        (wire.PAYMENT_STATUS_CANCELLED, "payment_cancelled"),
        (wire.PAYMENT_STATUS_REFUNDED, "payment_refunded"),
        (wire.PAYMENT_STATUS_EXPIRED, "payment_expired"),
    ],
)
async def test_a_payment_that_is_not_completed_is_refused(status: wire.PaymentStatus, reason: str) -> None:
    payment = paid()
    payment.status = status
    payment.ClearField("amount")
    with pytest.raises(PaymentRefusedError) as refusal:
        await verify(wire.GetPaymentStatusResponse(payment=payment))
    assert refusal.value.data == {"reason": reason}


WRONG: dict[str, Callable[[wire.Payment], object]] = {
    "other_reservation": lambda payment: setattr(payment, "reservation_id", "rsv_2"),
    "other_reservation, none at all": lambda payment: payment.ClearField("reservation_id"),
    "other_amount": lambda payment: setattr(payment.amount, "amount", 239_999),
    "other_amount, too much": lambda payment: setattr(payment.amount, "amount", 240_001),
    "other_amount, in dollars": lambda payment: setattr(payment.amount, "currency", "USD"),
    "unknown_payment": lambda payment: setattr(payment, "user_id", "other"),
}


@pytest.mark.parametrize("reason", WRONG)
async def test_a_payment_of_something_else_is_refused(reason: str) -> None:
    payment = paid()
    WRONG[reason](payment)
    with pytest.raises(PaymentRefusedError) as refusal:
        await verify(wire.GetPaymentStatusResponse(payment=payment))
    assert refusal.value.data == {"reason": reason.partition(",")[0]}


@pytest.mark.parametrize("status", wire.PaymentStatus.values())
async def test_of_anothers_payment_nothing_is_learnt(status: wire.PaymentStatus) -> None:
    payment = paid()
    payment.user_id, payment.status, payment.reservation_id = "other", status, "rsv_2"
    with pytest.raises(PaymentRefusedError) as others:
        await verify(wire.GetPaymentStatusResponse(payment=payment))
    with pytest.raises(PaymentRefusedError) as unknown:
        await verify(wire.GetPaymentStatusResponse(error=codes.Error(code=codes.ERROR_CODE_NOT_FOUND)))
    assert (str(others.value), others.value.data) == (str(unknown.value), unknown.value.data)


ODD: dict[str, Callable[[wire.Payment], object]] = {
    "another payment": lambda payment: setattr(payment, "payment_intent_id", "pi_2"),
    "no status": lambda payment: payment.ClearField("status"),
    "a status of tomorrow": lambda payment: setattr(payment, "status", 9),
    "no amount": lambda payment: payment.ClearField("amount"),
    "nothing": lambda payment: payment.Clear(),
}


@pytest.mark.parametrize("spoil", ODD.values(), ids=ODD)
async def test_an_answer_that_can_not_be_is_no_answer(spoil: Callable[[wire.Payment], object]) -> None:
    payment = paid()
    spoil(payment)
    with pytest.raises(PaymentUnavailableError):
        await verify(wire.GetPaymentStatusResponse(payment=payment))


def test_every_code_has_its_row() -> None:
    assert REFUSALS.keys() == set(codes.ErrorCode.values())


@pytest.mark.parametrize("code", [*codes.ErrorCode.values(), 99])
async def test_every_code_is_a_refusal_or_an_outage(code: codes.ErrorCode) -> None:
    error = codes.Error(code=code, message="SELECT secret")
    with pytest.raises(PaymentRefusedError if code in REFUSED else PaymentUnavailableError) as raised:
        await verify(wire.GetPaymentStatusResponse(error=error, payment=paid()))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("status", [s for s in grpc.StatusCode if s is not grpc.StatusCode.OK])
async def test_every_status_is_an_outage_but_what_only_the_service_says(status: grpc.StatusCode) -> None:
    refused = status in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}
    with pytest.raises(PaymentRefusedError if refused else PaymentUnavailableError):
        await verify(status)
