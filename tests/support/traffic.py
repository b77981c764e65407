"""A sale as an open-model load: reads, holds and confirms at a fixed rate, with every answer on record."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count

from bench.load import Arrival, LoadPlan, run
from bench.tally import LoadResult
from bench.wire import Request, Response


class Kind(Enum):
    """What a request asks for."""

    READ = "r"
    HOLD = "h"
    CONFIRM = "c"


HOLDS_ONLY = "h"
SALE = "rrhrrhrrrhrrhrrrhrcr"
"""14 reads, 5 holds and a confirm, again and again."""
_SUCCESS = {Kind.READ: 200, Kind.HOLD: 201, Kind.CONFIRM: 200}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer; instants are those of `time.perf_counter`."""

    kind: Kind
    request: Request
    due: float
    """When it should have been sent: waiting for a free connection counts."""
    answered_at: float
    response: Response

    @property
    def succeeded(self) -> bool:
        return self.response.status == _SUCCESS[self.kind]

    def header(self, name: str) -> str:
        return self.response.fields.get(name.encode(), b"").decode()


class Traffic:
    """One buyer's requests to one server: holds of one seat, each read many times, some confirmed."""

    def __init__(self, port: int, authorization: str, event_id: str) -> None:
        self.exchanges: list[Exchange] = []
        self.sent = 0
        self._port = port
        self._headers = {"Authorization": authorization}
        self._command_headers = {**self._headers, "Content-Type": "application/json"}
        self._hold = json.dumps({"event_id": event_id, "qty": 1}).encode()
        self._held: list[str] = []
        self._unconfirmed: deque[str] = deque()
        self._keys = count(1)
        self._milestones: dict[int, asyncio.Event] = {}

    async def run(self, rate: float, seconds: float, mix: str) -> LoadResult:
        """Send new requests of this mix; there must have been holds before anything else."""
        return await self._send(
            LoadPlan(self._port, rate, seconds), lambda number: self._new(Kind(mix[number % len(mix)]))
        )

    async def repeat(self, exchanges: Sequence[Exchange], rate: float) -> list[Exchange]:
        """Send the requests of these again, as they were; return the new exchanges."""
        plan = LoadPlan(self._port, rate, len(exchanges) / rate)
        before = len(self.exchanges)
        await self._send(plan, lambda number: (exchanges[number].kind, exchanges[number].request))
        return self.exchanges[before:]

    async def has_sent(self, number: int) -> None:
        """Return when so many requests have been sent, earlier runs' included."""
        if self.sent < number:
            await self._milestones.setdefault(number, asyncio.Event()).wait()

    async def _send(self, plan: LoadPlan, make: Callable[[int], tuple[Kind, Request]]) -> LoadResult:
        under_way: dict[int, tuple[Kind, Request]] = {}

        def make_and_keep(number: int) -> Request:
            under_way[number] = make(number)
            self._count_sent()
            return under_way[number][1]

        def keep(arrival: Arrival, response: Response) -> None:
            kind, request = under_way.pop(arrival.number)
            self._keep(Exchange(kind, request, arrival.due, time.perf_counter(), response))

        return await run(plan, make_and_keep, keep)

    def _count_sent(self) -> None:
        self.sent += 1
        if reached := self._milestones.pop(self.sent, None):
            reached.set()

    def _keep(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        if exchange.kind is Kind.HOLD and exchange.succeeded:
            reservation_id = json.loads(exchange.response.body)["reservation_id"]
            self._held.append(reservation_id)
            self._unconfirmed.append(reservation_id)

    def _new(self, kind: Kind) -> tuple[Kind, Request]:
        number = next(self._keys)
        path, headers = "/v1/reservations", {**self._command_headers, "Idempotency-Key": f"traffic-{number}"}
        match kind:
            case Kind.READ:
                return kind, Request(
                    "GET", f"{path}/{self._held[number % len(self._held)]}", self._headers, b""
                )
            case Kind.HOLD:
                return kind, Request("POST", path, headers, self._hold)
            case Kind.CONFIRM:
                body = json.dumps({"payment_intent_id": f"pi_{number}"}).encode()
                reservation_id = self._unconfirmed.popleft()
                return kind, Request("POST", f"{path}/{reservation_id}/confirm", headers, body)
