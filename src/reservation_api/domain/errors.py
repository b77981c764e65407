"""Every refusal the domain knows.

ReservationApiError
├── RefusedError              the command has no effect and says why
│   ├── InvalidRequestError        a field is missing, unknown or out of bounds
│   ├── NotFoundError              no such thing, or another subject's
│   ├── SeatsTakenError            seats are held or sold (names them)
│   ├── SoldOutError               fewer free seats than wanted
│   ├── WrongStateError            the reservation's state forbids the move
│   ├── HoldExpiredError           the hold is over
│   ├── PaymentRefusedError        the payment does not cover the reservation
│   ├── PaymentAlreadyUsedError    the payment intent pays for another reservation
│   └── IdempotencyMismatchError   the key was used for another request
└── UnavailableError          nobody knows yet; trying again is safe
    ├── StoreUnavailableError
    ├── InventoryUnavailableError
    ├── EventBusUnavailableError
    ├── PaymentUnavailableError
    ├── IdentityUnavailableError
    └── OverloadedError            refused before anything was tried
"""

from typing import Any, ClassVar


class ReservationApiError(Exception):
    """The root; `code` is stable and public, `data` is what a client may be told."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.data = data
        self.trace_id: str | None = None
        """Set when the refusal is on record: the trace of the request that was first answered with it."""
        self.replayed = False


class RefusedError(ReservationApiError):
    """A command refused without effect; trying again may turn out otherwise."""

    code = "refused"


class InvalidRequestError(RefusedError):
    """The request breaks its schema or a bound; `errors` lists the faults."""

    code = "invalid_request"


class NotFoundError(RefusedError):
    """No such thing for this subject; the same answer when it is somebody else's."""

    code = "not_found"


class SeatsTakenError(RefusedError):
    """`conflicts` lists the wanted seats that are held or sold."""

    code = "seats_taken"


class SoldOutError(RefusedError):
    """`remaining` is how many seats are free, fewer than wanted."""

    code = "sold_out"


class WrongStateError(RefusedError):
    """`status` is the state that forbids the move."""

    code = "wrong_state"


class HoldExpiredError(RefusedError):
    """The hold ended at `hold_expires_at`; its seats are free or about to be."""

    code = "hold_expired"


class PaymentRefusedError(RefusedError):
    """The payment is not completed, or is for something else."""

    code = "payment_refused"


class PaymentAlreadyUsedError(RefusedError):
    """A payment intent pays for one reservation only (invariant 2)."""

    code = "payment_already_used"


class IdempotencyMismatchError(RefusedError):
    """The Idempotency-Key belongs to a request with another method, path or body."""

    code = "idempotency_key_reused"


class UnavailableError(ReservationApiError):
    """A dependency gave no answer; the outcome is unknown and a retry with the same key is safe."""

    code = "unavailable"


class StoreUnavailableError(UnavailableError):
    """The store refused, timed out, or its answer was lost."""

    code = "store_unavailable"


class InventoryUnavailableError(UnavailableError):
    """The inventory refused, timed out, or answered nonsense."""

    code = "inventory_unavailable"


class EventBusUnavailableError(UnavailableError):
    """The event bus is out of reach or throttling."""

    code = "event_bus_unavailable"


class PaymentUnavailableError(UnavailableError):
    """The payment service gave no answer."""

    code = "payment_unavailable"


class IdentityUnavailableError(UnavailableError):
    """The issuer's keys can not be had, so nobody can be let in."""

    code = "identity_unavailable"


class OverloadedError(UnavailableError):
    """A bound of this process is reached; nothing was tried."""

    code = "overloaded"
