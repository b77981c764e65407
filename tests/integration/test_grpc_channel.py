"""The connections of a channel: lost, dead, refused, and moved to other addresses."""

import asyncio
import socket
from collections.abc import Sequence

import grpc
import grpc.aio
import pytest
from tests.support.http2_peer import (
    PATIENCE,
    Caller,
    ask,
    calling,
    echo,
    speaking,
    status_of,
)

from reservation_api.adapters.grpc_wire import frames
from reservation_api.adapters.grpc_wire.channel import Address, Channel, Endpoint


async def test_a_peer_that_closes_each_connection_is_not_asked_without_a_pause() -> None:
    accepted = 0

    async def closing(caller: Caller) -> None:
        nonlocal accepted
        accepted += 1
        caller.writer.close()

    async with calling(closing) as channel:
        for _ in range(20):
            await status_of(channel, seconds=0.05)
    assert accepted <= 12  # 0.1, 0.2, 0.4, ... s apart


async def test_a_connection_that_says_nothing_any_more_is_given_up() -> None:
    pinged = asyncio.Event()

    async def dead(caller: Caller) -> None:
        await caller.next(frames.PING)
        pinged.set()
        await asyncio.Event().wait()

    async with speaking(dead, echo) as port:
        channel = Channel(Endpoint("127.0.0.1", port, probe_seconds=0.1), 1)
        assert await status_of(channel, seconds=0.1) is grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.wait_for(pinged.wait(), PATIENCE)
        with pytest.raises(grpc.aio.AioRpcError, match="dead"):
            await ask(channel)
        assert await ask(channel, b"again") == b"again"
        await channel.close(None)


async def test_a_peer_that_is_slow_but_alive_keeps_its_connection() -> None:
    accepted = 0

    async def slow(caller: Caller) -> None:
        nonlocal accepted
        accepted += 1
        await caller.call()
        ping = await caller.next(frames.PING)
        caller.send(frames.PING, frames.ACK, 0, ping.payload)
        second, _ = await caller.call()
        await asyncio.wait_for(asyncio.shield(judged), PATIENCE)
        caller.answer(second, b"slow")

    async with speaking(slow) as port:
        judged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        channel = Channel(Endpoint("127.0.0.1", port, probe_seconds=0.1), 1)
        assert await status_of(channel, seconds=0.1) is grpc.StatusCode.DEADLINE_EXCEEDED
        asyncio.get_running_loop().call_later(0.3, judged.set_result, None)
        assert await ask(channel) == b"slow"
        await channel.close(None)
    assert accepted == 1


async def test_a_peer_that_never_says_its_settings_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        channel = Channel(Endpoint("127.0.0.1", silent.getsockname()[1], connect_seconds=0.1), 1)
        assert await status_of(channel) is grpc.StatusCode.UNAVAILABLE
        await channel.close(None)


async def test_addresses_that_go_are_used_no_more_and_new_ones_are() -> None:
    async def naming(name: bytes, caller: Caller) -> None:
        while True:
            stream_id, _ = await caller.call()
            caller.answer(stream_id, name)

    async def first(caller: Caller) -> None:
        stream_id, _ = await caller.call()
        caller.answer(stream_id, b"first")
        caller.writer.close()

    async def second(caller: Caller) -> None:
        await naming(b"second", caller)

    async with speaking(first) as one, speaking(second) as other:
        ports = [one]

        async def resolve(_host: str, _port: int) -> Sequence[Address]:
            return [("127.0.0.1", port) for port in ports]

        channel = Channel(Endpoint("inventory", 1), 1, resolve)
        assert await ask(channel) == b"first"
        ports[:] = [other]
        answer = b""
        async with asyncio.timeout(PATIENCE):
            while answer != b"second":
                try:
                    answer = await ask(channel, seconds=1)
                except grpc.aio.AioRpcError:
                    answer = b""
        await channel.close(None)


async def test_a_name_that_is_none_is_unavailable_at_once() -> None:
    channel = Channel(Endpoint("x" * 80 + ".invalid", 1), 1)
    assert await status_of(channel) is grpc.StatusCode.UNAVAILABLE
    await channel.close(None)
