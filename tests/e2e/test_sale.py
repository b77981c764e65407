"""A sale over real HTTP: far more buyers than seats; and holds that run out."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.durable import check_settled_store, wait_until_settled
from tests.support.http_client import Answer, Client, Command, Connections, Users, until
from tests.support.processes import Running, running

from reservation_api.domain.reservation import Status

pytestmark = pytest.mark.e2e

EVENT = "evt_sale"
ROWS, SEATS_PER_ROW = 5, 10
SEATS = [f"A-{row}-{number}" for row in range(1, ROWS + 1) for number in range(1, SEATS_PER_ROW + 1)]
PRICE = 1000
BUYERS = 200
TRIES_BY_NAME = 4
SALE_SECONDS = 60.0
REPLAYS_AT_ONCE = 16
SHORT_HOLDS = {"APP_HOLD_SECONDS": "2", "APP_HOLD_GRACE_SECONDS": "5"}
LONG_GRACE = {"APP_HOLD_SECONDS": "2", "APP_HOLD_GRACE_SECONDS": "600"}


@contextmanager
def selling(data_dir: Path, settings: Mapping[str, str], *, with_worker: bool = True) -> Iterator[Running]:
    """Run two serving processes, and a worker, and put the event on sale."""
    with ExitStack() as stack:
        server = stack.enter_context(running(["serve", "--workers", "2"], settings, data_dir=data_dir))
        server.command("events", "create", EVENT, "--section", f"A:{ROWS}x{SEATS_PER_ROW}:{PRICE}")
        if with_worker:
            stack.enter_context(running(["worker"], settings, data_dir=data_dir))
        yield server


@asynccontextmanager
async def clients_of(server: Running, *subjects: str) -> AsyncIterator[list[Client]]:
    users = Users(server.environment)
    async with Connections(server.url) as connections:
        yield [connections.as_user(users.token(subject)) for subject in subjects]


@dataclass
class Buyer:
    """Buys one seat or two at a time until there are no more."""

    subject: str
    client: Client
    answers: list[tuple[Command, Answer]] = field(default_factory=list)
    bought: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    """What it knows to be gone."""
    choice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.choice = random.Random(self.subject)

    async def buy_all_there_is(self) -> None:
        qty = self.choice.randint(1, 2)
        while qty:
            held = await self._ask("/v1/reservations", self._wish(qty))
            if held.status == 201:
                await self._pay(held.json)
            elif held.code == "seats_taken":
                self.taken.update(held.json["conflicts"])
            else:
                qty = min(qty - 1, held.json["remaining"])

    def _wish(self, qty: int) -> dict[str, Any]:
        """For every other buyer seats by name that may be free, a few times; else the best there are."""
        hoped_for = [seat for seat in SEATS if seat not in self.taken]
        wish: dict[str, Any] = {"event_id": EVENT, "qty": qty}
        if len(hoped_for) < qty or len(self.answers) >= TRIES_BY_NAME or int(self.subject) % 2:
            return wish
        return {**wish, "seat_ids": self.choice.sample(hoped_for, qty)}

    async def _pay(self, held: dict[str, Any]) -> None:
        body = {"payment_intent_id": f"pi_{held['reservation_id']}"}
        answer = await self._ask(f"/v1/reservations/{held['reservation_id']}/confirm", body)
        if answer.is_success:
            self.bought += answer.json["seat_ids"]
            self.taken.update(answer.json["seat_ids"])

    async def _ask(self, path: str, body: dict[str, Any]) -> Answer:
        command = Command.new(path, body)
        answer = await self.client.send(command)
        self.answers.append((command, answer))
        return answer


def is_proper_refusal(answer: Answer) -> bool:
    """A buyer can only be refused because the seats are another's."""
    if answer.status != 409:
        return False
    is_taken = answer.code == "seats_taken" and set(answer.json["conflicts"]) <= set(SEATS)
    return is_taken or (answer.code == "sold_out" and answer.json["remaining"] < 2)


async def check_replays(buyers: list[Buyer]) -> int:
    """Send each request that succeeded once more; return how many there were."""
    gate = asyncio.Semaphore(REPLAYS_AT_ONCE)

    async def check(buyer: Buyer, command: Command, answer: Answer) -> None:
        async with gate:
            again = await buyer.client.send(command)
        assert again.same_as(answer), f"{again} after {answer}"
        assert again.is_replayed
        assert not answer.is_replayed
        assert again.headers.get("location") == answer.headers.get("location")

    succeeded = [(b, command, answer) for b in buyers for command, answer in b.answers if answer.is_success]
    async with asyncio.TaskGroup() as group:
        for buyer, command, answer in succeeded:
            group.create_task(check(buyer, command, answer))
    return len(succeeded)


async def available_to(client: Client) -> dict[str, Any]:
    """Count the seats; they add up."""
    counted: dict[str, Any] = (await client.get(f"/v1/events/{EVENT}/availability")).json
    assert counted["available"] + counted["held"] + counted["sold"] + counted["blocked"] == counted["total"]
    return counted


async def watch_until_sold_out(client: Client) -> None:
    """Count all the time; what is sold once stays sold."""
    most_sold = 0

    async def is_sold_out() -> bool:
        nonlocal most_sold
        sold = (await available_to(client))["sold"]
        assert most_sold <= sold <= len(SEATS)
        most_sold = sold
        return bool(most_sold == len(SEATS))

    await until(is_sold_out, SALE_SECONDS)


async def test_two_hundred_buyers_get_fifty_seats_each_seat_once(tmp_path: Path) -> None:
    with selling(tmp_path, {}) as server:
        async with clients_of(server, *map(str, range(BUYERS))) as clients:
            buyers = [Buyer(str(number), client) for number, client in enumerate(clients)]
            async with asyncio.timeout(SALE_SECONDS), asyncio.TaskGroup() as group:
                group.create_task(watch_until_sold_out(clients[0]))
                for buyer in buyers:
                    group.create_task(buyer.buy_all_there_is())

            refused = [a for b in buyers for _, a in b.answers if not a.is_success]
            assert not [str(answer) for answer in refused if not is_proper_refusal(answer)]
            assert {answer.code for answer in refused} == {"seats_taken", "sold_out"}
            assert sorted(seat for buyer in buyers for seat in buyer.bought) == sorted(SEATS)
            sold = await check_replays(buyers)
            assert sold >= len(SEATS), "a hold and a confirm for one seat or two"

        await asyncio.to_thread(wait_until_settled, server.environment)
        world = await check_settled_store(server.environment, EVENT)
        assert sum(len(order.seats) for order in world.orders) == len(SEATS)
        assert {r.status for r in world.reservations} == {Status.CONFIRMED}


async def hold(client: Client, *seat_ids: str) -> Answer:
    body = {"event_id": EVENT, "qty": len(seat_ids), "seat_ids": seat_ids}
    return await client.post("/v1/reservations", body)


async def until_status(client: Client, path: str, status: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    async def has_status() -> bool:
        seen.update((await client.get(path)).json)
        await available_to(client)
        return bool(seen["status"] == status)

    await until(has_status)
    return seen


async def until_free(client: Client, number: int, seconds: float = 20) -> None:
    async def is_free() -> bool:
        return bool((await available_to(client))["available"] == number)

    await until(is_free, seconds)


async def test_a_hold_that_runs_out_is_expired_and_its_seats_are_anothers(tmp_path: Path) -> None:
    """By the worker: the inventory's own expiry is ten minutes away."""
    with selling(tmp_path, LONG_GRACE) as server:
        async with clients_of(server, "alice", "bob") as (alice, bob):
            held = await hold(alice, "A-1-1", "A-1-2")
            path = held.headers["location"]
            assert (await available_to(bob))["held"] == 2
            assert (await hold(bob, "A-1-1")).json["conflicts"] == ["A-1-1"]

            seen = await until_status(alice, path, "EXPIRED")
            assert (seen["expires_in_seconds"], seen["version"]) == (0, 2)
            assert seen["hold_expires_at"] == held.json["hold_expires_at"]
            await until_free(bob, 50)
            assert (await hold(bob, "A-1-1", "A-1-2")).status == 201

            for what, body in (
                ("confirm", {"payment_intent_id": "pi_1"}),
                ("cancel", {}),
                ("extend", {"seconds": 9}),
            ):
                late = await alice.post(f"{path}/{what}", body)
                assert (late.status, late.code) == (410, "hold_expired")
            assert (await available_to(bob))["held"] == 2


async def test_seats_of_a_cancelled_hold_are_anothers_within_five_seconds(tmp_path: Path) -> None:
    """By the release, not by the inventory's own expiry, which is a minute and more away."""
    with selling(tmp_path, {}, with_worker=False) as server:
        async with clients_of(server, "alice", "bob") as (alice, bob):
            held = await hold(alice, *SEATS[:10])
            assert (await available_to(bob))["held"] == 10
            cancelled = await alice.post(f"{held.headers['location']}/cancel")
            assert (cancelled.status, cancelled.json["status"]) == (200, "CANCELLED")
            await until_free(bob, 50, seconds=5)
            assert (await hold(bob, *SEATS[:10])).status == 201


async def test_seats_come_back_by_themselves_when_no_worker_runs(tmp_path: Path) -> None:
    """At the inventory's own expiry; the reservation stays on HOLD until a worker says otherwise."""
    with selling(tmp_path, SHORT_HOLDS, with_worker=False) as server:
        async with clients_of(server, "alice", "bob") as (alice, bob):
            held = await hold(alice, "A-1-1")
            assert (await hold(bob, "A-1-1")).status == 409
            await until_free(bob, 50)
            assert (await hold(bob, "A-1-1")).status == 201
            late = await alice.post(f"{held.headers['location']}/confirm", {"payment_intent_id": "pi_1"})
            assert (late.status, late.code) == (410, "hold_expired")
