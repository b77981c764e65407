"""What is asked of the service, and whose reservations it is asked for."""

import random
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, Protocol, get_args

import msgspec

from bench.canned_aws import canned_id
from bench.load import AnswerHook, Arrival, LoadPlan, run
from bench.server import QTY, SMALL_EVENT_ID, Server
from bench.tally import LoadResult
from bench.wire import Request, Response

Name = Literal["hold", "get", "confirm", "cancel", "sale", "conflict", "replay"]
NAMES: tuple[Name, ...] = get_args(Name)
MIN_GOOD_SHARE = 0.99
"""With more refusals than that a figure tells of refusals."""
MAX_REMEMBERED: Final = 20_000
"""Holds that are looked at later: those of the last minutes."""
TIMES_SENT: Final = 3
"""Each request of the replay storm."""


class Op(Enum):
    """What one request asks for."""

    HOLD = "hold"
    GET = "get"
    CONFIRM = "confirm"
    CANCEL = "cancel"


SALE_SHARES: Mapping[Op, float] = {Op.GET: 0.70, Op.HOLD: 0.20, Op.CONFIRM: 0.07, Op.CANCEL: 0.03}
"""The sale mix."""


def _mixed(shares: Mapping[Op, float]) -> tuple[Op, ...]:
    """Return a hundred requests in these shares, in an order without a rhythm, the same each time."""
    ops = [op for op, share in shares.items() for _ in range(round(share * 100))]
    random.Random(7).shuffle(ops)
    return tuple(ops)


@dataclass(frozen=True, slots=True)
class Workload:
    """What is asked for in turns, and which answers are no failures."""

    ops: tuple[Op, ...]
    expected: frozenset[int]
    event_id: str | None = None
    """Another than the server's."""
    times: int = 1
    """How often each request is sent."""


_GOOD: Final = frozenset({200, 201})
WORKLOADS: Mapping[Name, Workload] = {
    "hold": Workload((Op.HOLD,), frozenset({201})),
    "get": Workload((Op.GET,), frozenset({200})),
    "confirm": Workload((Op.CONFIRM,), frozenset({200})),
    "cancel": Workload((Op.CANCEL,), frozenset({200})),
    "sale": Workload(_mixed(SALE_SHARES), _GOOD),
    "conflict": Workload((Op.HOLD,), frozenset({201, 409}), event_id=SMALL_EVENT_ID),
    "replay": Workload((Op.HOLD,), frozenset({201}), times=TIMES_SENT),
}


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


_decode = msgspec.json.Decoder(_Held).decode


class TooFewHoldsError(Exception):
    """The workload before did not make as many holds as this one needs."""


class Book(Protocol):
    """Which reservations there are, and whose they are."""

    def keep(self, subject: int, reservation_id: str) -> None:
        """Note a hold."""

    def asked(self, op: Op) -> Op:
        """Return what is asked when it is the turn of `op`."""
        ...

    def pick(self, op: Op, number: int) -> tuple[int, str]:
        """Choose one to look at, or to move; raises TooFewHoldsError."""


class CannedBook:
    """At canned endpoints any reservation is on hold, for ever: nothing needs to be noted."""

    def __init__(self, subjects: int) -> None:
        self._subjects = subjects

    def keep(self, subject: int, reservation_id: str) -> None:
        """Forget it."""

    def asked(self, op: Op) -> Op:
        """Return it: there is always a hold to move."""
        return op

    def pick(self, op: Op, number: int) -> tuple[int, str]:
        """Choose one by the request's number."""
        del op
        subject = number % self._subjects
        return subject, canned_id(subject, number)


class BuyersBook(CannedBook):
    """At canned endpoints, too, but of those alone who got a hold some confirm and some cancel it.

    They are as many of a hundred as in the sale mix. Whoever was turned away looks again instead.
    """

    def __init__(self, subjects: int) -> None:
        super().__init__(subjects)
        self._to_come = dict.fromkeys((Op.CONFIRM, Op.CANCEL), 0.0)

    def keep(self, subject: int, reservation_id: str) -> None:
        """Note what will come of a hold."""
        del subject, reservation_id
        for op in self._to_come:
            self._to_come[op] += SALE_SHARES[op] / SALE_SHARES[Op.HOLD]

    def asked(self, op: Op) -> Op:
        """Return a look where nobody has a hold to move."""
        if op not in self._to_come:
            return op
        if self._to_come[op] < 1:
            return Op.GET
        self._to_come[op] -= 1
        return op


class RealBook:
    """The holds that were made; the newest are moved first, the others expire some day."""

    def __init__(self) -> None:
        self._held: deque[tuple[int, str]] = deque(maxlen=MAX_REMEMBERED)
        self._readable: list[tuple[int, str]] = []
        self._kept = 0

    def keep(self, subject: int, reservation_id: str) -> None:
        """Note a hold, in place of the oldest that is looked at."""
        hold = (subject, reservation_id)
        self._held.append(hold)
        if len(self._readable) < MAX_REMEMBERED:
            self._readable.append(hold)
        else:
            self._readable[self._kept % MAX_REMEMBERED] = hold
        self._kept += 1

    def asked(self, op: Op) -> Op:
        """Return it: for want of holds a run fails."""
        return op

    def pick(self, op: Op, number: int) -> tuple[int, str]:
        """Choose one of all for a look; else the newest, which nobody moves again."""
        known: Sequence[tuple[int, str]] = self._readable if op is Op.GET else self._held
        if not known:
            raise TooFewHoldsError("there are no holds that could be looked at or moved: hold some before")
        return known[number % len(known)] if op is Op.GET else self._held.pop()


@dataclass(slots=True)
class Session:
    """The clients of one server."""

    server: Server
    book: Book = field(default_factory=RealBook)
    word: str = field(default_factory=lambda: secrets.token_hex(4))
    """Keeps keys apart between sessions."""
    runs: int = 0

    async def run(self, name: Name, pace: Pace, hook: AnswerHook | None = None) -> LoadResult:
        """Run a workload; raises TooFewHoldsError if there were too few holds before."""
        self.runs += 1
        requests = _Requests(self, WORKLOADS[name], f"{self.word}-{self.runs}")
        return await run(pace.plan(self.server.port), requests.make, requests.seen(hook))

    async def greet(self, rate: float, connections: int = 16) -> None:
        """Ask once for each subject: tokens are verified and remembered."""
        count = len(self.server.tokens)

        def look(number: int) -> Request:
            return Request("GET", f"/v1/reservations/{canned_id(number, 0)}", self._who(number), b"")

        await run(LoadPlan(self.server.port, rate, count / rate, connections), look)

    def _who(self, subject: int) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.server.tokens[subject]}"}

    def request(self, op: Op, number: int, key: str, event_id: str) -> Request:
        """Make a request; the same number and key make the same again, as long as the book has the same."""
        op = self.book.asked(op)
        if op is Op.HOLD:
            subject = number % len(self.server.tokens)
            body = b'{"event_id":"%s","qty":%d}' % (event_id.encode(), QTY)
            return Request("POST", "/v1/reservations", self._command(subject, key), body)
        subject, reservation_id = self.book.pick(op, number)
        path = f"/v1/reservations/{reservation_id}"
        if op is Op.GET:
            return Request("GET", path, self._who(subject), b"")
        body = b'{"payment_intent_id":"pi_%s"}' % key.encode() if op is Op.CONFIRM else b""
        return Request("POST", f"{path}/{op.value}", self._command(subject, key), body)

    def _command(self, subject: int, key: str) -> dict[str, str]:
        return {**self._who(subject), "Content-Type": "application/json", "Idempotency-Key": key}


@dataclass(frozen=True, slots=True)
class _Requests:
    """The requests of one run."""

    session: Session
    workload: Workload
    word: str

    def make(self, number: int) -> Request:
        first = number // self.workload.times
        event_id = self.workload.event_id or self.session.server.event_id
        return self.session.request(self._op(number), first, f"{self.word}-{first}", event_id)

    def _op(self, number: int) -> Op:
        return self.workload.ops[number // self.workload.times % len(self.workload.ops)]

    def seen(self, hook: AnswerHook | None) -> AnswerHook:
        """Return what notes the holds that are answered, and tells `hook` of every answer."""
        subjects = len(self.session.server.tokens)

        def note(arrival: Arrival, response: Response) -> None:
            if response.status == 201 and self._op(arrival.number) is Op.HOLD:
                subject = arrival.number // self.workload.times % subjects
                self.session.book.keep(subject, _decode(response.body).reservation_id)
            if hook is not None:
                hook(arrival, response)

        return note


def is_good(name: Name, result: LoadResult) -> bool:
    """Tell whether nearly every request got an answer that the workload is about."""
    return expected_answers(name, result) >= MIN_GOOD_SHARE * result.planned


def expected_answers(name: Name, result: LoadResult) -> int:
    """Count the answers that a workload is about: in a conflict storm a refusal is one, too."""
    return sum(result.statuses.get(status, 0) for status in WORKLOADS[name].expected)


@dataclass(slots=True)
class Replays:
    """Whether every request that was sent several times was answered alike."""

    different: int = 0
    """Requests that got two different good answers: seats that were taken twice."""
    _bodies: dict[int, bytes] = field(default_factory=dict)

    def forget(self) -> None:
        """Begin anew: the next run's numbers start from 0 again."""
        self._bodies.clear()

    def note(self, arrival: Arrival, response: Response) -> None:
        """Compare an answer with the first to its request."""
        if response.status in _GOOD:
            first = self._bodies.setdefault(arrival.number // TIMES_SENT, response.body)
            self.different += first != response.body
