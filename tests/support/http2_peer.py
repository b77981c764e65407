"""A peer that speaks HTTP/2 frame by frame, as well or as badly as it is told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import grpc
import grpc.aio
import hpack
import pytest

from reservation_api.adapters.grpc_wire import frames
from reservation_api.adapters.grpc_wire.channel import Channel, Endpoint
from reservation_api.adapters.grpc_wire.frames import Frame, FrameReader, frame, settings_frame

PATIENCE = 20.0
PATH = "/test.v1.Test/Ask"
OK = [(":status", "200"), ("content-type", "application/grpc")]
DONE = [("grpc-status", "0")]


def message(body: bytes) -> bytes:
    """Return a gRPC message, not compressed."""
    return b"\x00" + len(body).to_bytes(4, "big") + body


@dataclass
class Caller:
    """One connection, as the peer sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    encoder: hpack.Encoder = field(default_factory=hpack.Encoder)
    decoder: hpack.Decoder = field(default_factory=hpack.Decoder)
    frames: "asyncio.Queue[Frame]" = field(default_factory=asyncio.Queue)

    def send(self, kind: int, flags: int, stream_id: int, payload: bytes = b"") -> None:
        self.writer.write(frame(kind, flags, stream_id, payload))

    def headers(self, stream_id: int, headers: list[tuple[str, str]], *, ends: bool = False) -> None:
        flags = frames.END_HEADERS | (frames.END_STREAM if ends else 0)
        self.send(frames.HEADERS, flags, stream_id, self.encoder.encode(headers))

    def answer(self, stream_id: int, body: bytes) -> None:
        """Send a whole reply."""
        self.headers(stream_id, OK)
        self.send(frames.DATA, 0, stream_id, message(body))
        self.headers(stream_id, DONE, ends=True)

    async def next(self, kind: int) -> Frame:
        """Return the next frame of a kind; those before it are dropped."""
        while True:
            one = await self.frames.get()
            if one.kind == kind:
                return one

    async def call(self) -> tuple[int, dict[str, str]]:
        """Return stream and headers of the next call."""
        one = await self.next(frames.HEADERS)
        return one.stream_id, {str(name): str(value) for name, value in self.decoder.decode(one.payload)}


Script = Callable[[Caller], Awaitable[None]]


@asynccontextmanager
async def speaking(*scripts: Script, settings: dict[int, int] | None = None) -> AsyncIterator[int]:
    """Serve the first connection by the first script, and so on; the last serves all others too."""
    left = list(scripts)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        caller = Caller(reader, writer)
        script = left.pop(0) if len(left) > 1 else left[0]
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readexactly(len(frames.PREFACE))
            writer.write(settings_frame(settings or {}))
            reading = asyncio.create_task(_read(caller))
            try:
                await script(caller)
                await writer.drain()
                await reading
            finally:
                reading.cancel()
                writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(caller: Caller) -> None:
    reader = FrameReader()
    with suppress(ConnectionError):
        while data := await caller.reader.read(65536):
            for one in reader.feed(data):
                caller.frames.put_nowait(one)


@asynccontextmanager
async def calling(
    *scripts: Script, connections: int = 1, settings: dict[int, int] | None = None
) -> AsyncIterator[Channel]:
    async with speaking(*scripts, settings=settings) as port:
        channel = Channel(Endpoint("127.0.0.1", port), connections)
        try:
            yield channel
        finally:
            await channel.close(None)


async def ask(channel: Channel, body: bytes = b"ask", seconds: float = PATIENCE) -> bytes:
    return await channel.call(PATH, body, seconds, [("traceparent", "00-1-2-01")])


async def status_of(channel: Channel, seconds: float = PATIENCE) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(channel, seconds=seconds)
    code: grpc.StatusCode = raised.value.code()
    return code


async def echo(caller: Caller) -> None:
    """Answer each call with its own message."""
    while True:
        stream_id, _ = await caller.call()
        body = b""
        while True:
            data = await caller.next(frames.DATA)
            body += data.payload
            if data.flags & frames.END_STREAM:
                break
        caller.answer(stream_id, body[5:])
