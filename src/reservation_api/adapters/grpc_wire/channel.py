"""A peer's connections: some to each of its addresses, kept alive by themselves, calls in turns.

resolve ─▶ addresses ─▶ a line for each connection:  connect ─▶ ready ─▶ lost ─┐
   ▲                                                    ▲                      │ again, after a pause
   └── when a line fails or has grown old ──────────────┴──────────────────────┘

While a first attempt is under way, calls wait for it; once all lines have failed, they are refused at once.
"""

import asyncio
import random
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final

import grpc

from reservation_api.adapters.grpc_wire.connection import PROBE_SECONDS, Connection
from reservation_api.adapters.grpc_wire.headers import metadata_fields, request_head, timeout_field
from reservation_api.adapters.grpc_wire.statuses import UntouchedError, failed

FIRST_PAUSE_SECONDS: Final = 0.1
LAST_PAUSE_SECONDS: Final = 2.0
"""gRPC waits up to two minutes before it connects again; a peer that is back should be used."""
MAX_AGE_SECONDS: Final = 600.0
"""A connection is replaced then, so that a change of the peer's addresses is followed."""
RESOLVE_PAUSE_SECONDS: Final = 5.0
MAX_ADDRESSES: Final = 64
MAX_WAITING: Final = 4096
"""Calls that wait for room: beyond it nobody waits, they would be let down when their time is over."""

Address = tuple[str, int]
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


async def resolve(host: str, port: int) -> Sequence[Address]:
    """Return every address that the name has; raises OSError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is no name") from error
    return list(dict.fromkeys((str(where[0]), int(where[1])) for *_, where in found))


def tls_context(root_certificates: bytes | None) -> ssl.SSLContext:
    """Believe these authorities, or the system's; TLS 1.2 or later, and HTTP/2."""
    pem = None if root_certificates is None else root_certificates.decode("ascii", "replace")
    context = ssl.create_default_context(cadata=pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    # Python 3.13 refuses authorities that do without a key usage, as many private ones do.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a peer is, and how long its connections may say nothing."""

    host: str
    """A name or an address; IPv6 without brackets."""
    port: int
    tls: ssl.SSLContext | None = None
    connect_seconds: float = 5.0
    """For the connection, TLS and the peer's settings."""
    probe_seconds: float = PROBE_SECONDS

    @property
    def authority(self) -> str:
        """The peer, as it is named in each call."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Channel:
    """Calls of one peer; connections are made from the first call on, in the loop that runs."""

    def __init__(self, endpoint: Endpoint, lines_per_address: int, resolver: Resolve = resolve) -> None:
        self._endpoint = endpoint
        self._lines_per_address = lines_per_address
        self._resolver = resolver
        self._heads: dict[str, bytes] = {}
        self._lines: dict[tuple[Address, int], _Line] = {}
        self._turn: deque[_Line] = deque()
        self._keeper: asyncio.Task[None] | None = None
        self._stale = asyncio.Event()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._unresolved: str | None = None
        self._is_closed = False

    async def call(
        self, path: str, message: bytes, seconds: float, metadata: Iterable[tuple[str, str]] = ()
    ) -> bytes:
        """Return the reply's message; raises grpc.aio.AioRpcError whatever went wrong."""
        head = self._heads.get(path)
        if head is None:
            endpoint = self._endpoint
            head = request_head(path, endpoint.authority, is_tls=endpoint.tls is not None)
            self._heads[path] = head
        ends_at = monotonic() + seconds
        connection = self._pick() or await self._wait_for_room(seconds)
        fields = metadata_fields(metadata)
        try:
            seconds = _left(ends_at)
            return await connection.call(head + timeout_field(seconds) + fields, message, seconds)
        except UntouchedError:
            connection = self._pick() or await self._wait_for_room(_left(ends_at))
        seconds = _left(ends_at)
        return await connection.call(head + timeout_field(seconds) + fields, message, seconds)

    async def close(self, seconds: float | None) -> None:
        """Let calls under way end within these seconds (None: not at all), then close; may be repeated."""
        self._is_closed = True
        if self._keeper is not None:
            self._keeper.cancel()
        lines = list(self._lines.values())
        self._wake_all()
        await asyncio.gather(*(line.close(seconds) for line in lines))

    def _pick(self) -> Connection | None:
        """Return the connection whose turn it is, of those with room."""
        turn = self._turn
        for _ in range(len(turn)):
            line = turn[0]
            turn.rotate(-1)
            if line.connection is not None and line.connection.has_room:
                return line.connection
        return None

    async def _wait_for_room(self, seconds: float) -> Connection:
        if self._keeper is None and not self._is_closed:
            self._keeper = asyncio.create_task(self._keep())
        try:
            async with asyncio.timeout(seconds):
                await asyncio.sleep(0)  # who asks again and again must let us connect meanwhile
                while (connection := self._pick()) is None:  # and nothing comes between this and the wait
                    self._refuse_if_hopeless()
                    await self._be_told()
                return connection
        except TimeoutError:
            raise failed(grpc.StatusCode.DEADLINE_EXCEEDED, "no connection in time") from None

    async def _be_told(self) -> None:
        room = asyncio.get_running_loop().create_future()
        self._waiting.append(room)
        try:
            await room
        except asyncio.CancelledError:
            if room.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(room)
            else:
                self._wake(1)  # it was told of room that it does not take: another may
            raise

    def _refuse_if_hopeless(self) -> None:
        if self._is_closed:
            raise failed(grpc.StatusCode.UNAVAILABLE, "the channel is closed")
        if len(self._waiting) >= MAX_WAITING:
            raise failed(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls wait for room")
        if not self._lines and self._unresolved is not None:
            raise failed(grpc.StatusCode.UNAVAILABLE, self._unresolved)
        faults = [line.fault for line in self._turn]
        if faults and None not in faults:
            raise failed(grpc.StatusCode.UNAVAILABLE, f"can not connect: {faults[0]}")

    def _wake(self, calls: int) -> None:
        while calls > 0 and self._waiting:
            room = self._waiting.popleft()
            if not room.done():
                room.set_result(None)
                calls -= 1

    def _wake_all(self) -> None:
        self._wake(len(self._waiting))

    async def _keep(self) -> None:
        """Look addresses up, now and whenever a connection fails or grows old; never ends of itself."""
        while True:
            self._stale.clear()
            found = await self._look_up()
            if found:
                self._take_up(found[:MAX_ADDRESSES])
                await asyncio.sleep(RESOLVE_PAUSE_SECONDS)
                await self._stale.wait()
            else:
                self._wake_all()
                await asyncio.sleep(LAST_PAUSE_SECONDS)

    async def _look_up(self) -> Sequence[Address]:
        """Return the peer's addresses; if there are none, those from before stay."""
        host = self._endpoint.host
        try:
            found = await self._resolver(host, self._endpoint.port)
        except OSError as error:
            self._unresolved = f"{host} can not be looked up: {error}"
            return ()
        self._unresolved = None if found else f"{host} has no address"
        return found

    def _take_up(self, addresses: Sequence[Address]) -> None:
        wanted = {(address, n) for address in addresses for n in range(self._lines_per_address)}
        for key in self._lines.keys() - wanted:
            self._lines.pop(key).retire()
        for key in sorted(wanted - self._lines.keys()):
            self._lines[key] = _Line(self._endpoint, key[0], self._stale.set, self._wake, self._wake_all)
        self._turn = deque(self._lines.values())


def _left(ends_at: float) -> float:
    seconds = ends_at - monotonic()
    if seconds <= 0:
        raise failed(grpc.StatusCode.DEADLINE_EXCEEDED, "no time is left")
    return seconds


def _check_protocol(transport: asyncio.BaseTransport) -> None:
    if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
        raise ConnectionError("the peer does not offer HTTP/2")


class _Line:
    """One connection to one address, made again when it is lost."""

    def __init__(
        self,
        endpoint: Endpoint,
        address: Address,
        stale: Callable[[], None],
        room: Callable[[int], None],
        changed: Callable[[], None],
    ) -> None:
        self.connection: Connection | None = None
        self.fault: str | None = None
        """Why there is none; None while that is not known yet."""
        self._endpoint = endpoint
        self._address = address
        self._stale = stale
        self._room = room
        self._changed = changed
        self._task = asyncio.create_task(self._run())

    def retire(self) -> None:
        """Make no more connections; the one there is takes no more calls."""
        self._task.cancel()
        if self.connection is not None:
            self.connection.leave()

    async def close(self, seconds: float | None) -> None:
        """Let calls under way end, no longer than this, and close."""
        self.retire()
        await asyncio.gather(self._task, return_exceptions=True)
        connection = self.connection
        if connection is None:
            return
        if seconds is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(connection.lost), seconds)
        connection.abort(failed(grpc.StatusCode.CANCELLED, "the channel closes"))

    async def _run(self) -> None:
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE_SECONDS
        while True:
            began_at = loop.time()
            try:
                connection = await self._connect()
            except OSError as error:
                self.fault = str(error) or repr(error)
            else:
                self.fault = None
                await self._keep(connection)
            self._changed()
            self._stale()
            if self.fault is None and loop.time() - began_at > LAST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
                continue
            # Also after a connection that was closed at once: a peer that does so would be asked for ever.
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 (it spreads load)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    async def _connect(self) -> Connection:
        """Return a connection that is ready; raises OSError."""
        loop, tls, host = asyncio.get_running_loop(), self._endpoint.tls, self._endpoint.host
        connection = Connection(self._endpoint.probe_seconds)
        try:
            async with asyncio.timeout(self._endpoint.connect_seconds):
                transport, _ = await loop.create_connection(
                    lambda: connection, *self._address, ssl=tls, server_hostname=host if tls else None
                )
                if tls:
                    _check_protocol(transport)
                await connection.ready
        except BaseException:
            connection.ready.cancel()
            connection.abort(failed(grpc.StatusCode.UNAVAILABLE, "the connection was not made"))
            raise
        return connection

    async def _keep(self, connection: Connection) -> None:
        """Offer a connection until it is lost."""
        age = MAX_AGE_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 (lines are not to go all at once)
        timer = asyncio.get_running_loop().call_later(age, connection.leave)
        connection.on_room = self._room
        self.connection = connection
        self._changed()
        try:
            await asyncio.shield(connection.lost)
        finally:
            timer.cancel()
        self.connection = None
