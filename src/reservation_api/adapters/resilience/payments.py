"""A payment service behind a circuit breaker and a bulkhead: what can not answer now is not asked."""

from reservation_api.adapters.resilience.admission import Admission
from reservation_api.adapters.resilience.guard import Guard
from reservation_api.domain.errors import PaymentUnavailableError
from reservation_api.ports.payment import PaymentClaim, PaymentVerifier
from reservation_api.ports.request_context import present_seconds_left


class GuardedPaymentVerifier:
    """Implements ports.payment.PaymentVerifier over another one; a refused payment is an answer."""

    def __init__(self, payments: PaymentVerifier, admission: Admission) -> None:
        self._payments = payments
        self._guard = Guard(admission, PaymentUnavailableError, seconds_left=present_seconds_left)

    async def verify(self, claim: PaymentClaim) -> None:
        """Return if it is paid; raises as the port says, with `retry_after_seconds` if nobody was asked."""
        await self._guard.call(lambda: self._payments.verify(claim))
