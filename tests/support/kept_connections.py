"""HTTP/1.1 connections that are kept open, and what a client knows when one of them breaks.

connections = KeptConnections(server.port, most=16)
response = await connections.exchange(Request("GET", "/v1/orders", headers, b""))
"""

import asyncio
import select
from dataclasses import dataclass

from bench.wire import MalformedResponseError, Request, Response, ResponseReader, render
from tests.support.ports import HOST

ANSWER_SECONDS = 20.0
"""Longer than anything a sound server takes."""
_READ_BYTES = 65_536


@dataclass
class LostError(Exception):
    """There was no answer, or not all of one: nobody knows what was done."""

    why: str
    may_have_been_idle: bool = False
    """A connection used before ended without a byte: its server may have closed it while it was idle."""


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    was_used: bool = False
    has_begun: bool = False
    """Some of the answer has come."""

    @property
    def is_usable(self) -> bool:
        """Tell whether nothing has come, not even an end: clients look before they use one again."""
        if self.reader.at_eof() or self.writer.is_closing():
            return False
        poll = select.poll()
        poll.register(self.writer.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    async def ask(self, data: bytes) -> Response:
        """Raise OSError, EOFError or MalformedResponseError for what is no answer."""
        self.has_begun = False
        self.writer.write(data)
        answer, response = ResponseReader(), None
        while response is None:
            received = await self.reader.read(_READ_BYTES)
            if not received:
                raise EOFError("closed")
            self.has_begun = True
            response = answer.feed(received)
        self.was_used = True
        return response


class KeptConnections:
    """Connections to one port of this machine; beyond `most`, requests wait for each other's."""

    def __init__(self, port: int, most: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []
        self._room = asyncio.Semaphore(most)

    async def exchange(self, request: Request) -> Response:
        """Send once; raises LostError."""
        async with self._room:
            connection, response = self._idle_one() or await self._open(), None
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    response = await connection.ask(render(request, f"{HOST}:{self._port}"))
            except TimeoutError as error:
                raise LostError("no answer") from error
            except (OSError, EOFError, MalformedResponseError) as error:
                raise LostError(repr(error), connection.was_used and not connection.has_begun) from error
            finally:
                if response is not None and response.keep_alive:
                    self._idle.append(connection)
                else:
                    connection.writer.close()
            return response

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().writer.close()

    def _idle_one(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            connection.writer.close()
        return None

    async def _open(self) -> _Connection:
        try:
            return _Connection(*await asyncio.open_connection(HOST, self._port))
        except OSError as error:
            raise LostError(repr(error)) from error
