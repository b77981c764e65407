"""Connections: kept, bounded, replaced, and never left behind."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.support.aws_service import (
    HOST,
    PATIENT_SECONDS,
    REGION,
    Peer,
    Script,
    Service,
    answering,
    calling,
    one_by_one,
    reply,
    serving,
    silence,
    steps,
    until,
)

from reservation_api.adapters.aws_wire.client import AwsClient
from reservation_api.adapters.aws_wire.connection import NotSentError
from reservation_api.adapters.aws_wire.endpoint import DYNAMODB, endpoint_of
from reservation_api.adapters.aws_wire.errors import AwsNotSentError, AwsOutcomeUnknownError
from reservation_api.adapters.aws_wire.pool import Pool
from reservation_api.adapters.aws_wire.settings import AwsWireSettings
from reservation_api.adapters.aws_wire.signing import AwsCredentials, Signer


async def get(client: AwsClient, *, repeatable: bool = False) -> object:
    return await client.call("GetItem", {}, repeatable=repeatable)


def numbered() -> Script:
    """Answer each request with the number of its connection."""

    async def script(peer: Peer, service: Service) -> None:
        while True:
            service.requests.append(await peer.request())
            peer.send(reply({"connection": peer.number}))

    return script


def held(gate: asyncio.Event) -> Script:
    """Answer when the gate opens."""

    async def script(peer: Peer, service: Service) -> None:
        while True:
            service.requests.append(await peer.request())
            await gate.wait()
            peer.send(reply({"connection": peer.number}))

    return script


def after_one_answer(end: Callable[[Peer], None]) -> Script:
    """Answer one request and end the connection while it is idle."""

    async def script(peer: Peer, service: Service) -> None:
        service.requests.append(await peer.request())
        peer.send(reply({"connection": peer.number}))
        end(peer)

    return script


async def test_one_call_after_another_needs_one_connection() -> None:
    async with serving(numbered()) as service, calling(service) as client:
        assert [await get(client) for _ in range(50)] == [{"connection": 1}] * 50
        assert (client.metrics().connections_open, client.metrics().connections_opened) == (1, 1)


async def test_the_connection_used_last_goes_first() -> None:
    gate = asyncio.Event()
    async with serving(held(gate)) as service, calling(service) as client:
        burst = [asyncio.create_task(get(client)) for _ in range(5)]
        await until(lambda: len(service.requests) == 5)
        gate.set()
        await asyncio.gather(*burst)
        first = await get(client)
        assert [await get(client) for _ in range(20)] == [first] * 20
    assert service.connections == 5


async def test_there_are_never_more_connections_than_was_said() -> None:
    gate = asyncio.Event()
    async with serving(held(gate)) as service, calling(service, pool_size=3) as client:
        calls = [asyncio.create_task(get(client)) for _ in range(30)]
        await until(lambda: len(service.requests) == 3)
        await until(lambda: client.metrics().calls_waiting == 27)
        assert client.metrics().calls_in_flight == 30
        gate.set()
        await asyncio.gather(*calls)
        assert (client.metrics().calls_waiting, client.metrics().calls_in_flight) == (0, 0)
    assert service.connections == 3


async def test_a_call_that_finds_no_free_connection_in_time_was_not_sent() -> None:
    gate = asyncio.Event()
    async with serving(held(gate)) as service:
        pool = Pool(endpoint_of(DYNAMODB, REGION, service.url), AwsWireSettings(pool_size=1), None)
        request = Signer(endpoint_of(DYNAMODB, REGION)).request("GetItem", b"{}", AwsCredentials("a", "b"), 0)
        now = asyncio.get_running_loop().time
        first = asyncio.create_task(pool.exchange(request, now() + PATIENT_SECONDS))
        await until(lambda: service.requests)
        with pytest.raises(NotSentError, match="all 1 connections are busy"):
            await pool.exchange(request, now() + 0.05)
        gate.set()
        assert (await first).status == 200
        await pool.close()
    assert len(service.requests) == 1


@pytest.mark.parametrize("left_seconds", [-1.0, 0.0, 0.005])
async def test_a_request_that_has_no_time_for_its_reply_is_not_sent(left_seconds: float) -> None:
    async with serving(numbered()) as service:
        pool = Pool(endpoint_of(DYNAMODB, REGION, service.url), AwsWireSettings(), None)
        with pytest.raises(NotSentError, match="no time is left"):
            await pool.exchange(b"request", asyncio.get_running_loop().time() + left_seconds)
        await pool.close()
    assert service.connections == 0


async def test_a_line_that_is_full_takes_nobody() -> None:
    gate = asyncio.Event()
    bounds: dict[str, Any] = {"pool_size": 1, "max_waiting_calls": 1, "max_attempts": 1}
    async with serving(held(gate)) as service, calling(service, **bounds) as client:
        calls = [asyncio.create_task(get(client)) for _ in range(2)]
        await until(lambda: client.metrics().calls_waiting == 1)
        with pytest.raises(AwsNotSentError, match="busy"):
            await get(client)
        gate.set()
        await asyncio.gather(*calls)


@pytest.mark.parametrize("bound", ["max_age_seconds", "max_idle_seconds"])
async def test_a_connection_that_is_too_old_or_idle_for_too_long_is_replaced(bound: str) -> None:
    loop = asyncio.get_running_loop()
    bounds: dict[str, Any] = {bound: 0.001}
    async with serving(numbered()) as service, calling(service, **bounds) as client:
        for number in (1, 2, 3):
            assert await get(client) == {"connection": number}
            later = loop.time() + 0.002
            await until(lambda later=later: loop.time() > later)  # type: ignore[misc]
        await until(lambda: service.open <= 1)


async def test_connections_that_a_burst_left_behind_are_closed() -> None:
    gate = asyncio.Event()
    async with serving(held(gate)) as service, calling(service, max_idle_seconds=0.05) as client:
        burst = [asyncio.create_task(get(client)) for _ in range(5)]
        await until(lambda: len(service.requests) == 5)
        gate.set()
        await asyncio.gather(*burst)
        async with asyncio.timeout(10):
            while service.open > 1:
                await get(client)
        assert client.metrics().connections_open == 1
    assert service.connections == 5  # none was opened for the calls that followed


@pytest.mark.parametrize("end", [Peer.finish, Peer.reset], ids=["FIN", "RST"])
async def test_a_connection_that_the_service_closed_while_it_was_idle_harms_no_call(
    end: Callable[[Peer], None],
) -> None:
    async with serving(after_one_answer(end)) as service, calling(service, max_attempts=1) as client:
        for number in range(1, 6):
            assert await get(client) == {"connection": number}
            await until(lambda: client.metrics().connections_open == 0)


async def test_a_connection_that_is_about_to_close_takes_no_request() -> None:
    """The service's FIN is here; the event loop tells a turn later that the connection is gone."""
    async with serving(numbered()) as service, calling(service, max_attempts=1) as client:
        await get(client)
        (idle,) = client._pool._idle
        idle.eof_received()
        assert await get(client) == {"connection": 2}
        with pytest.raises(NotSentError):
            await idle.exchange(b"request", 1)
    assert len(service.requests) == 2


@pytest.mark.parametrize("end", [Peer.finish, Peer.reset], ids=["FIN", "RST"])
async def test_a_request_that_crosses_with_the_end_of_its_connection_may_have_been_done(
    end: Callable[[Peer], None],
) -> None:
    """The second request is read and not answered: for all that the client knows, it was carried out."""

    async def script(peer: Peer, service: Service) -> None:
        service.requests.append(await peer.request())
        peer.send(reply())
        service.requests.append(await peer.request())
        end(peer)

    async with (
        serving(one_by_one(script, script, answering({"ok": 1}))) as service,
        calling(service) as client,
    ):
        await get(client)
        with pytest.raises(AwsOutcomeUnknownError):
            await get(client)
        await get(client)
        assert await get(client, repeatable=True) == {"ok": 1}
    assert len(service.requests) == 5


async def test_nobody_at_the_port_means_not_sent_and_is_tried_again() -> None:
    async with serving(numbered()) as service:
        pass
    async with calling(service) as client:
        with pytest.raises(AwsNotSentError, match="not connected"):
            await get(client)
        assert (client.metrics().retries, client.metrics().connections_opened) == (2, 0)


async def test_a_service_that_comes_back_is_called_again() -> None:
    async with serving(numbered()) as service, calling(service) as client:
        await get(client)
        service.script = silence
    async with calling(service) as client:
        with pytest.raises(AwsNotSentError):
            await get(client)
        server = await asyncio.start_server(service.connected, HOST, service.port)
        service.script = numbered()
        assert await get(client) == {"connection": 2}
        server.close()


@pytest.mark.parametrize("host", ["nobody.invalid", "a" * 70 + ".example"])
async def test_a_name_that_nobody_has_means_not_sent(host: str) -> None:
    async with calling(f"http://{host}", connect_seconds=10, max_attempts=1) as client:
        with pytest.raises(AwsNotSentError, match="not connected"):
            await get(client)


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port that takes no more connections: those that fit into its queue are there already."""
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        listening.listen(0)
        queued = [socket.socket() for _ in range(4)]
        for waiting in queued:
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
        for waiting in queued:
            waiting.close()


async def test_a_connection_that_is_not_made_in_time_means_not_sent() -> None:
    with deaf_port() as port:
        async with calling(f"http://{HOST}:{port}", connect_seconds=0.05, max_attempts=2) as client:
            with pytest.raises(AwsNotSentError, match=r"not connected within 0\.05 s"):
                await get(client)
            assert client.metrics().connections_open == 0


async def test_a_connection_has_no_more_time_than_its_call() -> None:
    with deaf_port() as port:
        async with calling(f"http://{HOST}:{port}", connect_seconds=60, total_seconds=0.05) as client:
            with pytest.raises(AwsNotSentError, match="not connected within"):
                await get(client)


async def test_closing_waits_for_calls_under_way_and_takes_no_more() -> None:
    gate = asyncio.Event()
    async with serving(held(gate)) as service, calling(service, pool_size=1) as client:
        under_way = asyncio.create_task(get(client))
        await until(lambda: service.requests)
        in_line = asyncio.create_task(get(client))
        await until(lambda: client.metrics().calls_waiting == 1)
        closing = asyncio.create_task(client.close())
        await steps(2)
        with pytest.raises(AwsNotSentError, match="closed"):
            await get(client)
        gate.set()
        assert await under_way == {"connection": 1}
        with pytest.raises(AwsNotSentError, match="closed"):
            await in_line
        await closing
        assert client.metrics().connections_open == 0
        await until(lambda: service.open == 0)
    assert len(service.requests) == 1


async def test_closing_may_be_repeated() -> None:
    async with serving(numbered()) as service, calling(service) as client:
        await get(client)
        await asyncio.gather(client.close(), client.close())
        await client.close()
        with pytest.raises(AwsNotSentError, match="closed"):
            await get(client)
        assert client.metrics().retries == 0


async def test_a_client_that_was_never_used_closes_at_once() -> None:
    async with calling("http://127.0.0.1:1") as client:
        await asyncio.wait_for(client.close(), 1)


async def test_closing_does_not_wait_longer_than_a_call_may_take() -> None:
    """A call that outlasts its own limit there is not; one whose task is starved there may be."""
    async with serving(silence) as service, calling(service, total_seconds=0.05, read_seconds=0.05) as client:
        call = asyncio.create_task(get(client))
        await until(lambda: service.requests)
        await client.close()
        assert client.metrics().connections_open == 0
        with pytest.raises(AwsOutcomeUnknownError):
            await call
