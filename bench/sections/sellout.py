"""A conflict storm until all is sold: more buyers than seats, event after event, on the embedded store.

Every seat must be sold exactly once. A refusal is *false* if enough seats were free until it was answered, by
what the service itself says of when the other holds began.
"""

import json
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import click
import msgspec
import uvloop

from bench.cpu import pinned_to
from bench.growth_rows import HALL_GRID, prepare
from bench.load import Arrival, LoadPlan
from bench.load import run as offer
from bench.quota import Place
from bench.scale import Scale
from bench.server import Launch, Server, embedded, running
from bench.targets import Stage
from bench.wire import Request, Response

SEATS = 500
QTY = 5
BUYERS_A_SEAT = 1.5
"""Half as many again as there are seats for."""
EVENTS_AT_ONCE = 10
MAX_WAVES = 30
"""Buyers who are turned away because the service is busy come again in the next."""
RATE = 1500.0
"""Requests a second: more than can be answered, so that there is always a crowd."""


class SellOut(msgspec.Struct, frozen=True):
    """What came of it."""

    events: int
    seats: int
    sold: int
    """Seats with an order."""
    sold_twice: int
    refusals: int
    false_refusals: int
    busy: int
    """Answers that asked to come again."""
    seconds: float

    @property
    def false_share(self) -> float:
        """Return false refusals as a share of all refusals."""
        return self.false_refusals / self.refusals if self.refusals else 0.0

    @property
    def seats_per_second(self) -> float:
        """Return the goodput."""
        return self.sold / self.seconds if self.seconds else 0.0


class _Held(msgspec.Struct):
    reservation_id: str
    created_at: datetime


_decode = msgspec.json.Decoder(_Held).decode


@dataclass(slots=True)
class Event:
    """What is known of an event by its clients."""

    event_id: str
    held_at: list[float] = field(default_factory=list)
    """When each hold began, by the service's clock, which is ours, too."""
    refused_at: list[float] = field(default_factory=list)
    """When each refusal was complete."""
    unconfirmed: list[tuple[int, str]] = field(default_factory=list)
    """Subjects and reservations."""
    confirmed: int = 0

    @property
    def is_sold_out(self) -> bool:
        """Tell whether all seats are confirmed."""
        return self.confirmed * QTY >= SEATS

    @property
    def false_refusals(self) -> int:
        """Count refusals during all of whose time enough seats were free."""
        most = SEATS // QTY - 1
        return sum(sum(held <= refused for held in self.held_at) <= most for refused in self.refused_at)


@dataclass(slots=True)
class Storm:
    """All buyers."""

    server: Server
    answers: Counter[int] = field(default_factory=Counter)
    waves: int = 0

    async def sell(self, events: Sequence[Event]) -> None:
        """Send waves of buyers until these are sold out, or MAX_WAVES have come."""
        for _ in range(MAX_WAVES):
            open_events = [event for event in events if not event.is_sold_out]
            if not open_events:
                return
            await self._hold(open_events)
            await self._confirm([(event, hold) for event in open_events for hold in event.unconfirmed])

    async def _hold(self, events: Sequence[Event]) -> None:
        self.waves += 1
        word, subjects = f"h{self.waves}", len(self.server.tokens)
        count = round(len(events) * SEATS / QTY * BUYERS_A_SEAT)

        def make(number: int) -> Request:
            body = json.dumps({"event_id": events[number % len(events)].event_id, "qty": QTY}).encode()
            return self._post("/v1/reservations", number % subjects, f"{word}-{number}", body)

        def note(arrival: Arrival, response: Response) -> None:
            event, subject = events[arrival.number % len(events)], arrival.number % subjects
            self.answers[response.status] += 1
            if response.status == 201:
                held = _decode(response.body)
                event.held_at.append(held.created_at.timestamp())
                event.unconfirmed.append((subject, held.reservation_id))
            elif response.status == 409:
                event.refused_at.append(time.time())

        await offer(LoadPlan(self.server.port, RATE, count / RATE, drain_seconds=60), make, note)

    async def _confirm(self, holds: Sequence[tuple[Event, tuple[int, str]]]) -> None:
        if not holds:
            return

        def make(number: int) -> Request:
            subject, reservation_id = holds[number][1]
            body = b'{"payment_intent_id":"pi_%s"}' % reservation_id.encode()
            path = f"/v1/reservations/{reservation_id}/confirm"
            return self._post(path, subject, f"c-{reservation_id}", body)

        def note(arrival: Arrival, response: Response) -> None:
            event, hold = holds[arrival.number]
            self.answers[response.status] += 1
            if response.status == 200:
                event.confirmed += 1
                event.unconfirmed.remove(hold)

        plan = LoadPlan(self.server.port, RATE, len(holds) / RATE, drain_seconds=60)
        await offer(plan, make, note)

    def _post(self, path: str, subject: int, key: str, body: bytes) -> Request:
        headers = {
            "Authorization": f"Bearer {self.server.tokens[subject]}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        return Request("POST", path, headers, body)


def run(stage: Stage, scale: Scale) -> SellOut:
    """Sell all events out, then look into the file."""
    names = [f"evt_storm_{number}" for number in range(scale.events)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reservation-bench-store-")))
        file = prepare(folder, dict.fromkeys(names, HALL_GRID))
        launch = embedded(stage.identity, APP_DATA_DIR=str(folder))
        launch = Launch(launch.settings, launch.identity)
        server = stack.enter_context(running(Place(stage.pins.server), launch))
        stack.enter_context(pinned_to(stage.pins.generator))
        storm, events = Storm(server), [Event(name) for name in names]
        began = time.monotonic()
        uvloop.run(_sell_all(storm, events))
        seconds = time.monotonic() - began
        sold = Counter(sold_seats(file))
    return _result(storm, events, sold, seconds)


async def _sell_all(storm: Storm, events: Sequence[Event]) -> None:
    for first in range(0, len(events), EVENTS_AT_ONCE):
        await storm.sell(events[first : first + EVENTS_AT_ONCE])
        click.echo(f"  {first + EVENTS_AT_ONCE} events: {dict(storm.answers)}", err=True)


def sold_seats(file: Path) -> Iterator[tuple[str, str]]:
    """Read every seat of every order from the database: event and seat."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        for event_id, seats in connection.execute("SELECT event_id, seats FROM orders"):
            for seat in json.loads(seats):
                yield event_id, seat[0]


def _result(storm: Storm, events: Sequence[Event], sold: Counter[tuple[str, str]], seconds: float) -> SellOut:
    return SellOut(
        events=len(events),
        seats=len(events) * SEATS,
        sold=len(sold),
        sold_twice=sum(count > 1 for count in sold.values()),
        refusals=sum(len(event.refused_at) for event in events),
        false_refusals=sum(event.false_refusals for event in events),
        busy=sum(count for status, count in storm.answers.items() if status in {429, 503}),
        seconds=seconds,
    )
