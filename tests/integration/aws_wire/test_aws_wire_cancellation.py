"""Callers give up at any moment: no slot is lost, no connection is left behind, no reply goes astray."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.support.aws_service import (
    HOST,
    FixedCredentials,
    Parts,
    Peer,
    Service,
    calling,
    reply,
    serving,
    steps,
    until,
)
from tests.support.certificates import Authority

from reservation_api.adapters.aws_wire.client import AwsClient
from reservation_api.adapters.aws_wire.pool import tls_context

CALLS = 300
POOL_SIZE = 16


async def echo(peer: Peer, service: Service) -> None:
    """Answer each request with itself, sooner or later and in pieces."""
    dice = random.Random(peer.number)
    while True:
        service.requests.append(request := await peer.request())
        await steps(dice.randrange(20))
        await peer.send_in_pieces(reply(request.body), dice.choice([10, 100, 10_000]))


async def ask(client: AwsClient, number: int) -> None:
    """Make a call whose reply can be no other call's."""
    sent = {"Number": number, "Padding": "x" * (number % 7) * 100}
    assert await client.call("GetItem", sent, repeatable=False) == sent


def free_slots(client: AwsClient) -> int:
    return client._pool.free


async def assert_nothing_is_left(client: AwsClient, service: Service, pool_size: int) -> None:
    """All slots are free, and each can be used at the same time."""
    metrics = client.metrics()
    assert (metrics.calls_in_flight, metrics.calls_waiting) == (0, 0)
    assert free_slots(client) == pool_size
    await until(lambda: service.open == client.metrics().connections_open)
    await asyncio.gather(*(ask(client, 1000 + number) for number in range(pool_size * 2)))


@pytest.mark.parametrize("seed", range(10))
async def test_a_storm_of_calls_of_which_a_third_is_cancelled(seed: int) -> None:
    dice = random.Random(seed)
    async with serving(echo) as service, calling(service, pool_size=POOL_SIZE) as client:
        calls = [asyncio.create_task(ask(client, number)) for number in range(CALLS)]
        victims = dice.sample(calls, CALLS // 3)
        for victim in victims:
            await steps(dice.randrange(6))
            victim.cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        faults = [outcome for outcome in outcomes if not isinstance(outcome, asyncio.CancelledError | None)]
        assert faults == []
        assert sum(outcome is None for outcome in outcomes) >= CALLS - len(victims)
        assert sum(outcome is not None for outcome in outcomes) > 20  # not all came too late
        await assert_nothing_is_left(client, service, POOL_SIZE)
    await until(lambda: service.open == 0)


async def test_a_storm_of_calls_that_come_and_go() -> None:
    """Each caller makes call after call, some with little patience."""
    async with serving(echo) as service, calling(service, pool_size=POOL_SIZE) as client:

        async def caller(number: int) -> None:
            dice = random.Random(number)
            for turn in range(10):
                call = asyncio.create_task(ask(client, number * 100 + turn))
                await steps(dice.randrange(200))
                if dice.random() < 0.3:
                    call.cancel()
                await asyncio.wait([call])
                assert call.cancelled() or call.exception() is None

        await asyncio.gather(*(caller(number) for number in range(60)))
        await assert_nothing_is_left(client, service, POOL_SIZE)


Begin = Callable[[AwsClient], Awaitable[None]]


async def at_first(_: AwsClient) -> None:
    """Nothing is connected yet."""


async def connected(client: AwsClient) -> None:
    """A connection is idle."""
    await ask(client, 1)


async def cancelled_after(count: int, call: "asyncio.Task[None]") -> bool:
    """Cancel a call after so many turns of the event loop; return whether it had not ended before."""
    await steps(count)
    call.cancel()
    await asyncio.wait([call])
    return call.cancelled()


@pytest.mark.parametrize("begin", [at_first, connected])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_call_may_be_cancelled_at_every_turn_of_the_event_loop(
    begin: Begin, scheme: str, tmp_path: Path
) -> None:
    server, parts = (None, Parts()) if scheme == "http" else tls(tmp_path)
    cancelled = 0
    async with serving(echo, server) as service:
        for count in range(40 if scheme == "http" else 80):
            async with calling(service, parts, pool_size=1) as client:
                await begin(client)
                call = asyncio.create_task(ask(client, 7))
                cancelled += await cancelled_after(count, call)
                await assert_nothing_is_left(client, service, 1)
            await until(lambda: service.open == 0)
    assert cancelled > 4


@pytest.mark.parametrize("count", range(30))
async def test_a_call_that_waits_in_line_may_be_cancelled_at_every_turn(count: int) -> None:
    async with serving(echo) as service, calling(service, pool_size=1) as client:
        calls = [asyncio.create_task(ask(client, number)) for number in range(3)]
        await cancelled_after(count, calls[1])
        await asyncio.gather(calls[0], calls[2])
        await assert_nothing_is_left(client, service, 1)


async def test_a_call_that_waits_for_credentials_may_be_cancelled() -> None:
    class Slow(FixedCredentials):
        def current(self) -> None:
            return None

    async with serving(echo) as service, calling(service, Parts(Slow()), pool_size=1) as client:
        for count in range(10):
            await cancelled_after(count, asyncio.create_task(ask(client, 7)))
        await assert_nothing_is_left(client, service, 1)


async def test_a_call_that_waits_before_its_next_try_has_no_slot_and_may_be_cancelled() -> None:
    async with calling("http://127.0.0.1:1", backoff_base_seconds=1e9, backoff_cap_seconds=10) as client:
        call = asyncio.create_task(ask(client, 7))
        await until(lambda: client.metrics().retries == 1)
        await until(lambda: free_slots(client) == client._settings.pool_size)
        call.cancel()
        await asyncio.wait([call])
        assert (call.cancelled(), client.metrics().calls_in_flight) == (True, 0)


def tls(folder: Path) -> tuple[ssl.SSLContext, Parts]:
    authority = Authority("ours")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue("service", HOST).write(folder, "service"))
    (folder / "authority.pem").write_bytes(authority.certificate)
    return server, Parts(tls=tls_context(str(folder / "authority.pem")))
