"""Calls that wait for room, peers that do not read, and what a peer may say before it is left."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import grpc
import grpc.aio
import pytest
from tests.support.http2_peer import (
    DONE,
    OK,
    PATIENCE,
    Caller,
    ask,
    calling,
    echo,
    message,
    speaking,
    status_of,
)

from reservation_api.adapters.grpc_wire import frames
from reservation_api.adapters.grpc_wire.channel import Address, Channel, Endpoint
from reservation_api.adapters.grpc_wire.connection import Connection
from reservation_api.adapters.grpc_wire.frames import ProtocolError, settings_frame
from reservation_api.adapters.grpc_wire.headers import MAX_KNOWN, HeaderReader

ONE_AT_A_TIME = {frames.MAX_CONCURRENT_STREAMS: 1}
WIDE = settings_frame({frames.INITIAL_WINDOW_SIZE: frames.MAX_WINDOW}) + frames.number_frame(
    frames.WINDOW_UPDATE, 0, frames.MAX_WINDOW - frames.DEFAULT_WINDOW
)
HUGE = b"x" * 16_000_000
"""More than the sockets' buffers take."""


async def held(caller: Caller) -> None:
    """Leave the first call without an answer, and serve all others."""
    await caller.call()
    await caller.next(frames.DATA)
    await echo(caller)


async def test_room_that_comes_while_a_call_looks_for_it_is_found() -> None:
    async with calling(held, settings=ONE_AT_A_TIME) as channel:
        first = asyncio.create_task(ask(channel))
        await asyncio.wait({first}, timeout=0.2)
        second = asyncio.create_task(ask(channel, b"second"))
        first.cancel()  # ends between the second's look and its wait
        assert await asyncio.wait_for(second, PATIENCE / 2) == b"second"


async def test_room_that_was_promised_to_a_call_that_gives_up_goes_to_the_next() -> None:
    async with calling(held, settings=ONE_AT_A_TIME) as channel:
        first = asyncio.create_task(ask(channel))
        await asyncio.wait({first}, timeout=0.2)
        second, third = (asyncio.create_task(ask(channel, body)) for body in (b"second", b"third"))
        await asyncio.wait({second}, timeout=0.1)
        first.cancel()
        asyncio.get_running_loop().call_soon(second.cancel)  # it has been told, and has not run
        assert await asyncio.wait_for(third, PATIENCE / 2) == b"third"
        with pytest.raises(asyncio.CancelledError):
            await second


async def test_a_peer_that_takes_more_calls_at_once_gets_all_that_wait() -> None:
    async def widening(caller: Caller) -> None:
        await caller.call()
        await caller.next(frames.DATA)
        caller.writer.write(settings_frame({frames.MAX_CONCURRENT_STREAMS: 10}))
        streams = [(await caller.call())[0] for _ in range(9)]
        for stream_id in streams:
            caller.answer(stream_id, b"answer")

    async with calling(widening, settings=ONE_AT_A_TIME) as channel:
        first = asyncio.create_task(ask(channel))
        others = [ask(channel, seconds=PATIENCE / 4) for _ in range(9)]
        assert await asyncio.gather(*others) == [b"answer"] * 9
        first.cancel()


@pytest.mark.parametrize("seconds", [0, -0.0001, -1])
async def test_a_call_without_time_is_not_sent(seconds: float) -> None:
    async with calling(echo) as channel:
        await ask(channel)
        assert await status_of(channel, seconds=seconds) is grpc.StatusCode.DEADLINE_EXCEEDED
        assert channel_calls(channel) == 1


def channel_calls(channel: Channel) -> int:
    """Count the calls that were ever sent."""
    (line,) = channel._lines.values()
    assert line.connection is not None
    return line.connection._next_id // 2


async def test_a_name_without_addresses_is_looked_up_again() -> None:
    async with speaking(echo) as port:
        found: list[Sequence[Address]] = [[], [("127.0.0.1", port)]]

        async def resolve(_host: str, _port: int) -> Sequence[Address]:
            return found.pop(0)

        channel = Channel(Endpoint("inventory", 1), 1, resolve)
        assert await status_of(channel) is grpc.StatusCode.UNAVAILABLE
        answer = b""
        async with asyncio.timeout(PATIENCE):
            while not answer:
                with suppress(grpc.aio.AioRpcError):
                    answer = await ask(channel, b"again")
        assert answer == b"again"
        await channel.close(None)


async def test_growth_for_a_call_that_has_ended_is_not_the_connections() -> None:
    async def generous(caller: Caller) -> None:
        growth = frames.MAX_WINDOW - frames.DEFAULT_WINDOW
        caller.writer.write(frames.number_frame(frames.WINDOW_UPDATE, 0, growth))
        stream_id, _ = await caller.call()
        await caller.next(frames.DATA)
        caller.answer(stream_id, b"answer")
        caller.writer.write(frames.number_frame(frames.WINDOW_UPDATE, stream_id, frames.MAX_WINDOW))
        await echo(caller)

    async with calling(generous) as channel:
        assert await ask(channel) == b"answer"
        assert await ask(channel, b"again") == b"again"
        assert channel_calls(channel) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {frames.MAX_FRAME_SIZE: 0},
        {frames.MAX_FRAME_SIZE: frames.MAX_FRAME + 1},
        {frames.INITIAL_WINDOW_SIZE: frames.MAX_WINDOW + 1},
    ],
)
async def test_a_peer_whose_settings_can_not_be_is_left(settings: dict[int, int]) -> None:
    async def script(caller: Caller) -> None:
        await caller.call()
        caller.writer.write(settings_frame(settings))

    async with calling(script, echo) as channel:
        assert await status_of(channel, seconds=PATIENCE / 2) is grpc.StatusCode.UNAVAILABLE
        assert await ask(channel, b"again") == b"again"


async def test_a_text_that_is_no_utf8_ends_no_other_call() -> None:
    async def script(caller: Caller) -> None:
        stream_id, _ = await caller.call()
        other, _ = await caller.call()
        caller.headers(stream_id, OK)
        text = b"\x00\x0bgrpc-status\x013" + b"\x00\x0cgrpc-message\x02\xff\xfe"
        caller.send(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream_id, text)
        caller.headers(other, OK)
        caller.send(frames.DATA, 0, other, message(b"answer"))
        caller.headers(other, DONE, ends=True)

    async with calling(script) as channel:
        first, second = asyncio.create_task(status_of(channel)), asyncio.create_task(ask(channel))
        assert await first is grpc.StatusCode.INVALID_ARGUMENT
        assert await second == b"answer"


def test_what_blocks_mean_is_kept_within_bounds() -> None:
    reader = HeaderReader()
    for first in range(2, 60):
        for second in range(2, 60):
            reader.read(bytes((0x80 | first, 0x80 | second)))
    assert len(reader._known) <= MAX_KNOWN


def test_a_block_that_changes_the_tables_size_does_so_each_time() -> None:
    reader, none, usual = HeaderReader(), b"\x20\x88", b"\x3f\xe1\x1f\x88"
    for block in (none, usual, none):
        assert list(reader.read(block)) == [(":status", "200")]
    reader.read(b"\x40\x01a\x01b")  # finds no place in the table
    with pytest.raises(ProtocolError):
        reader.read(b"\xbe")


@asynccontextmanager
async def unread(probe_seconds: float) -> AsyncIterator[tuple[asyncio.Transport, Connection]]:
    """Connect to a peer that says a lot is allowed, and reads nothing."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        transport, connection = await loop.create_connection(
            lambda: Connection(probe_seconds), *server.getsockname()
        )
        peer, _ = await loop.sock_accept(server)
        with peer:
            await loop.sock_sendall(peer, WIDE)
            await connection.ready
            yield transport, connection
            transport.abort()
            await connection.lost


async def test_a_peer_that_does_not_read_gets_no_more_calls_and_is_left() -> None:
    async with unread(0.2) as (_, connection):
        call = asyncio.create_task(connection.call(b"", HUGE, PATIENCE))
        await asyncio.sleep(0)
        assert not connection.has_room
        with pytest.raises(grpc.aio.AioRpcError, match="does not read"):
            await asyncio.wait_for(call, PATIENCE)
        await asyncio.wait_for(connection.lost, PATIENCE)


async def test_a_connection_that_is_left_does_not_wait_for_a_dead_peer() -> None:
    async with unread(0.2) as (transport, connection):
        transport.set_write_buffer_limits(high=2 * len(HUGE))
        call = asyncio.create_task(connection.call(b"", HUGE, PATIENCE))
        await asyncio.sleep(0)
        call.cancel()
        connection.leave()
        await asyncio.wait_for(connection.lost, PATIENCE)
