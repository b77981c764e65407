"""Open-model load: requests start on a fixed schedule, whether or not earlier ones are answered.

    schedule   |   |   |   |   |   |        one intended start every 1/rate seconds
    sent       |   |   |       ||  |        a stall: no connection is free, requests wait in the backlog
    latency        from the schedule's mark to the last byte of the answer
    service        from the moment of sending

A closed loop would not have sent during the stall, and so would not have seen it (coordinated omission).
"""

import asyncio
import json
import math
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import click
import uvloop

from bench.tally import LoadResult, Tally
from bench.wire import MalformedResponseError, Request, Response, ResponseReader, render

MAX_ARRIVALS = 5_000_000
"""Each keeps three floats until the end."""
MAX_CONNECTIONS = 1024
RECONNECT_PAUSE_SECONDS = 0.05
"""A server that hangs up at once must not make the generator spin."""
ARRIVALS_PER_TURN = 64
"""A generator that is behind still reads answers after so many sends."""
LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")

RequestMaker = Callable[[int], Request]
"""Makes request number n (from 0). Called once for each number, at the moment of sending."""


class Arrival(NamedTuple):
    """A request of the schedule."""

    number: int
    due: float
    """Its intended start, as `time.perf_counter` has it."""


AnswerHook = Callable[[Arrival, Response], None]
"""Sees each answer at the moment when it is complete."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """Where, how fast, how long; raises ValueError for a plan without bounds."""

    port: int
    rate_per_second: float
    seconds: float
    connections: int = 64
    drain_seconds: float = 10.0
    """How long to wait for answers after the last intended start."""
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        numbers = (self.rate_per_second, self.seconds, self.drain_seconds)
        if not all(math.isfinite(number) and number > 0 for number in numbers):
            raise ValueError("rate, seconds and drain must be positive")
        if not 1 <= self.arrivals <= MAX_ARRIVALS:
            raise ValueError(f"a run has 1 to {MAX_ARRIVALS:,} requests, not {self.arrivals:,}")
        if not 1 <= self.connections <= MAX_CONNECTIONS:
            raise ValueError(f"a run has 1 to {MAX_CONNECTIONS:,} connections")

    @property
    def arrivals(self) -> int:
        """Return how many requests the plan makes."""
        return round(self.rate_per_second * self.seconds)


async def run(plan: LoadPlan, make_request: RequestMaker, on_answer: AnswerHook | None = None) -> LoadResult:
    """Carry out a plan.

    Raises OSError if the server can not be reached at the start; later losses are counted. What the
    callables raise ends the run.
    """
    return await _Run(plan, make_request, on_answer).execute()


class _Connection(asyncio.Protocol):
    """One keep-alive connection: at most one request is on its way."""

    __slots__ = ("_arrival", "_reader", "_run", "_sent_at", "_transport", "closed")

    def __init__(self, load: "_Run") -> None:
        self.closed = asyncio.Event()
        self._run = load
        self._reader = ResponseReader()
        self._arrival: Arrival | None = None
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it

    @property
    def usable(self) -> bool:
        return not self._transport.is_closing()

    def send(self, data: bytes, arrival: Arrival) -> None:
        self._arrival = arrival
        self._sent_at = time.perf_counter()
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        try:
            response = self._reader.feed(data)
        except MalformedResponseError:
            self._give_up()
            return
        if self._arrival is None:
            self._give_up()
        elif response is not None:
            self._finish(response, self._arrival)

    def _finish(self, response: Response, arrival: Arrival) -> None:
        self._arrival = None
        reusable = response.keep_alive and not self._reader.has_leftover
        self._run.answered(response, arrival, self._sent_at)
        if self._reader.has_leftover:
            self._give_up()
        elif reusable:
            self._run.free(self)
        else:
            self._transport.close()

    def _give_up(self) -> None:
        self._run.tally.malformed += 1
        self._run.retire(self)
        if self._arrival is not None:
            self._arrival = None
            self._run.lost()
        self._transport.abort()

    def eof_received(self) -> None:
        self._run.retire(self)  # else a request could be given to a connection that is about to close

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._run.gone(self)
        self.closed.set()
        if self._arrival is not None:
            self._end_of_stream(self._arrival)

    def _end_of_stream(self, arrival: Arrival) -> None:
        self._arrival = None
        response = self._reader.end()
        if response is None:
            self._run.lost()
        else:
            self._run.answered(response, arrival, self._sent_at)

    def abandon(self) -> None:
        """Close; a request still on its way counts as unfinished, not as lost."""
        if self._arrival is not None:
            self._run.tally.give_up(self._arrival.due)
            self._arrival = None
        self._transport.abort()


class _Run:
    def __init__(self, plan: LoadPlan, make_request: RequestMaker, on_answer: AnswerHook | None) -> None:
        self.tally = Tally(plan.arrivals)
        self._plan = plan
        self._make_request = make_request
        self._on_answer = on_answer
        self._authority = f"{plan.host}:{plan.port}"
        self._open: set[_Connection] = set()
        self._idle: list[_Connection] = []
        self._backlog: deque[Arrival] = deque()
        self._over = asyncio.Event()
        self._failure: BaseException | None = None

    async def execute(self) -> LoadResult:
        keepers: list[asyncio.Task[None]] = []
        try:
            first = [await self._connect() for _ in range(self._plan.connections)]
            keepers = [asyncio.create_task(self._keep_open(connection)) for connection in first]
            await self._arrive()
            await self._drain()
        finally:
            await self._close(keepers)
        return self.tally.result()

    # What the schedule does

    async def _arrive(self) -> None:
        gap = 1 / self._plan.rate_per_second
        start = self.tally.started_at = time.perf_counter()
        for number in range(self._plan.arrivals):
            due = start + number * gap
            while (ahead := due - time.perf_counter()) > 0:  # noqa: ASYNC110  (the clock is the event)
                await asyncio.sleep(ahead)
            if number % ARRIVALS_PER_TURN == 0:
                await asyncio.sleep(0)
            if self._failure is not None:
                raise self._failure
            self.tally.lags.append(time.perf_counter() - due)
            self._offer(Arrival(number, due))

    def _offer(self, arrival: Arrival) -> None:
        if self._idle:
            self._send(self._idle.pop(), arrival)
            return
        self._backlog.append(arrival)
        self.tally.backlog_peak = max(self.tally.backlog_peak, len(self._backlog))

    def _send(self, connection: _Connection, arrival: Arrival) -> None:
        connection.send(render(self._make_request(arrival.number), self._authority), arrival)

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self._plan.drain_seconds):
                await self._over.wait()
        except TimeoutError:
            pass
        if self._failure is not None:
            raise self._failure

    async def _close(self, keepers: list[asyncio.Task[None]]) -> None:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        for arrival in self._backlog:
            self.tally.give_up(arrival.due)
        self._backlog.clear()
        closing = list(self._open)
        for connection in closing:
            connection.abandon()
        await asyncio.gather(*(connection.closed.wait() for connection in closing))

    # What the connections report

    def free(self, connection: _Connection) -> None:
        """Give the connection the oldest request that waits, or let it rest."""
        if not self._backlog:
            self._idle.append(connection)
            return
        try:
            self._send(connection, self._backlog.popleft())
        except BaseException as error:
            self._fail(error)
            raise

    def answered(self, response: Response, arrival: Arrival, sent_at: float) -> None:
        self.tally.answer(response.status, arrival.due, sent_at)
        if self._on_answer is not None:
            try:
                self._on_answer(arrival, response)
            except BaseException as error:
                self._fail(error)
                raise
        self._notice_end()

    def lost(self) -> None:
        self.tally.lost += 1
        self._notice_end()

    def retire(self, connection: _Connection) -> None:
        """Give the connection no more requests."""
        if connection in self._idle:
            self._idle.remove(connection)

    def gone(self, connection: _Connection) -> None:
        """Forget a connection that is closed."""
        self.retire(connection)
        self._open.discard(connection)

    def _notice_end(self) -> None:
        if self.tally.settled:
            self._over.set()

    def _fail(self, error: BaseException) -> None:
        """Keep the error of a caller's callable: the transport would take it for its own and go on."""
        self._failure = self._failure or error
        self._over.set()

    # Connections

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        protocol = partial(_Connection, self)
        _, connection = await loop.create_connection(protocol, self._plan.host, self._plan.port)
        # Not in `connection_made`: a connection whose making is cancelled closes without another word.
        self._open.add(connection)
        if connection.usable:
            self.free(connection)
        return connection

    async def _keep_open(self, connection: _Connection) -> None:
        while True:
            await connection.closed.wait()
            connection = await self._reconnect()

    async def _reconnect(self) -> _Connection:
        while True:
            await asyncio.sleep(RECONNECT_PAUSE_SECONDS)
            try:
                connection = await self._connect()
            except OSError:
                self.tally.connect_failures += 1
            else:
                self.tally.reconnects += 1
                return connection


def template(method: str, target: str, headers: dict[str, str], body: str) -> RequestMaker:
    """Make requests from texts in which {n} is the request's number and {run} a word of this run."""
    word = secrets.token_hex(4)

    def fill(text: str, number: int) -> str:
        return text.replace("{n}", str(number)).replace("{run}", word)

    def make(number: int) -> Request:
        filled = {name: fill(value, number) for name, value in headers.items()}
        return Request(method, fill(target, number), filled, fill(body, number).encode())

    return make


@click.command()
@click.argument("url")
@click.option("--rate", default=100.0, show_default=True, help="Requests a second.")
@click.option("--seconds", default=5.0, show_default=True)
@click.option("--connections", default=64, show_default=True)
@click.option("--method", default="GET", show_default=True)
@click.option("--header", "-H", "headers", multiple=True, help="'Name: value'; {n} and {run} are filled in.")
@click.option("--body", default="", help="The body; {n} and {run} are filled in.")
@click.option("--remote", is_flag=True, help="The host is not this machine, and I may load it.")
def main(url: str, rate: float, seconds: float, connections: int, **request: object) -> None:
    """Send requests to URL at a constant rate and print the result as JSON, times in milliseconds."""
    parts = urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    if parts.scheme != "http" or (host not in LOOPBACK_HOSTS and not request["remote"]):
        raise click.UsageError("only http:// on this machine, or --remote")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = dict(_split_header(text) for text in _texts(request["headers"]))
    make = template(str(request["method"]), target, headers, str(request["body"]))
    plan = LoadPlan(parts.port or 80, rate, seconds, connections, host=host)
    result = uvloop.run(run(plan, make))
    print(json.dumps({**asdict(result), "answers_per_second": round(result.answers_per_second, 1)}, indent=2))


def _texts(value: object) -> list[str]:
    return [str(text) for text in value] if isinstance(value, tuple) else []


def _split_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise click.UsageError(f"not a header: {text}")
    return name.strip(), value.strip()


if __name__ == "__main__":
    main()
