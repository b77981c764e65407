"""The HTTP API without sockets: requests as a server would hand them over, and answers to look into."""

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from tests.support.overload import unhurried
from tests.support.runtimes import Ports

from reservation_api.adapters.trusting_payment.verifier import TrustingPaymentVerifier
from reservation_api.application.cancel import Cancel
from reservation_api.application.confirm import Confirm
from reservation_api.application.extend import Extend
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.application.health import Health, Readiness
from reservation_api.application.hold import Hold
from reservation_api.application.outbox_entries import Offer
from reservation_api.application.queries import Queries
from reservation_api.application.use_cases import UseCases
from reservation_api.domain.reservation import HoldPolicy
from reservation_api.domain.values import UserId
from reservation_api.entrypoints.http.app import Api
from reservation_api.entrypoints.http.request import Request, Response
from reservation_api.ports.clock import Clock
from reservation_api.ports.identity import Caller, InvalidTokenError
from reservation_api.ports.outbox import OutboxEntry
from reservation_api.telemetry.metrics import Metrics

JSON = ("content-type", "application/json")


class MemoryHeaders:
    """Headers as pairs; names in lower case."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self._pairs = list(pairs)

    def get(self, key: str, /) -> str | None:
        return next((value for name, value in self._pairs if name == key), None)

    def get_all(self, key: str, /) -> list[str]:
        return [value for name, value in self._pairs if name == key]


class MemoryBody:
    """A body that has arrived; it counts how often it was read."""

    def __init__(self, content: bytes = b"", error: Exception | None = None) -> None:
        self._content = content
        self._error = error
        self.reads = 0

    async def read(self) -> bytes:
        self.reads += 1
        if self._error is not None:
            raise self._error
        return self._content


class NamedTokens:
    """Tokens that say whose they are: `user-1`, or `user-1+reservation:admin`."""

    async def verify(self, token: str) -> Caller:
        subject, *scopes = token.split("+")
        if not subject.startswith("user-"):
            raise InvalidTokenError("the signature is wrong")
        return Caller(UserId(subject), frozenset(scopes))


def make_api(
    use_cases: UseCases,
    clock: Clock,
    *,
    tokens: Any = None,
    health: Health | None = None,
    metrics: Metrics | None = None,
) -> Api:
    """Wire an Api that accepts traffic, however busy the machine is."""
    health = health or ready()
    api = Api(use_cases, tokens or NamedTokens(), health, clock, metrics or Metrics())
    api.guards = unhurried()
    return api


def ready(checks: Mapping[str, Any] | None = None) -> Health:
    health = Health(checks or {})
    health.readiness = Readiness.ACCEPTING_TRAFFIC
    return health


class Answered:
    """A response, and what is in it."""

    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.body = response.body
        self.headers = dict(response.headers)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of a problem."""
        code: str | None = self.json["code"]
        return code


async def answer_of(api: Api, request: Request) -> Response:
    """Ask as a connection does."""
    answer = api(request)
    return answer if isinstance(answer, Response) else await answer


class Client:
    """Asks an Api as one subject; headers given replace the client's own, None leaves one out."""

    def __init__(self, api: Api, token: str = "user-1") -> None:
        self.api = api
        self.token = token
        self._keys = 0

    async def send(
        self,
        method: str,
        target: str,
        content: bytes = b"",
        headers: Mapping[str, str | None] | None = None,
    ) -> Answered:
        path, _, query = target.partition("?")
        own = {"authorization": f"Bearer {self.token}"} if self.token else {}
        pairs = [(name, value) for name, value in {**own, **(headers or {})}.items() if value is not None]
        request = Request(method, path, query, MemoryHeaders(pairs), MemoryBody(content))
        return Answered(await answer_of(self.api, request))

    async def get(self, target: str, **headers: str | None) -> Answered:
        return await self.send("GET", target, headers=_dashed(headers))

    async def post(self, target: str, body: Any = None, **headers: str | None) -> Answered:
        """Send a body as JSON (bytes as they are) under a new key, unless one is given."""
        self._keys += 1
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        own: dict[str, str | None] = {"idempotency-key": f"key-{self._keys}"}
        if content:
            own["content-type"] = "application/json"
        return await self.send("POST", target, content, {**own, **_dashed(headers)})


def _dashed(headers: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def offer_to_nobody(_entries: Sequence[OutboxEntry]) -> None:
    """Leave rows to the workers."""


def make_use_cases(
    ports: Ports, clock: Clock, policy: HoldPolicy | None = None, offer: Offer = offer_to_nobody
) -> UseCases:
    """Wire the use cases over a runtime's ports."""
    policy = policy or HoldPolicy()
    finish = FinishConfirm(ports.store, ports.inventory, clock, offer)
    return UseCases(
        hold=Hold(ports.store, ports.inventory, clock, policy, offer),
        confirm=Confirm(ports.store, TrustingPaymentVerifier(), clock, finish),
        cancel=Cancel(ports.store, clock, offer),
        extend=Extend(ports.store, ports.inventory, clock, policy),
        queries=Queries(ports.store, ports.read_model, ports.inventory),
    )


def answering(answer: Any) -> UseCases:
    """Make use cases that all return this, or raise it."""

    async def use_case(*_: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    queries = SimpleNamespace(**dict.fromkeys(_QUERIES, use_case))
    return cast("UseCases", SimpleNamespace(**dict.fromkeys(_COMMANDS, use_case), queries=queries))


_COMMANDS = ("hold", "confirm", "cancel", "extend")
_QUERIES = (
    "reservation",
    "order",
    "reservations",
    "orders",
    "orders_of_event",
    "inventory_status",
    "available_seats",
)
