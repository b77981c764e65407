"""Shoppers who come at a fixed rate, whatever becomes of those before them, and do not give up.

async with shopping(Plan(ports, tokens, MIX, wish), rate=80) as shoppers:
    await shoppers.have_come(1_000)
shoppers.journal                     # every request, and every answer to it

Each request goes to one of the ports; while there is no answer, or 503, it is sent again, as it was, to the
next one. Who finds too many before him goes home: a machine that is too slow for the rate is not buried.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Any

from bench.wire import Request, Response
from tests.support.kept_connections import KeptConnections, LostError

from reservation_api.entrypoints.workers.loops import pause_until

RETRY_SECONDS = 0.1
PATIENCE_SECONDS = 45.0
"""Longer than any process is away."""
MOST_ARRIVALS = 30_000
"""So a load whose end nobody tells it ends."""


class Kind(Enum):
    """What a shopper does; the letters make a mix."""

    GET = "g"
    HOLD = "h"
    CONFIRM = "c"
    CANCEL = "x"
    AGAIN = "a"
    """Sends a request once more that has succeeded."""


@dataclass(slots=True)
class Sent:
    """A request, by whom, and what came back of all the times it was sent."""

    kind: Kind
    subject: str
    request: Request
    due: float
    """When it should have been sent, by `time.perf_counter`."""
    before: "Sent | None" = None
    """The one that this repeats."""
    leaves: bool = False
    """Whoever sent it is gone when no answer comes."""
    answers: list[Response] = field(default_factory=list)
    lost: list[tuple[float, LostError]] = field(default_factory=list)
    """When, and how."""
    answered_at: float = 0.0

    @property
    def success(self) -> Response | None:
        """The first."""
        return next((answer for answer in self.answers if is_success(answer)), None)

    @property
    def refusals(self) -> list[Response]:
        return [answer for answer in self.answers if not is_success(answer)]

    @property
    def is_decided(self) -> bool:
        return any(answer.status != 503 for answer in self.answers)

    @property
    def key(self) -> str:
        return self.request.headers["Idempotency-Key"]

    @property
    def reservation_id(self) -> str:
        """The one that it is about, unless it is a hold."""
        return self.request.path.split("/")[3]

    def said(self) -> dict[str, Any]:
        """Return the body of the first success."""
        assert self.success is not None
        said: dict[str, Any] = json.loads(self.success.body)
        return said

    def __str__(self) -> str:
        shown = [(answer.status, answer.body[:300]) for answer in self.answers]
        return f"{self.kind.name} {self.request.path} of {self.subject}: {shown} {self.lost}"


def is_success(answer: Response) -> bool:
    return 200 <= answer.status < 300


@dataclass(frozen=True, slots=True)
class Plan:
    """Who asks whom for what."""

    ports: Sequence[int]
    tokens: Mapping[str, str]
    """By subject."""
    mix: str
    """Kinds, again and again."""
    wish: Callable[[random.Random], dict[str, Any]]
    """Makes the body of a hold."""
    twins: float = 0.0
    """Which part of the commands is sent twice at once, to two ports if there are."""
    rivals: float = 0.0
    """Which part of the confirms meets a cancel of the same hold."""
    decided_within: float = 60.0
    """Nobody confirms or cancels a hold that is older, in seconds."""
    connections: int = 16
    """To each port at most."""
    patient: int = 100
    """Shoppers at once; whoever comes then goes home."""


@dataclass(frozen=True, slots=True)
class _Held:
    reservation_id: str
    subject: str
    at: float

    @property
    def path(self) -> str:
        return f"/v1/reservations/{self.reservation_id}"


class Shoppers:
    """All of them, and what they wrote down."""

    def __init__(self, plan: Plan, group: asyncio.TaskGroup) -> None:
        self.journal: list[Sent] = []
        self.come_so_far = 0
        self.gone_home = 0
        self._here = 0
        self._group = group
        self._plan = plan
        self._connections = [KeptConnections(port, plan.connections) for port in plan.ports]
        self._random = random.Random("shoppers")
        self._subjects = list(plan.tokens)
        self._held: list[_Held] = []
        self._undecided: list[_Held] = []
        self._succeeded: list[Sent] = []
        self._keys = count(1)
        self._milestones: dict[int, asyncio.Event] = {}
        self._pause = pause_until(asyncio.Event())

    async def come(self, rate: float, stopping: asyncio.Event) -> None:
        """Let so many come each second, whatever becomes of those before them."""
        pause, began = pause_until(stopping), time.perf_counter()
        for number in range(MOST_ARRIVALS):
            due = began + number / rate
            await pause(max(0.0, due - time.perf_counter()))
            if stopping.is_set():
                return
            self.come_so_far += 1
            if reached := self._milestones.pop(self.come_so_far, None):
                reached.set()
            if self._here < self._plan.patient:
                self._group.create_task(self._arrive(number, due))
            else:
                self.gone_home += 1

    async def rush(self, kinds: str, port: int) -> None:
        """Do all these at once at one port first; return when one of them is answered or lost.

        Who wants to confirm leaves when there is no answer; the others go on, beyond the end of this.
        """
        first, due = self._plan.ports.index(port), time.perf_counter()
        made = [self._make(Kind(kind), due) for kind in kinds]
        for sent in made:
            sent.leaves = sent.kind is Kind.CONFIRM
        tasks = [self._group.create_task(self._carry_out(sent, first)) for sent in made]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    async def have_come(self, number: int) -> None:
        """Return when there have been so many, those who went home included."""
        if self.come_so_far < number:
            await self._milestones.setdefault(number, asyncio.Event()).wait()

    def close(self) -> None:
        """Close the connections."""
        for connections in self._connections:
            connections.close()

    def of(self, *kinds: Kind) -> list[Sent]:
        return [sent for sent in self.journal if sent.kind in kinds]

    async def _arrive(self, number: int, due: float) -> None:
        sent = self._make(Kind(self._plan.mix[number % len(self._plan.mix)]), due)
        each = [sent, *self._rivals_of(sent)]
        self._here += 1
        await asyncio.gather(*(self._carry_out(one, number + n) for n, one in enumerate(each)))
        self._here -= 1

    async def _carry_out(self, sent: Sent, first: int) -> None:
        self.journal.append(sent)
        is_command = sent.kind is not Kind.GET
        copies = 2 if is_command and self._random.random() < self._plan.twins else 1
        await asyncio.gather(*(self._insist(sent, first + copy) for copy in range(copies)))
        sent.answered_at = time.perf_counter()
        self._learn(sent)

    async def _insist(self, sent: Sent, first: int) -> None:
        until = time.perf_counter() + PATIENCE_SECONDS
        for attempt in count(first):
            connections = self._connections[attempt % len(self._connections)]
            try:
                answer = await connections.exchange(sent.request)
            except LostError as error:
                sent.lost.append((time.perf_counter(), error))
            else:
                sent.answers.append(answer)
                if answer.status != 503:
                    return
            if sent.leaves or time.perf_counter() > until:
                return
            await self._pause(RETRY_SECONDS)

    def _learn(self, sent: Sent) -> None:
        if sent.success is None or sent.kind in {Kind.GET, Kind.AGAIN}:
            return
        self._succeeded.append(sent)
        if sent.kind is Kind.HOLD:
            held = _Held(sent.said()["reservation_id"], sent.subject, time.perf_counter())
            self._held.append(held)
            self._undecided.append(held)

    def _make(self, kind: Kind, due: float) -> Sent:
        if kind is Kind.GET and self._held:
            held = self._random.choice(self._held)
            headers = self._headers(held.subject)
            return Sent(kind, held.subject, Request("GET", held.path, headers, b""), due)
        if kind is Kind.AGAIN and self._succeeded:
            before = self._random.choice(self._succeeded)
            return Sent(kind, before.subject, before.request, due, before)
        if kind in {Kind.CONFIRM, Kind.CANCEL} and (decided := self._take_undecided()):
            return self._decide(kind, decided, due)
        subject = self._random.choice(self._subjects)
        hold = self._command(subject, "/v1/reservations", self._plan.wish(self._random))
        return Sent(Kind.HOLD, subject, hold, due)

    def _decide(self, kind: Kind, held: _Held, due: float) -> Sent:
        body = {"payment_intent_id": f"pi_{held.reservation_id}"} if kind is Kind.CONFIRM else {}
        path = f"{held.path}/{kind.name.lower()}"
        return Sent(kind, held.subject, self._command(held.subject, path, body), due)

    def _rivals_of(self, sent: Sent) -> list[Sent]:
        if sent.kind is not Kind.CONFIRM or self._random.random() >= self._plan.rivals:
            return []
        held = _Held(sent.reservation_id, sent.subject, sent.due)
        return [self._decide(Kind.CANCEL, held, sent.due)]

    def _take_undecided(self) -> _Held | None:
        oldest = time.perf_counter() - self._plan.decided_within
        self._undecided = [held for held in self._undecided if held.at > oldest]
        if not self._undecided:
            return None
        return self._undecided.pop(self._random.randrange(len(self._undecided)))

    def _command(self, subject: str, path: str, body: Mapping[str, Any]) -> Request:
        headers = {
            **self._headers(subject),
            "Content-Type": "application/json",
            "Idempotency-Key": f"shopper-{next(self._keys)}",
        }
        return Request("POST", path, headers, json.dumps(body).encode())

    def _headers(self, subject: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._plan.tokens[subject]}"}


@asynccontextmanager
async def shopping(plan: Plan, rate: float) -> AsyncIterator[Shoppers]:
    """Let so many come each second until the end of the block; after it all of them are done."""
    stopping = asyncio.Event()
    with ExitStack() as stack:
        async with asyncio.TaskGroup() as group:
            shoppers = Shoppers(plan, group)
            stack.callback(shoppers.close)
            group.create_task(shoppers.come(rate, stopping))
            try:
                yield shoppers
            finally:
                stopping.set()
