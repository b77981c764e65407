"""A request and a response as the handlers see them: no server, no framework."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from reservation_api.ports.identity import Caller

MAX_BODY_BYTES = 16 * 1024
"""Four times the longest `reservation_token`: nothing a client may send is longer."""


class Headers(Protocol):
    """Request headers by lower-case name."""

    def get(self, key: str, /) -> str | None:
        """Return the first value, or None."""
        ...

    def get_all(self, key: str, /) -> list[str]:
        """Return every value, one per header line."""
        ...


class Body(Protocol):
    """The bytes of a request, read only when a handler asks for them."""

    async def read(self) -> bytes:
        """Return the whole body.

        Raises PayloadTooLargeError above MAX_BODY_BYTES, IncompleteBodyError if the client went away in
        the middle, SlowBodyError if it takes too long.
        """
        ...


@dataclass(slots=True)
class Request:
    """One request; `path` is decoded, `query` is as sent."""

    method: str
    path: str
    query: str
    headers: Headers
    body: Body


HeaderList = list[tuple[str, str]]


@dataclass(slots=True)
class Response:
    """One response; `headers` may be shared between responses: it is never changed."""

    status: int
    headers: HeaderList
    body: bytes


Answer = Response | Awaitable[Response]
"""A response that is known at once, which costs no task, or what is to be awaited for it."""


@dataclass(slots=True)
class Call:
    """A request on its way through a handler."""

    request: Request
    trace_id: str
    parameter: str
    """What the path has in place of the template's parameter; empty if there is none."""
    caller: Caller
    reservation_id: str | None = None
    """For the log: what the command was about, once it is known."""
    replayed: bool = False


SAFETY_HEADERS: HeaderList = [("cache-control", "no-store"), ("x-content-type-options", "nosniff")]
JSON_HEADERS: HeaderList = [("content-type", "application/json"), *SAFETY_HEADERS]
