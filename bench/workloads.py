"""What is asked of the service: hold seats, read reservations, confirm holds."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from bench.load import Arrival, LoadPlan, RequestMaker, run
from bench.server import Server
from bench.tally import LoadResult
from bench.wire import Request, Response

Name = Literal["hold", "get", "confirm"]
NAMES: tuple[Name, ...] = ("hold", "get", "confirm")
EXPECTED_STATUS: dict[Name, int] = {"hold": 201, "get": 200, "confirm": 200}
QTY = 2
MIN_GOOD_SHARE = 0.99
"""With more refusals than that a figure tells of refusals."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much load: requests a second, for how many seconds, over how many connections."""

    rate_per_second: float
    seconds: float
    connections: int = 64

    def plan(self, port: int) -> LoadPlan:
        """Aim the pace at a server on this machine."""
        return LoadPlan(port, self.rate_per_second, self.seconds, self.connections)


class _Held(msgspec.Struct):
    reservation_id: str


@dataclass(slots=True)
class Session:
    """One client of one server; it keeps the ids of its last holds for the workloads after it."""

    server: Server
    held: list[str] = field(default_factory=list)
    word: str = field(default_factory=lambda: secrets.token_hex(4))
    """Keeps keys apart between sessions."""
    runs: int = 0

    async def run(self, name: Name, pace: Pace) -> LoadResult:
        """Run a workload; `get` and `confirm` need a `hold` before them, at most a minute ago."""
        self.runs += 1
        plan = pace.plan(self.server.port)
        match name:
            case "hold":
                self.held = []
                return await run(plan, self._hold(), self._keep)
            case "get":
                return await run(plan, self._get(_enough(self.held, 1)))
            case "confirm":
                return await run(plan, self._confirm(_enough(self.held, plan.arrivals)))

    def _keep(self, _: Arrival, response: Response) -> None:
        if response.status == EXPECTED_STATUS["hold"]:
            self.held.append(_decode(response.body).reservation_id)

    def _hold(self) -> RequestMaker:
        headers = self._command_headers()
        body = msgspec.json.encode({"event_id": self.server.event_id, "qty": QTY})

        def make(number: int) -> Request:
            return Request("POST", "/v1/reservations", headers | self._key(number), body)

        return make

    def _get(self, ids: Sequence[str]) -> RequestMaker:
        headers = {"Authorization": f"Bearer {self.server.token}"}

        def make(number: int) -> Request:
            return Request("GET", f"/v1/reservations/{ids[number % len(ids)]}", headers, b"")

        return make

    def _confirm(self, ids: Sequence[str]) -> RequestMaker:
        headers = self._command_headers()

        def make(number: int) -> Request:
            body = b'{"payment_intent_id":"pi_%s_%d_%d"}' % (self.word.encode(), self.runs, number)
            path = f"/v1/reservations/{ids[number]}/confirm"
            return Request("POST", path, headers | self._key(number), body)

        return make

    def _command_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.server.token}", "Content-Type": "application/json"}

    def _key(self, number: int) -> dict[str, str]:
        return {"Idempotency-Key": f"{self.word}-{self.runs}-{number}"}


_decode = msgspec.json.Decoder(_Held).decode


class TooFewHoldsError(Exception):
    """The workload before did not make as many holds as this one needs."""


def _enough(ids: Sequence[str], needed: int) -> Sequence[str]:
    if len(ids) < needed:
        raise TooFewHoldsError(f"{needed} holds are needed, and there are {len(ids)}")
    return ids


def is_good(name: Name, result: LoadResult) -> bool:
    """Tell whether nearly every request got the answer that the workload is about."""
    return result.statuses.get(EXPECTED_STATUS[name], 0) >= MIN_GOOD_SHARE * result.planned
