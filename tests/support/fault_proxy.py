"""A TCP proxy that does to a connection what networks do: refuse, swallow, delay, cut, lose the answer.

It knows no more of HTTP/2 than where a frame ends and whether it belongs to an answer (RFC 9113 section
4.1), so that a fault strikes an answer and not the talk about the connection. A fault holds for open and
new connections alike until the proxy is healed, or breaks in another way.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self

LATE_SECONDS = 0.24
"""How late a LATE answer is: 10 ms less than the deadline towards the inventory. It is real time; whoever
waits for it needs a deadline that no busy machine misses."""

_CHUNK_BYTES = 65_536
_FRAME_HEADER_BYTES = 9
_DATA, _HEADERS, _CONTINUATION = 0x0, 0x1, 0x9
_ANSWER = frozenset({_DATA, _HEADERS, _CONTINUATION})
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Network(Enum):
    """What the network does."""

    SOUND = "carries everything"
    REFUSED = "the port is closed, and who was connected is cut off"
    BLACK_HOLE = "connections are made, and everything sent is swallowed"
    LATE = "answers take LATE_SECONDS longer"
    WITHHELD = "answers wait until the network is healed"
    CUT = "connections are reset in the middle of an answer"
    LOST = "requests arrive; connections are reset before any of the answer is back"


class FaultProxy:
    """Stands between clients and one server on this host; made inside a running event loop."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.network = Network.SOUND
        self.late_answers = 0
        """How many came back LATE."""
        # Bound and never listening: the port stays ours while it is closed.
        self._place = _socket(0)
        self.port: int = self._place.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._refuse()
        self._place.close()
        await asyncio.gather(*(connection.ended.wait() for connection in self._open))

    async def breaks(self, how: Network) -> None:
        """Do this from now on; what was swallowed by an earlier fault does not come back."""
        await self.heals()
        self.network = how
        if how is Network.REFUSED:
            self._refuse()

    async def heals(self) -> None:
        """Carry everything again: answers that were withheld arrive, broken connections are reset."""
        self.network = Network.SOUND
        for connection in list(self._open):
            connection.recover()
        if self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        listening = _socket(self.port)
        listening.listen()
        self._server = await asyncio.start_server(self._connected, sock=listening)

    def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._open):
            connection.reset()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, writer)
        self._open.add(connection)
        try:
            await connection.carry(reader)
        finally:
            self._open.discard(connection)


class _Connection:
    """A client's connection, and ours to the server for it."""

    def __init__(self, proxy: FaultProxy, client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = client
        self._server: asyncio.StreamWriter | None = None
        self._late = bytearray()
        self._swallowed = False
        self.ended = asyncio.Event()

    async def carry(self, from_client: asyncio.StreamReader) -> None:
        """Carry bytes both ways until either side ends."""
        try:
            from_server, self._server = await asyncio.open_connection("127.0.0.1", self._proxy.upstream_port)
            if self._client.transport.is_closing():
                self.reset()  # the port was closed meanwhile
            ways = [
                asyncio.create_task(self._carry_requests(from_client, self._server)),
                asyncio.create_task(self._carry_answers(from_server)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            self.reset()
            await asyncio.gather(*ways)
        except OSError:
            self.reset()
        finally:
            self.ended.set()

    def recover(self) -> None:
        """Let go what is late; a stream with a gap is of no use to anybody."""
        if self._swallowed:
            self.reset()
        self._let_go()

    def reset(self) -> None:
        """End both connections with a RST, as a crash or a firewall does; may be repeated."""
        for writer in (self._client, self._server):
            if writer is not None and not writer.transport.is_closing():
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
                )
                writer.transport.abort()

    async def _carry_requests(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        async for data in _chunks(reader):
            if self._proxy.network is Network.BLACK_HOLE:
                self._swallowed = True
            else:
                server.write(data)

    async def _carry_answers(self, reader: asyncio.StreamReader) -> None:
        frames = _Frames()
        async for data in _chunks(reader):
            for frame in frames.complete(data):
                self._carry_back(frame, is_answer=frame[3] in _ANSWER)

    def _carry_back(self, frame: bytes, *, is_answer: bool) -> None:
        match self._proxy.network:
            case Network.BLACK_HOLE:
                self._swallowed = True
            case Network.LATE | Network.WITHHELD if is_answer or self._late:
                self._delay(frame)
            case Network.CUT if frame[3] == _DATA:
                # The write goes out at once: nothing is before it, and it is small.
                self._client.write(frame[: len(frame) // 2])
                self.reset()
            case Network.LOST if is_answer:
                self.reset()
            case _:
                self._client.write(frame)

    def _delay(self, frame: bytes) -> None:
        if not self._late and self._proxy.network is Network.LATE:
            self._proxy.late_answers += 1
            asyncio.get_running_loop().call_later(LATE_SECONDS, self._let_go)
        self._late += frame

    def _let_go(self) -> None:
        late, self._late = bytes(self._late), bytearray()
        if late and not self._client.transport.is_closing():
            self._client.write(late)


class _Frames:
    """Cuts what a server sends into HTTP/2 frames: length (3 bytes), type, flags, stream (4), payload."""

    def __init__(self) -> None:
        self._begun = b""

    def complete(self, data: bytes) -> Iterator[bytes]:
        """Yield the frames that are complete with these bytes."""
        self._begun += data
        while len(self._begun) >= _FRAME_HEADER_BYTES:
            size = _FRAME_HEADER_BYTES + int.from_bytes(self._begun[:3], "big")
            if len(self._begun) < size:
                return
            frame, self._begun = self._begun[:size], self._begun[size:]
            yield frame


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield what comes until the connection ends, however it does."""
    with suppress(ConnectionError):
        while data := await reader.read(_CHUNK_BYTES):
            yield data


def _socket(port: int) -> socket.socket:
    """Bind a port that another socket of ours may be bound to as well."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
