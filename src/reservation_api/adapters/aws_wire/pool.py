"""The connections of one client: never more than so many, the one used last goes first.

A call takes a slot, then a connection, and gives both back whatever happens:

    slot ──▶ idle connection, or a new one ──▶ request, reply ──▶ back on the pile ──▶ slot given back
                                                  └─ anything else: closed ───────────▶ slot given back

A new connection is opened only if none is idle, so there are never more connections than slots. Last in,
first out: a quiet hour leaves few connections busy, and the others are idle for long and closed.
"""

import asyncio
import random
import ssl
from collections import deque
from time import monotonic
from typing import Final

from reservation_api.adapters.aws_wire.connection import Connection, NotSentError, Reply
from reservation_api.adapters.aws_wire.endpoint import AwsEndpoint
from reservation_api.adapters.aws_wire.settings import AwsWireSettings
from reservation_api.adapters.aws_wire.slots import Slots

_EARLIEST_RETIREMENT: Final = 0.9
"""Of the greatest age: connections of one busy second shall not all be replaced in one second."""
_LEAST_SECONDS: Final = 0.01
"""A request that nobody would hear the reply of is not sent: not sent is better than not known."""
_CLOSING_SECONDS: Final = 1.0
"""For the event loop to let go of sockets, beyond the calls' own time limit."""


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Return what verifies services: the machine's authorities, or those of a PEM file; TLS 1.2 or newer.

    One for all clients: to read the authorities takes milliseconds.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Pool:
    """For one endpoint and one event loop; `tls` is not used for http."""

    def __init__(self, endpoint: AwsEndpoint, settings: AwsWireSettings, tls: ssl.SSLContext | None) -> None:
        self.opened = 0
        self.is_closed = False
        self._endpoint = endpoint
        self._settings = settings
        self._tls = (tls or tls_context()) if endpoint.is_tls else None
        self._slots = Slots(settings.pool_size, settings.max_waiting_calls)
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._all_gone = asyncio.Event()

    @property
    def open(self) -> int:
        """Connections, busy or idle."""
        return len(self._open)

    @property
    def waiting(self) -> int:
        """Calls that wait for a connection."""
        return self._slots.waiting

    @property
    def waited_seconds(self) -> float:
        """How long all calls so far waited for a connection, together."""
        return self._slots.waited_seconds

    @property
    def free(self) -> int:
        """Slots that no call has."""
        return self._slots.free

    async def exchange(self, request: bytes, ends_at: float) -> Reply:
        """Send a request and return its reply, all before `ends_at` by `time.monotonic`.

        Raises NotSentError, ReplyLostError.
        """
        self._refuse_if_closed()
        if not self._slots.try_take():
            await self._wait_for_a_slot(ends_at)
        try:
            connection = self._take_idle() or await self._connect(ends_at)
            try:
                reply = await connection.exchange(request, _time_left(self._settings.read_seconds, ends_at))
            except BaseException:
                connection.abort()
                raise
            self._keep(connection)
            return reply
        finally:
            self._slots.give_back()
            if self.is_closed:
                self._tell_if_all_gone()

    async def close(self) -> None:
        """Let calls under way end within their time limit, then close everything; may be repeated."""
        self.is_closed = True
        while self._idle:
            self._idle.pop().abort()
        self._tell_if_all_gone()
        try:
            async with asyncio.timeout(self._settings.total_seconds + _CLOSING_SECONDS):
                await self._all_gone.wait()
        except TimeoutError:
            for connection in list(self._open):
                connection.abort()

    def _refuse_if_closed(self) -> None:
        if self.is_closed:
            raise NotSentError("the client is closed")

    async def _wait_for_a_slot(self, ends_at: float) -> None:
        if not await self._slots.take(ends_at - monotonic()):
            raise NotSentError(f"all {self._settings.pool_size} connections are busy")

    def _take_idle(self) -> Connection | None:
        now = monotonic()
        while self._idle:
            connection = self._idle.pop()
            is_fresh = connection.idle_since + self._settings.max_idle_seconds > now
            if connection.is_usable and is_fresh and connection.retires_at > now:
                return connection
            connection.abort()
        return None

    def _keep(self, connection: Connection) -> None:
        now = monotonic()
        if not connection.is_usable or self.is_closed or connection.retires_at <= now:
            connection.abort()
            return
        connection.idle_since = now
        self._idle.append(connection)
        while self._idle[0].idle_since + self._settings.max_idle_seconds <= now:
            self._idle.popleft().abort()

    async def _connect(self, ends_at: float) -> Connection:
        self._refuse_if_closed()  # while this call waited; nothing is idle then
        seconds = _time_left(self._settings.connect_seconds, ends_at)
        connection = Connection(self._settings.max_reply_bytes, self._forget)
        self._open.add(connection)
        try:
            async with asyncio.timeout(seconds):
                await self._make(connection)
        except TimeoutError as error:
            raise NotSentError(f"not connected within {seconds:.3g} s") from error
        except (OSError, UnicodeError) as error:  # addresses and certificates; a host name that can be none
            raise NotSentError(f"not connected: {error}") from error
        finally:
            if not connection.retires_at:  # the event loop closes what was not made; uvloop does not say so
                self._forget(connection)
        return connection

    async def _make(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        hostname, port = self._endpoint.hostname, self._endpoint.port
        await loop.create_connection(lambda: connection, hostname, port, ssl=self._tls)
        share = random.uniform(_EARLIEST_RETIREMENT, 1)  # noqa: S311 (spreads load)
        connection.retires_at = monotonic() + share * self._settings.max_age_seconds
        self.opened += 1

    def _forget(self, connection: Connection) -> None:
        """Hear that a connection is gone."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self.is_closed:
            self._tell_if_all_gone()

    def _tell_if_all_gone(self) -> None:
        if not self._open and self._slots.free == self._settings.pool_size:
            self._all_gone.set()


def _time_left(seconds: float, ends_at: float) -> float:
    left = ends_at - monotonic()
    if left < _LEAST_SECONDS:
        raise NotSentError("no time is left")
    return min(seconds, left)
