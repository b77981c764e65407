"""`kill -9` under load: whoever is killed, and whenever, what was answered is kept and nothing is done twice.

Buyers hold, confirm, cancel and extend, and write down every request and every answer. One process after
the other is killed among them, and started again on the same file. Then the books are compared.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from tests.support.durable import check_settled_store, look, wait_until_settled
from tests.support.http_client import Answer, Client, Command, Connections, NoAnswerError, Users
from tests.support.invariants import check_always
from tests.support.ports import free_port
from tests.support.processes import Running, children_of, is_alive, run_command, running, wait_until
from tests.support.runtimes import World

from reservation_api.domain.reservation import Status
from reservation_api.domain.values import to_iso
from reservation_api.entrypoints.workers.loops import pause_until

pytestmark = pytest.mark.e2e

EVENT = "evt_kill"
ROWS, SEATS_PER_ROW = 60, 40
SETTINGS = {
    "APP_HOLD_SECONDS": "4",
    "APP_HOLD_MAX_SECONDS": "8",
    "APP_HOLD_GRACE_SECONDS": "5",
}
"""Short, so that holds expire while processes are down, and all within the test."""
SERVE = ["serve", "--workers", "2"]
BUYERS = 16
LOOKS_BETWEEN_KILLS = 6
ANSWERS_BETWEEN_LOOKS = 10
PAUSE_SECONDS = 0.02
RETRY_SECONDS = 0.1
RETRIES = 40
ROUND_SECONDS = 30.0
SETTLE_SECONDS = 45.0
"""Above the 30 s after which what a killed worker had claimed is free for another."""
REPLAYS_AT_ONCE = 8
PROPER_REFUSALS = {409, 410}
HOLD, CONFIRM, CANCEL, EXTEND = "hold", "confirm", "cancel", "extend"


class Cluster:
    """A server with two children, and a worker, on one data directory and one port."""

    def __init__(self, stack: ExitStack, data_dir: Path) -> None:
        self._stack = stack
        self._data_dir = data_dir
        self._port = free_port()
        self._killed: set[int] = set()
        self._started: list[Running] = []
        stack.callback(self._bury)
        self.server = self._start(SERVE)
        self.worker = self._start(["worker"])

    def kill_child(self) -> None:
        """Let the supervisor replace it."""
        ready = self._times_ready()
        os.kill(self._children()[0], SIGKILL)
        wait_until(lambda: self._times_ready() > ready and len(children_of(self.server.pid)) == 2)

    def kill_supervisor(self) -> None:
        """Its children are to end by themselves, or the port would never be free again."""
        children = self._children()
        self.server.kill()
        wait_until(lambda: not any(map(is_alive, children)), lambda: f"orphans: {children}")
        self.server = self._start(SERVE)

    def kill_worker(self) -> None:
        self.worker.kill()
        self.worker = self._start(["worker"])

    def kill_everything(self) -> None:
        children = self._children()
        for pid in (self.server.pid, *children, self.worker.pid):
            os.kill(pid, SIGKILL)
        self.server.kill()
        self.worker.kill()
        wait_until(lambda: not any(map(is_alive, children)))
        self.server = self._start(SERVE)
        self.worker = self._start(["worker"])

    def stop(self) -> list[int]:
        """Ask all to end; return their exit codes."""
        return [self.server.stop(), self.worker.stop()]

    def logs(self) -> list[dict[str, Any]]:
        """What all of them have logged, those that were killed too."""
        return [line for started in self._started for line in started.logs()]

    def _start(self, arguments: list[str]) -> Running:
        started = running(arguments, SETTINGS, data_dir=self._data_dir, port=self._port)
        self._started.append(self._stack.enter_context(started))
        return self._started[-1]

    def _children(self) -> list[int]:
        children = children_of(self.server.pid)
        self._killed.update(children)
        return children

    def _times_ready(self) -> int:
        return [line["message"] for line in self.server.logs()].count("ready")

    def _bury(self) -> None:
        """End what an orphan test may have left: `running` only knows the children of living parents."""
        for pid in filter(is_alive, self._killed):
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)


@dataclass
class Sent:
    """A request, by whom, and what came back of all the times it was sent."""

    kind: str
    subject: str
    command: Command
    answers: list[Answer] = field(default_factory=list)
    """Up to the first success, and those of its twins that were under way then."""
    again: list[Answer] = field(default_factory=list)
    """Of the times it was sent after it had succeeded."""
    lost: int = 0

    @property
    def success(self) -> Answer | None:
        """The first."""
        return next((answer for answer in self.answers if answer.is_success), None)

    @property
    def is_decided(self) -> bool:
        return any(answer.status != 503 for answer in self.answers)

    async def send(self, client: Client) -> bool:
        """Send it once more; tell whether there was an answer."""
        book = self.answers if self.success is None else self.again
        try:
            book.append(await client.send(self.command))
        except NoAnswerError:
            self.lost += 1
            return False
        return True


class Journal:
    """Everything that was sent."""

    def __init__(self) -> None:
        self.all: list[Sent] = []
        self._answered = 0
        self._progress = asyncio.Event()

    async def send(self, sent: Sent, client: Client) -> None:
        """Send it, and count the answer if there was one."""
        if await sent.send(client):
            self._answered += 1
            self._progress.set()

    async def wait_for_more(self, number: int) -> None:
        """Return when so many more answers have come."""
        target = self._answered + number
        async with asyncio.timeout(ROUND_SECONDS):
            while self._answered < target:
                self._progress.clear()
                await self._progress.wait()

    def successes(self, kind: str) -> list[tuple[Sent, Answer]]:
        return [(sent, sent.success) for sent in self.all if sent.kind == kind and sent.success]


class Buyer:
    """Holds seats and decides what becomes of them, until told to stop."""

    def __init__(self, subject: str, client: Client, journal: Journal, stopping: asyncio.Event) -> None:
        self._subject = subject
        self._client = client
        self._journal = journal
        self._stopping = stopping
        self._pause = pause_until(stopping)
        self._random = random.Random(subject)

    async def run(self) -> None:
        while not self._stopping.is_set():
            held = await self._ask(HOLD, "/v1/reservations", self._wish())
            if held is not None:
                await self._decide(f"/v1/reservations/{held.json['reservation_id']}")
            await self._pause(PAUSE_SECONDS)

    async def _decide(self, path: str) -> None:
        if self._random.random() < 0.3:
            await self._ask(EXTEND, f"{path}/extend", {"seconds": 2})
        match self._random.choices((CONFIRM, CANCEL, None), (5, 3, 2))[0]:
            case "confirm":
                await self._ask(CONFIRM, f"{path}/confirm", {"payment_intent_id": f"pi{path[-20:]}"})
            case "cancel":
                await self._ask(CANCEL, f"{path}/cancel", {})

    def _wish(self) -> dict[str, object]:
        """The best seats, or some that others are likely to want too."""
        qty = self._random.randint(1, 3)
        if self._random.random() < 0.7:
            return {"event_id": EVENT, "qty": qty}
        row, first = self._random.randint(1, ROWS), self._random.randint(1, SEATS_PER_ROW - qty)
        return {"event_id": EVENT, "qty": qty, "seat_ids": [f"A-{row}-{first + n}" for n in range(qty)]}

    async def _ask(self, kind: str, path: str, body: dict[str, object]) -> Answer | None:
        """Send, now and then twice at once, until it is decided or patience is over; return a success."""
        sent = Sent(kind, self._subject, Command.new(path, body))
        self._journal.all.append(sent)
        copies = 2 if self._random.random() < 0.1 else 1
        for _ in range(self._random.choice((1, RETRIES))):
            await asyncio.gather(*(self._journal.send(sent, self._client) for _ in range(copies)))
            if sent.is_decided or self._stopping.is_set():
                break
            await self._pause(RETRY_SECONDS)
        return sent.success


@contextmanager
def cluster_of(data_dir: Path) -> Iterator[Cluster]:
    environment = {"APP_DATA_DIR": str(data_dir), "PATH": os.environ["PATH"]}
    section = f"A:{ROWS}x{SEATS_PER_ROW}:1000"
    run_command("events", "create", EVENT, "--section", section, environment=environment)
    with ExitStack() as stack:
        yield Cluster(stack, data_dir)


@asynccontextmanager
async def buying(clients: Mapping[str, Client], journal: Journal) -> AsyncIterator[None]:
    """Let everybody buy."""
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as buyers:
        for subject, client in clients.items():
            buyers.create_task(Buyer(subject, client, journal, stopping).run())
        try:
            yield
        finally:
            stopping.set()


async def replay(clients: Mapping[str, Client], journal: Journal) -> None:
    """Send everything again, some at once, each until it is decided, and again after it has succeeded."""
    gate = asyncio.Semaphore(REPLAYS_AT_ONCE)
    pause = pause_until(asyncio.Event())

    async def replay_one(sent: Sent) -> None:
        async with gate:
            for _ in range(RETRIES):
                await journal.send(sent, clients[sent.subject])
                if sent.is_decided and (sent.success is None or sent.again):
                    return
                await pause(RETRY_SECONDS)
        raise AssertionError(f"no answer any more: {sent}")

    async with asyncio.TaskGroup() as group:
        for sent in journal.all:
            group.create_task(replay_one(sent))


def check_answers(journal: Journal) -> None:
    """Successes of one request are all alike, byte for byte; all the rest are proper refusals."""
    for sent in journal.all:
        for answer in sent.answers:
            alike = sent.success is not None and answer.same_as(sent.success)
            assert alike or answer.status in PROPER_REFUSALS or is_retriable(answer), f"{answer} to {sent}"
        for answer in sent.again:
            assert sent.success is not None
            alike = answer.same_as(sent.success) and answer.is_replayed
            assert alike or is_retriable(answer), f"{answer} after {sent.success} to {sent}"


def is_retriable(answer: Answer) -> bool:
    return answer.status == 503 and "retry-after" in answer.headers


def check_kept(journal: Journal, world: World) -> None:
    """Whatever was answered with success is in the store, and has come to what it was said to."""
    reservations = {r.reservation_id: r for r in world.reservations}
    orders = {order.order_id: order for order in world.orders}
    for kind in (HOLD, EXTEND, CANCEL):
        for sent, answer in journal.successes(kind):
            said = answer.json
            assert said["reservation_id"] in reservations, f"answered and gone: {answer} to {sent}"
            kept = reservations[said["reservation_id"]]
            assert kept.user_id == sent.subject
            assert list(kept.seat_ids) == said["seat_ids"]
            assert kept.total_amount.amount == said["total_amount"]["amount"]
            assert to_iso(kept.created_at) == said["created_at"]
            assert to_iso(kept.hold_expires_at) >= said["hold_expires_at"], f"{said} but {kept}"
            assert kind != CANCEL or kept.status is Status.CANCELLED, f"{said} but {kept}"
    for sent, answer in journal.successes(CONFIRM):
        said = answer.json
        assert said["order_id"] in orders, f"answered and gone: {answer} to {sent}"
        order = orders[said["order_id"]]
        assert (order.reservation_id, [seat.seat_id for seat in order.seats]) == (
            said["reservation_id"],
            said["seat_ids"],
        )
        assert order.payment_intent_id == said["payment_intent_id"]
        assert reservations[order.reservation_id].status is Status.CONFIRMED


async def test_whoever_is_killed_what_was_answered_is_kept_and_nothing_is_done_twice(tmp_path: Path) -> None:
    journal = Journal()
    with cluster_of(tmp_path) as cluster:
        environment = cluster.server.environment
        users = Users(environment)
        # Workers first: what a killed one has claimed is another's only 30 s later.
        kills = (
            cluster.kill_everything,
            cluster.kill_worker,
            cluster.kill_everything,
            cluster.kill_supervisor,
            cluster.kill_child,
        )
        async with Connections(cluster.server.url) as connections:
            clients = {s: connections.as_user(users.token(s)) for s in map("buyer-{}".format, range(BUYERS))}
            async with buying(clients, journal):
                for kill in kills:
                    await look_around(environment, journal)
                    await asyncio.to_thread(kill)
                await look_around(environment, journal)
            check_kept(journal, look(environment))
            await replay(clients, journal)
        check_answers(journal)
        await asyncio.to_thread(wait_until_settled, environment, SETTLE_SECONDS)
        world = await check_settled_store(environment, EVENT)
        check_kept(journal, world)
        check_worth(journal, world)
        assert cluster.stop() == [0, 0]
        assert not [line for line in cluster.logs() if line["message"] == "unexpected failure"]


async def look_around(environment: Mapping[str, str], journal: Journal) -> None:
    """Let the buyers go on for a while, and check now and then what must hold at every moment."""
    for _ in range(LOOKS_BETWEEN_KILLS):
        await journal.wait_for_more(ANSWERS_BETWEEN_LOOKS)
        check_always(await asyncio.to_thread(look, environment), datetime.now(UTC))


def check_worth(journal: Journal, world: World) -> None:
    """Tell whether there was something to find."""
    assert sum(sent.lost for sent in journal.all) >= 3, "nobody was killed in the middle of anything"
    for kind in (HOLD, CONFIRM, CANCEL, EXTEND):
        assert len(journal.successes(kind)) >= 10, kind
    assert any(r.status is Status.EXPIRED for r in world.reservations)
    assert any(answer.status == 409 for sent in journal.all for answer in sent.answers)
