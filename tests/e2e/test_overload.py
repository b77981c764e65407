"""A server that is held saturated by an inventory that does not answer: counts, and nothing half done.

inventory   holds every call back ................................ answers them all
holds       20 at once: as many as there are places are let in ... 201; the others 503 at once, unasked
confirm     has places of its own .............................. 404: it came through
then        who was refused comes again, with the same key ....... 201
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from tests.support.ports import HOST, free_port
from tests.support.processes import Running, running
from tests.support.shops import EVENT, inventory_on

pytestmark = pytest.mark.e2e

PLACES, RESERVED_PERCENT, ALL = 8, 25, 20
OPEN_PLACES = 6
SETTINGS = {
    "APP_OVERLOAD_MIN_IN_FLIGHT": str(PLACES),
    "APP_OVERLOAD_MAX_IN_FLIGHT": str(PLACES),
    "APP_OVERLOAD_RESERVED_PERCENT": str(RESERVED_PERCENT),
    "APP_INVENTORY_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "10000",
    "APP_HOLD_SECONDS": "300",
}
SLOW_ENOUGH_SECONDS = 20.0


class HeldBack(grpc.GenericRpcHandler):
    """Passes calls on to an inventory, when it is let."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.let = asyncio.Event()
        self.came = asyncio.Semaphore(0)
        self.asked = 0
        self._channel = channel

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        async def answer(request: bytes, _: object) -> bytes:
            self.asked += 1
            self.came.release()
            await self.let.wait()
            method: Any = self._channel.unary_unary(details.method)
            reply: bytes = await method(request)
            return reply

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
async def inventory(tmp_path: Path) -> AsyncIterator[tuple[HeldBack, str]]:
    port = free_port()
    with inventory_on(port, tmp_path / "inventory") as process:
        process.command("events", "create", EVENT, "--section", f"A:1x{2 * ALL}:1000")
        async with grpc.aio.insecure_channel(f"{HOST}:{port}") as channel:
            held_back = HeldBack(channel)
            server = grpc.aio.server(handlers=[held_back])
            address = f"{HOST}:{server.add_insecure_port(f'{HOST}:0')}"
            await server.start()
            yield held_back, address
            await server.stop(0)


async def hold(client: httpx.AsyncClient, number: int) -> httpx.Response:
    headers = {"Idempotency-Key": f"hold-{number}"}
    return await client.post("/v1/reservations", json={"event_id": EVENT, "qty": 1}, headers=headers)


async def test_what_is_let_in_is_served_to_its_end_and_what_is_not_can_come_again(
    inventory: tuple[HeldBack, str],
) -> None:
    held_back, address = inventory
    with running(["serve"], {**SETTINGS, "INVENTORY_GRPC_ADDRESS": address}) as server:
        headers = await asyncio.to_thread(server.bearer, "alice", "reservation:ops")
        client = httpx.AsyncClient(base_url=server.url, headers=headers, timeout=SLOW_ENOUGH_SECONDS)
        async with client:
            await sell_saturated(client, held_back)
            await check_metrics(client)
        check_logs(server)


async def sell_saturated(client: httpx.AsyncClient, held_back: HeldBack) -> None:
    holds = {number: asyncio.create_task(hold(client, number)) for number in range(ALL)}
    async with asyncio.timeout(SLOW_ENOUGH_SECONDS):
        for _ in range(OPEN_PLACES):
            await held_back.came.acquire()
        while sum(task.done() for task in holds.values()) < ALL - OPEN_PLACES:
            left = [task for task in holds.values() if not task.done()]
            await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
    refused = {number: task.result() for number, task in holds.items() if task.done()}
    for answer in refused.values():
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert 1 <= int(answer.headers["retry-after"]) <= 5

    assert (await client.get("/v1/orders")).status_code == 503
    confirm = "/v1/reservations/rsv_nobodys/confirm"
    paid = await client.post(
        confirm, json={"payment_intent_id": "pi_1"}, headers={"Idempotency-Key": "confirm"}
    )
    assert paid.status_code == 404
    for probe in ("/actuator/health/liveness", "/actuator/health/readiness", "/actuator/prometheus"):
        assert (await client.get(probe)).status_code == 200

    held_back.let.set()
    let_in = {number: await task for number, task in holds.items() if number not in refused}
    assert Counter(answer.status_code for answer in let_in.values()) == {201: OPEN_PLACES}
    again = {number: await hold(client, number) for number in refused}
    assert Counter(answer.status_code for answer in again.values()) == {201: ALL - OPEN_PLACES}
    assert held_back.asked == ALL  # the refused had asked for nothing the first time

    replayed = {number: await hold(client, number) for number in let_in}
    assert {number: answer.text for number, answer in replayed.items()} == {
        number: answer.text for number, answer in let_in.items()
    }
    seats = [seat for answer in (*let_in.values(), *again.values()) for seat in answer.json()["seat_ids"]]
    assert len(seats) == len(set(seats)) == ALL


async def check_metrics(client: httpx.AsyncClient) -> None:
    async def shed(reason: str) -> float:
        answer = await client.get(f"/actuator/metrics/RequestsShed?tag=reason:{reason}")
        value: float = answer.json()["measurements"][0]["value"]
        return value

    assert await shed("overload") == ALL - OPEN_PLACES + 1
    assert await shed("overload_urgent") == 0


def check_logs(server: Running) -> None:
    assert [line for line in server.logs() if line["level"] == "ERROR"] == []
