"""What may stand behind the `?` of each list; unknown parameters are refused."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from reservation_api.entrypoints.http.cursors import MAX_CURSOR_LENGTH
from reservation_api.entrypoints.http.wire import SeatIdText, StatusText, check_id

MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 20
MAX_SEATS_ASKED_FOR = 100
MAX_SECTION_LENGTH = 64
MAX_TAG_LENGTH = 200

_Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE_SIZE, description="Items on a page.")]
_Cursor = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_CURSOR_LENGTH,
        description="`next_cursor` of the page before; good for the same caller, list and filter only.",
        extra_json_schema={"pattern": "^[A-Za-z0-9_-]+$"},
    ),
]


class NoQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing."""


class PageQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which page of a list."""

    limit: _Limit = DEFAULT_PAGE_SIZE
    cursor: _Cursor | UnsetType = UNSET


class ReservationsQuery(PageQuery, frozen=True):
    """Which page of the reservations, in one status or in any."""

    status: StatusText | UnsetType = UNSET


class AvailabilityQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Of which part of the venue free seats are wanted by id; neither: counts only."""

    section: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=MAX_SECTION_LENGTH,
                extra_json_schema={"pattern": "^[^\\u0000-\\u001f\\u007f]+$"},
            ),
        ]
        | UnsetType
    ) = UNSET
    seat_ids: (
        Annotated[
            tuple[SeatIdText, ...],
            Meta(min_length=1, max_length=MAX_SEATS_ASKED_FOR, description="Separated by commas."),
        ]
        | UnsetType
    ) = UNSET

    def __post_init__(self) -> None:
        if self.section is not UNSET and any(c < " " or c == "\x7f" for c in self.section):
            raise ValueError("section: control characters are not allowed")
        for seat_id in () if self.seat_ids is UNSET else self.seat_ids:
            check_id("seat_ids", seat_id)


class MetricQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which children of a metric."""

    tag: (
        Annotated[
            str,
            Meta(
                max_length=MAX_TAG_LENGTH,
                description="`LABEL:VALUE`.",
                extra_json_schema={"pattern": "^[^:]+:"},
            ),
        ]
        | UnsetType
    ) = UNSET

    def __post_init__(self) -> None:
        if self.tag is not UNSET and not self.tag.partition(":")[1]:
            raise ValueError("tag: must be LABEL:VALUE")
