"""The payment verifier: is this reservation paid for?"""

from dataclasses import dataclass
from typing import Protocol

from reservation_api.domain.values import Money, PaymentIntentId, ReservationId, UserId


@dataclass(frozen=True, slots=True)
class PaymentClaim:
    """What a subject says has been paid."""

    payment_intent_id: PaymentIntentId
    reservation_id: ReservationId
    user_id: UserId
    amount: Money


class PaymentVerifier(Protocol):
    """Asks the payment service; it never takes money."""

    async def verify(self, claim: PaymentClaim) -> None:
        """Return if the payment is completed, for this reservation and of this amount.

        Raises PaymentRefusedError if it is not, PaymentUnavailableError if nobody can tell.
        """
        ...
