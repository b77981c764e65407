"""Clients of a running service, over real sockets: many subjects, kept-alive connections.

async with Connections(server.url) as connections:
    alice = connections.as_user(users.token("alice"))
    answer = await alice.send(Command("/v1/reservations", {"event_id": "evt_1", "qty": 2}, key="k-1"))
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from types import TracebackType
from typing import Any, Self

import httpx

from reservation_api.bootstrap import open_issuer
from reservation_api.config import load
from reservation_api.entrypoints.workers.loops import pause_until

REQUEST_SECONDS = 20.0
"""Longer than anything a sound server takes, the wait for another process's commit included."""
MAX_CONNECTIONS = 100
TOKEN_SECONDS = 600
POLL_SECONDS = 0.05

_numbers = count(1)


class NoAnswerError(Exception):
    """The connection was refused, or broke before the answer was whole: nobody knows what was done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, whole."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_replayed(self) -> bool:
        return bool(self.headers.get("idempotency-replayed") == "true")

    @property
    def code(self) -> str | None:
        """The code of a problem; None for what is none."""
        if self.headers.get("content-type") != "application/problem+json":
            return None
        code: str = self.json["code"]
        return code

    def same_as(self, other: "Answer") -> bool:
        """Tell whether status and body are alike, byte for byte."""
        return (self.status, self.body) == (other.status, other.body)

    def __str__(self) -> str:
        return f"{self.status} {dict(self.headers)} {self.body[:500]!r}"


@dataclass(frozen=True, slots=True)
class Command:
    """A POST that can be sent again as it was: same path, same bytes, same key."""

    path: str
    body: bytes
    key: str

    @classmethod
    def new(cls, path: str, body: Any = None, key: str | None = None) -> Self:
        """Make a command under a key of its own, unless one is given; no body: an empty object."""
        return cls(path, json.dumps({} if body is None else body).encode(), key or f"key-{next(_numbers)}")


class Connections:
    """Connections to one server, shared by its clients."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=REQUEST_SECONDS,
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
            trust_env=False,
        )

    def as_user(self, token: str | None) -> "Client":
        """Return a client that sends this token, or none."""
        return Client(self._http, {} if token is None else {"authorization": f"Bearer {token}"})

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)


@dataclass(frozen=True, slots=True)
class Client:
    """Asks as one subject; each method raises NoAnswerError."""

    http: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **query: str | int) -> Answer:
        return await self.request("GET", path, params=query)

    async def post(self, path: str, body: Any = None, key: str | None = None) -> Answer:
        return await self.send(Command.new(path, body, key))

    async def send(self, command: Command) -> Answer:
        headers = {"content-type": "application/json", "idempotency-key": command.key}
        return await self.request("POST", command.path, headers=headers, content=command.body)

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        headers = {**self.headers, **options.pop("headers", {})}
        try:
            response = await self.http.request(method, path, headers=headers, **options)
        except httpx.TransportError as error:
            raise NoAnswerError(repr(error)) from error
        return Answer(response.status_code, response.headers, response.content)


class Users:
    """Tokens of the embedded issuer of a server's environment, without a process for each."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._issuer = open_issuer(load(environment))

    def token(self, subject: str, scopes: Sequence[str] = ()) -> str:
        return self._issuer.issue(subject, scopes, TOKEN_SECONDS, datetime.now(UTC))


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Ask again and again until the condition holds; raises TimeoutError."""
    pause = pause_until(asyncio.Event())
    async with asyncio.timeout(seconds):
        while not await condition():
            await pause(POLL_SECONDS)
