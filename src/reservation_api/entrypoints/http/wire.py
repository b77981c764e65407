"""What goes over the wire: the bodies we take, and the answers we give.

Each bound is told twice, once to msgspec and once, where JSON Schema has a word that msgspec does not
check, by hand; the OpenAPI document is made from these very types.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from reservation_api.domain.values import MAX_SEATS_PER_RESERVATION, EventId, PaymentIntentId, SeatId

ID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"
MAX_ID_LENGTH = 64
MAX_TOKEN_LENGTH = 4096
MAX_PAYMENT_ID_LENGTH = 128
MAX_EXTENSION_SECONDS = 300
ID_PATTERN = "^[A-Za-z0-9._:-]+$"

_ID = Meta(min_length=1, max_length=MAX_ID_LENGTH, extra_json_schema={"pattern": ID_PATTERN})
EventIdText = Annotated[EventId, _ID]
SeatIdText = Annotated[SeatId, _ID]
OpaqueToken = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TOKEN_LENGTH,
        description="Opaque; passed on to the event, not verified.",
        extra_json_schema={"pattern": "^[ -~]+$"},
    ),
]
PaymentIdText = Annotated[
    PaymentIntentId,
    Meta(min_length=1, max_length=MAX_PAYMENT_ID_LENGTH, extra_json_schema={"pattern": "^[!-~]+$"}),
]
SeatIds = Annotated[
    tuple[SeatIdText, ...],
    Meta(
        min_length=1,
        max_length=MAX_SEATS_PER_RESERVATION,
        description="As many as `qty`, all different; left out: the best available, adjacent first.",
        extra_json_schema={"uniqueItems": True},
    ),
]
Instant = Annotated[
    str,
    Meta(
        description="UTC, always with milliseconds.",
        extra_json_schema={
            "format": "date-time",
            "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
        },
    ),
]
StatusText = Literal["HOLD", "CONFIRMED", "CANCELLED", "EXPIRED"]


def is_id(text: str) -> bool:
    """Tell whether a text is an id as the bodies have it."""
    return 0 < len(text) <= MAX_ID_LENGTH and not text.strip(ID_CHARACTERS)


def check_id(name: str, text: str) -> None:
    """Raise ValueError for characters that no id has; msgspec has checked the length."""
    if text.strip(ID_CHARACTERS):
        raise ValueError(f"{name}: only letters, digits and . _ : - are allowed")


def is_printable_ascii(text: str) -> bool:
    """Tell whether all characters are from space to tilde."""
    return text.isascii() and text.isprintable()


class CommandBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A body of a POST: flat, of texts, numbers and lists of texts; null is the same as left out."""

    def count_texts(self) -> int:
        """Count the texts in this body's JSON, the names of its fields included."""
        raise NotImplementedError


class HoldBody(CommandBody, frozen=True):
    """Which seats of which event to hold."""

    event_id: EventIdText
    qty: Annotated[int, Meta(ge=1, le=MAX_SEATS_PER_RESERVATION, description="How many seats.")]
    seat_ids: SeatIds | None = None
    reservation_token: OpaqueToken | None = None

    def __post_init__(self) -> None:
        check_id("event_id", self.event_id)
        if self.reservation_token is not None and not is_printable_ascii(self.reservation_token):
            raise ValueError("reservation_token: only printable ASCII is allowed")
        if self.seat_ids is not None:
            for seat_id in self.seat_ids:
                check_id("seat_ids", seat_id)
            if len(self.seat_ids) != self.qty:
                raise ValueError("seat_ids: must be as many as qty")
            if len(set(self.seat_ids)) != self.qty:
                raise ValueError("seat_ids: must all be different")

    def count_texts(self) -> int:
        """Count the texts in this body's JSON."""
        always = 3  # event_id, its value, qty
        seats = 0 if self.seat_ids is None else 1 + len(self.seat_ids)
        return always + seats + (0 if self.reservation_token is None else 2)


class ConfirmBody(CommandBody, frozen=True):
    """What the reservation was paid with."""

    payment_intent_id: PaymentIdText

    def __post_init__(self) -> None:
        if not is_printable_ascii(self.payment_intent_id) or " " in self.payment_intent_id:
            raise ValueError("payment_intent_id: only printable ASCII without spaces is allowed")

    def count_texts(self) -> int:
        """Count the texts in this body's JSON."""
        return 2


class ExtendBody(CommandBody, frozen=True):
    """By how much the hold should last longer."""

    seconds: Annotated[int, Meta(ge=1, le=MAX_EXTENSION_SECONDS)]

    def count_texts(self) -> int:
        """Count the texts in this body's JSON."""
        return 1


class CancelBody(CommandBody, frozen=True):
    """Nothing: an empty object, or no body at all."""

    def count_texts(self) -> int:
        """Count the texts in this body's JSON."""
        return 0


class MoneyAnswer(Struct, frozen=True):
    """An amount in minor units of an ISO 4217 currency (KRW has none: 1 is one won)."""

    amount: int
    currency: Annotated[str, Meta(examples=["KRW"])]


class SeatAnswer(Struct, frozen=True):
    """A seat, and its price when it was held (or now, if it is free)."""

    seat_id: str
    section: str
    row: str
    number: str
    price: MoneyAnswer


class HeldReservation(Struct, frozen=True):
    """A reservation on HOLD, as just made."""

    reservation_id: str
    event_id: str
    status: StatusText
    qty: int
    seat_ids: list[str]
    total_amount: MoneyAnswer
    hold_expires_at: Instant
    expires_in_seconds: Annotated[
        int, Meta(ge=0, description="Of the hold, rounded up, when the request was first answered.")
    ]
    created_at: Instant


class ReservationAnswer(Struct, frozen=True):
    """A reservation as it is."""

    reservation_id: str
    event_id: str
    status: StatusText
    qty: int
    seat_ids: list[str]
    seats: list[SeatAnswer]
    total_amount: MoneyAnswer
    hold_expires_at: Instant
    expires_in_seconds: Annotated[int, Meta(ge=0, description="Of the hold, rounded up; 0 when it is over.")]
    created_at: Instant
    updated_at: Instant
    version: Annotated[int, Meta(ge=1, description="Orders the events of this reservation.")]
    order_id: str | UnsetType = UNSET
    payment_intent_id: str | UnsetType = UNSET


class OrderAnswer(Struct, frozen=True):
    """An order: seats sold."""

    order_id: str
    reservation_id: str
    event_id: str
    status: Annotated[str, Meta(examples=["CONFIRMED"])]
    qty: int
    seat_ids: list[str]
    total_amount: MoneyAnswer
    payment_intent_id: str
    created_at: Instant


class ReservationList(Struct, frozen=True):
    """One page; without `next_cursor` it is the last."""

    items: list[ReservationAnswer]
    next_cursor: str | UnsetType = UNSET


class OrderList(Struct, frozen=True):
    """One page; without `next_cursor` it is the last."""

    items: list[OrderAnswer]
    next_cursor: str | UnsetType = UNSET


class SectionAnswer(Struct, frozen=True):
    """A section's seats, counted, and what they cost."""

    section: str
    total: int
    available: int
    held: int
    sold: int
    blocked: int
    min_price: MoneyAnswer
    max_price: MoneyAnswer


class AvailabilityAnswer(Struct, frozen=True):
    """An event's seats, counted; with `section` or `seat_ids` in the query, free seats by id too."""

    event_id: str
    name: str
    total: int
    available: int
    held: int
    sold: int
    blocked: int
    sections: list[SectionAnswer]
    available_seats: list[SeatAnswer] | UnsetType = UNSET
    unavailable_seat_ids: (
        Annotated[
            list[str],
            Meta(description="Of the seats asked for by id: those held, sold, blocked or unknown."),
        ]
        | UnsetType
    ) = UNSET


class Problem(Struct, frozen=True):
    """RFC 9457 problem details; `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    trace_id: str
    errors: Annotated[list[str], Meta(description="400: each fault of the request.")] | UnsetType = UNSET
    conflicts: Annotated[list[str], Meta(description="409: the seats that are taken.")] | UnsetType = UNSET
    remaining: Annotated[int, Meta(description="409: how many seats are free.")] | UnsetType = UNSET
    reservation_status: (
        Annotated[StatusText, Meta(description="409: the state that forbids the move.")] | UnsetType
    ) = UNSET
    hold_expires_at: Instant | UnsetType = UNSET


encode = msgspec.json.Encoder().encode


def schema_of(types: list[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the JSON Schemas of types, and of what they refer to, as OpenAPI components."""
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return list(schemas), dict(components)
