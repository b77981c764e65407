"""A payment verifier that believes the caller: for one machine and for development."""

from reservation_api.ports.payment import PaymentClaim


class TrustingPaymentVerifier:
    """Takes every payment intent as paid; profile `prod` refuses it unless it is asked for by name."""

    async def verify(self, claim: PaymentClaim) -> None:
        """Believe the claim. That one intent pays for one reservation is still held by the store."""
        del claim
