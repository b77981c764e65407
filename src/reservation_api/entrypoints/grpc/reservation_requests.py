"""What callers ask of the reservation service: checked as strictly as HTTP does, and every fault listed."""

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from reservation_api.application.confirm import Payment
from reservation_api.application.extend import Extension
from reservation_api.application.hold import SeatsWanted
from reservation_api.domain.errors import InvalidRequestError
from reservation_api.domain.reservation import Status
from reservation_api.domain.values import (
    MAX_SEATS_PER_RESERVATION,
    EventId,
    PaymentIntentId,
    ReservationId,
    SeatId,
    UserId,
)
from reservation_api.entrypoints.http.cursors import MAX_CURSOR_LENGTH
from reservation_api.entrypoints.http.idempotency import MAX_KEY_LENGTH
from reservation_api.entrypoints.http.queries import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from reservation_api.entrypoints.http.wire import (
    MAX_EXTENSION_SECONDS,
    MAX_ID_LENGTH,
    MAX_PAYMENT_ID_LENGTH,
    MAX_TOKEN_LENGTH,
    is_id,
    is_printable_ascii,
)
from reservation_proto.reservation.v1 import reservation_pb2 as wire

MAX_USER_ID_LENGTH = 255
"""As long as a token's subject may be (OpenID Connect Core section 2)."""

STATUSES = {
    wire.RESERVATION_STATUS_PENDING: None,
    wire.RESERVATION_STATUS_HOLD: Status.HOLD,
    wire.RESERVATION_STATUS_CONFIRMED: Status.CONFIRMED,
    wire.RESERVATION_STATUS_CANCELLED: Status.CANCELLED,
    wire.RESERVATION_STATUS_EXPIRED: Status.EXPIRED,
    wire.RESERVATION_STATUS_FAILED: None,
    wire.RESERVATION_STATUS_REFUNDED: None,
}
"""What may be asked for; None: no reservation of this service is ever in it."""

M = TypeVar("M", bound=Message)

_ID_FAULT = f"must be 1 to {MAX_ID_LENGTH} letters, digits and . _ : -"


def parse(message_type: type[M], raw: bytes) -> M:
    """Return the message; raises InvalidRequestError for bytes that are none."""
    try:
        return message_type.FromString(raw)
    except DecodeError as error:
        raise invalid(["message: can not be decoded"]) from error


def invalid(faults: list[str]) -> InvalidRequestError:
    """Make the refusal of a request with these faults, each `field: what is wrong`."""
    return InvalidRequestError("the request is not valid", errors=faults)


class Checks:
    """Collects the faults of one request."""

    def __init__(self) -> None:
        self._faults: list[str] = []

    def expect(self, field: str, fault: str, *, holds: bool) -> None:
        """Note a fault unless the condition holds."""
        if not holds:
            self._faults.append(f"{field}: {fault}")

    def id(self, field: str, text: str) -> None:
        """Expect an id."""
        self.expect(field, _ID_FAULT, holds=is_id(text))

    def done(self) -> None:
        """Raise InvalidRequestError if there was any fault."""
        if self._faults:
            raise invalid(self._faults)


def check_user_id(user_id: str) -> None:
    """Raise InvalidRequestError for a name that no subject can have; empty is nobody's name, and fine."""
    checks = Checks()
    is_name = len(user_id) <= MAX_USER_ID_LENGTH and user_id.isprintable()
    checks.expect("user_id", f"must be at most {MAX_USER_ID_LENGTH} printable characters", holds=is_name)
    checks.done()


def named_user(user_id: UserId | None) -> UserId:
    """Return the user; raises InvalidRequestError if a trusted caller named none where it must."""
    if user_id is None:
        raise invalid(["user_id: must be set"])
    return user_id


def check_key(key: str) -> None:
    """Raise InvalidRequestError for a key that is none."""
    checks = Checks()
    fault = f"must be 1 to {MAX_KEY_LENGTH} printable ASCII characters"
    checks.expect("idempotency_key", fault, holds=0 < len(key) <= MAX_KEY_LENGTH and is_printable_ascii(key))
    checks.done()


def seats_wanted(request: wire.CreateReservationRequest) -> SeatsWanted:
    """Read a hold; raises InvalidRequestError."""
    checks = Checks()
    seat_ids, quantity, token = tuple(request.seat_ids), request.quantity, request.reservation_token
    checks.id("event_id", request.event_id)
    is_count = 1 <= quantity <= MAX_SEATS_PER_RESERVATION
    checks.expect("quantity", f"must be 1 to {MAX_SEATS_PER_RESERVATION}", holds=is_count)
    checks.expect("seat_ids", "must be as many as quantity, or none", holds=len(seat_ids) in (0, quantity))
    checks.expect("seat_ids", "must all be different", holds=len(set(seat_ids)) == len(seat_ids))
    checks.expect("seat_ids", f"each {_ID_FAULT}", holds=all(map(is_id, seat_ids)))
    is_token = len(token) <= MAX_TOKEN_LENGTH and is_printable_ascii(token)
    fault = f"must be at most {MAX_TOKEN_LENGTH} printable ASCII characters"
    checks.expect("reservation_token", fault, holds=is_token)
    checks.done()
    return SeatsWanted(EventId(request.event_id), quantity, tuple(map(SeatId, seat_ids)), token or None)


def reservation_id_of(reservation_id: str) -> ReservationId:
    """Read the id that a request is about; raises InvalidRequestError."""
    checks = Checks()
    checks.id("reservation_id", reservation_id)
    checks.done()
    return ReservationId(reservation_id)


def payment_of(request: wire.ConfirmReservationRequest) -> Payment:
    """Read a confirm; raises InvalidRequestError."""
    checks = Checks()
    payment = request.payment_intent_id
    checks.id("reservation_id", request.reservation_id)
    is_payment = (
        0 < len(payment) <= MAX_PAYMENT_ID_LENGTH and is_printable_ascii(payment) and " " not in payment
    )
    fault = f"must be 1 to {MAX_PAYMENT_ID_LENGTH} printable ASCII characters without spaces"
    checks.expect("payment_intent_id", fault, holds=is_payment)
    checks.done()
    return Payment(ReservationId(request.reservation_id), PaymentIntentId(payment))


def extension_of(request: wire.ExtendHoldRequest) -> Extension:
    """Read an extension; raises InvalidRequestError."""
    checks = Checks()
    seconds = request.extension_seconds
    checks.id("reservation_id", request.reservation_id)
    is_extension = 1 <= seconds <= MAX_EXTENSION_SECONDS
    checks.expect("extension_seconds", f"must be 1 to {MAX_EXTENSION_SECONDS}", holds=is_extension)
    checks.done()
    return Extension(ReservationId(request.reservation_id), seconds)


def check_list(request: wire.ListReservationsRequest) -> None:
    """Raise InvalidRequestError for a filter or a page that there is not.

    Lists have cursors, not page numbers; beside a cursor a number is not looked at.
    """
    checks = Checks()
    page = request.pagination
    is_status = not request.status or request.status in STATUSES
    checks.expect("status", "is not a status", holds=is_status)
    if request.event_id:
        checks.id("event_id", request.event_id)
    is_first = page.page in (0, 1) or bool(page.cursor)
    checks.expect("pagination.page", "page numbers are not supported: use the cursor", holds=is_first)
    is_size = 0 <= page.page_size <= MAX_PAGE_SIZE
    checks.expect("pagination.page_size", f"must be 1 to {MAX_PAGE_SIZE}", holds=is_size)
    is_short = len(page.cursor) <= MAX_CURSOR_LENGTH
    checks.expect("pagination.cursor", "is too long", holds=is_short)
    checks.done()


def page_size_of(request: wire.ListReservationsRequest) -> int:
    """Return how many reservations are wanted; 0 is a field never set."""
    return request.pagination.page_size or DEFAULT_PAGE_SIZE
