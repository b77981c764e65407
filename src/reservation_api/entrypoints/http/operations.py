"""What a route is: enough to serve it, and to describe it in OpenAPI."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

import msgspec

from reservation_api.domain.errors import ReservationApiError
from reservation_api.entrypoints.http.queries import NoQuery
from reservation_api.entrypoints.http.request import Call, Response
from reservation_api.entrypoints.http.wire import CommandBody

ACTUATOR = "actuator"
"""The tag of what probes and operators ask for."""

Handler = Callable[[Call], Awaitable[Response]]


class Access(Enum):
    """Whom a route is for."""

    PUBLIC = "anybody"
    SUBJECT = "whoever has a token"
    OPERATOR = "whoever has a token with the scope reservation:ops"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    operation_id: str
    method: Literal["GET", "POST"]
    template: str
    tag: str
    summary: str
    description: str = ""
    access: Access = Access.SUBJECT
    is_urgent: bool = False
    """Whether it comes before others when there is too much to do: somebody pays, or gives back."""
    query: type[msgspec.Struct] = NoQuery
    body: type[CommandBody] | None = None
    status: int = 200
    answer: type[msgspec.Struct] | None = None
    """None: not JSON of our own types; `media_type` says what."""
    media_type: str = "application/json"
    also: Mapping[int, str] = field(default_factory=dict)
    """Further statuses that come with `answer`, and what they mean."""
    refusals: tuple[type[ReservationApiError], ...] = ()
    """Of the use case; those of HTTP itself follow from the rest."""

    @property
    def is_probe(self) -> bool:
        """Whether it is no traffic, but for whoever runs the service."""
        return self.tag == ACTUATOR

    @property
    def is_command(self) -> bool:
        """Whether it changes something: it has an Idempotency-Key, then."""
        return self.method == "POST"

    @property
    def parameter(self) -> str | None:
        """The name of the path's parameter."""
        return self.template.partition("{")[2].partition("}")[0] or None

    @property
    def endpoint(self) -> str:
        """Its name in metrics and logs."""
        return f"{self.method} {self.template}"
