"""The HTTP server: a port, its connections, and an end that loses no request.

HTTP/1.1 and 1.0, without TLS: balancers speak that to us, and each protocol more is one to guard.
"""

import asyncio
import resource
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol, runtime_checkable

from reservation_api.entrypoints.http.connection import Api, Connection, nobody

BACKLOG: Final = 1024
MAX_CONNECTIONS: Final = 8192
"""Idle ones too. Above: a new one is closed at once, and the balancer takes another process."""
RESERVED_FILES: Final = 128
"""Descriptors left for the store, the peers and the log, whatever the number of connections."""
SWEEP_SECONDS: Final = 1.0
QUIET_SECONDS: Final = 1.0
"""After so long without a request in flight, what is still connected has nothing to finish."""
LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """How long a client may take."""

    header_read_seconds: float = 75
    """For a request's headers, and between two requests: longer than the 60 s for which a balancer keeps
    a connection idle, or it would now and then send a request into one that is just being closed."""
    body_read_seconds: float = 10
    max_connections: int = MAX_CONNECTIONS
    """And no more than there are descriptors for."""


@runtime_checkable
class TurnsAway(Protocol):
    """An Api that can do so by a look at the packet."""

    def turn_away(self, packet: bytes) -> bytes | None:
        """Return the whole answer to a packet that is one request, or None."""
        ...


class HttpServer:
    """Serves an Api on a port, which several processes may share (SO_REUSEPORT)."""

    def __init__(
        self,
        api: Api,
        host: str,
        port: int,
        limits: ServerLimits | None = None,
    ) -> None:
        self.in_flight = 0
        """How many requests have come in and are not answered."""
        self.is_stopping = False
        """A connection that is answered from now on is not kept: its client takes another process."""
        self._api = api
        self._turn_away = api.turn_away if isinstance(api, TurnsAway) else nobody
        self._host = host
        self._port = port
        self._limits = limits or ServerLimits()
        self._max_connections = _room(self._limits.max_connections)
        self._takes_none = False
        self._connections: set[Connection] = set()
        self._listening: asyncio.Server | None = None
        self._stopped = asyncio.Event()
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listen; raises OSError if the address can not be had."""
        loop = asyncio.get_running_loop()
        try:
            self._listening = await loop.create_server(
                self._connection, self._host, self._port, backlog=BACKLOG, reuse_port=True
            )
        except OSError as error:
            raise OSError(f"can not listen on {self._host} port {self._port}: {error}") from error
        self._sweep()

    async def wait_stopped(self) -> None:
        """Return when the server has ended, by `stop`; at once if it never began."""
        if self._listening is not None:
            await self._stopped.wait()

    def drain(self) -> None:
        """Keep no connection any longer, but take new ones: some are still sent here.

        A balancer may hold back from new connections only, and send requests into those that it has: into
        one that is idle, at the moment it is closed.
        """
        self.is_stopping = True

    async def stop(self) -> None:
        """Accept no more connections, let the requests in flight finish, and close; may be repeated."""
        if self._listening is None or self._stopped.is_set():
            return
        self.is_stopping = self._takes_none = True
        self._listening.close()
        for connection in list(self._connections):
            connection.close_if_idle()
        await self._wait_until_quiet()
        for connection in list(self._connections):
            connection.close()
        if self._sweeper is not None and not self._connections:
            self._sweeper.cancel()
        self._stopped.set()

    async def _wait_until_quiet(self) -> None:
        """Wait for the connections, but not for a client that does not read its answer to the end."""
        quiet_seconds = 0.0
        while self._connections and quiet_seconds < QUIET_SECONDS:
            await asyncio.sleep(LOOK_SECONDS)
            quiet_seconds = 0.0 if self.in_flight else quiet_seconds + LOOK_SECONDS

    def opened(self, connection: Connection) -> bool:
        """Count a connection in; False if there are too many, or no more are taken."""
        if self._takes_none or len(self._connections) >= self._max_connections:
            return False
        self._connections.add(connection)
        return True

    def closed(self, connection: Connection) -> None:
        """Count a connection out."""
        self._connections.discard(connection)

    def _connection(self) -> Connection:
        return Connection(self._api, self, self._turn_away)

    def _sweep(self) -> None:
        """End what takes too long, now and again and again; a timer for each request would cost more.

        After the server's end too, until the last client that does not read is gone.
        """
        now = monotonic()
        idle_since = now - self._limits.header_read_seconds
        reading_since = now - self._limits.body_read_seconds
        for connection in list(self._connections):
            connection.sweep(now, idle_since, reading_since)
        if self._stopped.is_set() and not self._connections:
            return
        shortest = min(SWEEP_SECONDS, self._limits.body_read_seconds, self._limits.header_read_seconds)
        self._sweeper = asyncio.get_running_loop().call_later(shortest, self._sweep)


def _room(max_connections: int) -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return max_connections
    return max(1, min(max_connections, files - RESERVED_FILES))
