"""A server of ours and raw connections to it, byte by byte."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.ports import free_port

from reservation_api.entrypoints.http.request import Request, Response
from reservation_api.entrypoints.http.server import HttpServer, ServerLimits

PATIENCE = 20
"""Seconds that no healthy test needs."""


class Echo:
    """Answers with what it was asked; waits at `/wait` until it is let go."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, request: Request) -> Response:
        body = await request.body.read() if request.method == "POST" else b""
        if request.path == "/wait":
            self.arrived.set()
            await self.go_on.wait()
        text = f"{request.method} {request.path}?{request.query} {len(body)} {body[:40]!r}"
        return Response(200, [("content-type", "text/plain")], text.encode())


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *packets: bytes) -> None:
        for packet in packets:
            self._writer.write(packet)
            await self._writer.drain()

    async def receive(self) -> tuple[int, dict[str, str], bytes]:
        """Return the next response's status, headers and body."""
        async with asyncio.timeout(PATIENCE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    async def ask(self, *packets: bytes) -> tuple[int, bytes]:
        await self.send(*packets)
        status, _, body = await self.receive()
        return status, body

    async def rest(self) -> bytes:
        """Return what comes until the server closes."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.read()

    def half_close(self) -> None:
        self._writer.write_eof()

    def reset(self) -> None:
        """Be gone, as a client is that crashes: whatever is on its way to it comes back."""
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()

    async def close(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


class Served:
    def __init__(self, server: HttpServer, port: int) -> None:
        self.server = server
        self._port = port
        self._connections: list[Connection] = []

    async def connect(self) -> Connection:
        connection = Connection(*await asyncio.open_connection("127.0.0.1", self._port))
        self._connections.append(connection)
        return connection

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()


@asynccontextmanager
async def serving(api: object, limits: ServerLimits | None = None) -> AsyncIterator[Served]:
    port = free_port()
    server = HttpServer(api, "127.0.0.1", port, limits)  # type: ignore[arg-type]
    await server.start()
    served = Served(server, port)
    try:
        yield served
    finally:
        await served.close()
        await asyncio.wait_for(server.stop(), PATIENCE)


def post(path: str = "/", length: int | None = None, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: test", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


def get(path: str = "/", *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *headers, "", ""]).encode()


CHUNKED = "Transfer-Encoding: chunked"
