"""The one file that knows the server: Granian's RSGI, embedded in this process's own event loop."""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]  # re-exported there, not declared
from granian.server.embed import Server

from reservation_api.entrypoints.http.refusals import (
    IncompleteBodyError,
    PayloadTooLargeError,
    SlowBodyError,
)
from reservation_api.entrypoints.http.request import MAX_BODY_BYTES, Headers, Request, Response

BACKLOG = 1024
MAX_HEADER_BYTES = 16 * 1024
"""Request line and headers together; a token is 1 to 2 KB. Above: 431."""
MAX_CONNECTIONS = 8192
"""Granian's `backpressure` counts open connections, idle ones too, not requests. Above: they wait."""
RESERVED_FILES = 128
"""Descriptors left for the store, the peers and the log, whatever the number of connections."""
SWEEP_SECONDS = 1.0
LOOK_SECONDS = 0.1
QUIET_SECONDS = 1.0
"""After so long without a request in flight, what is still connected has nothing to finish."""

_QUIET_LOGGING: dict[str, Any] = {
    # Incremental: Granian would otherwise close and replace the handlers of the whole process.
    "incremental": True,
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {}},
}


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """How long a client may take."""

    header_read_seconds: float = 75
    """For a request's headers, and between two requests: longer than the 60 s for which a balancer keeps
    a connection idle, or it would now and then send a request into one that is just being closed."""
    body_read_seconds: float = 10


class HttpServer:
    """Serves an Api on a port, which several processes may share (SO_REUSEPORT)."""

    def __init__(
        self,
        api: Callable[[Request], Awaitable[Response]],
        host: str,
        port: int,
        limits: ServerLimits | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._limits = limits or ServerLimits()
        self._application = _Application(api, self._limits.body_read_seconds)
        self._server: Any = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """How many requests have come in and are not answered."""
        return self._application.in_flight

    async def start(self) -> None:
        """Listen; raises OSError if the address can not be had."""
        self._server = _granian(self._application, self._host, self._port, self._limits)
        self._serving = asyncio.create_task(self._server.serve())
        listening = asyncio.create_task(self._application.listening.wait())
        await asyncio.wait({self._serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._serving.done():
            error = self._serving.exception()
            self._serving = None
            reason = str(error).partition("\n")[0]  # what follows is a native stack
            raise OSError(f"can not listen on {self._host} port {self._port}: {reason}") from error
        self._application.sweep()

    async def wait_stopped(self) -> None:
        """Return when the server has ended, by `stop` or of itself; raises what ended it."""
        if self._serving is not None:
            await asyncio.shield(self._serving)

    async def stop(self) -> None:
        """Accept no more connections, let the requests in flight finish, and close; may be repeated."""
        if self._serving is None:
            return
        self._server.stop()
        await self._wait_until_quiet(self._serving)
        self._application.stop_sweeping()

    async def _wait_until_quiet(self, serving: "asyncio.Task[None]") -> None:
        """Wait for the server, but not for a connection whose request never comes.

        Granian would wait for half a header, or for a client that does not read its answer, as long as
        either may take, which is longer than a shutdown may.
        """
        quiet_seconds = 0.0
        while not serving.done() and quiet_seconds < QUIET_SECONDS:
            await asyncio.wait([serving], timeout=LOOK_SECONDS)
            quiet_seconds = 0.0 if self.in_flight else quiet_seconds + LOOK_SECONDS


def _granian(application: "_Application", host: str, port: int, limits: ServerLimits) -> Any:
    return Server(
        application,
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,  # balancers speak HTTP/1.1 to us, and each protocol more is one to guard
        websockets=False,
        backlog=BACKLOG,
        backpressure=_max_connections(),
        http1_settings=HTTP1Settings(
            header_read_timeout=round(limits.header_read_seconds * 1000), max_buffer_size=MAX_HEADER_BYTES
        ),
        log_level=LogLevels.error,
        log_dictconfig=_QUIET_LOGGING,
    )


def _max_connections() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, files - RESERVED_FILES))


class _Application:
    """What Granian calls."""

    def __init__(self, api: Callable[[Request], Awaitable[Response]], body_read_seconds: float) -> None:
        self.in_flight = 0
        self.listening = asyncio.Event()
        self._api = api
        self._body_read_seconds = body_read_seconds
        self._readers: _Readers = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def __rsgi_init__(self, _loop: asyncio.AbstractEventLoop) -> None:
        # Granian starts listening a little later, but in the same step: whoever waits for this runs after it.
        self.listening.set()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        headers = scope.headers
        body = _RsgiBody(protocol, headers, self._readers)
        self.in_flight += 1
        try:
            response = await self._api(Request(scope.method, scope.path, scope.query_string, headers, body))
            protocol.response_bytes(response.status, response.headers, response.body)
        finally:
            self.in_flight -= 1

    def sweep(self) -> None:
        """End what reads too long, now and again and again; a timer for each request would cost more."""
        loop = asyncio.get_running_loop()
        overdue_since = loop.time() - self._body_read_seconds
        for task, began in list(self._readers.items()):
            if began is not None and began <= overdue_since:
                self._readers[task] = None
                task.cancel()
        interval = min(SWEEP_SECONDS, self._body_read_seconds)
        self._sweeper = loop.call_later(interval, self.sweep)

    def stop_sweeping(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()


_Readers = dict["asyncio.Task[Any]", float | None]
"""Since when each task reads a body; None once it has been told to give up."""


class _RsgiBody:
    """A request's body, by Content-Length or in chunks."""

    __slots__ = ("_headers", "_protocol", "_readers")

    def __init__(self, protocol: Any, headers: Headers, readers: _Readers) -> None:
        self._protocol = protocol
        self._headers = headers
        self._readers = readers

    async def read(self) -> bytes:
        """Return the whole body; see request.Body."""
        chunked = self._headers.get("transfer-encoding") is not None
        if not chunked:
            # A decimal number below 2**64: the server refuses any other.
            length = int(self._headers.get("content-length") or 0)
            if length > MAX_BODY_BYTES:
                raise _too_large()
            if length == 0:
                return b""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a body is read in a task")
        self._readers[task] = asyncio.get_running_loop().time()
        try:
            return await (self._chunks() if chunked else self._protocol())
        except ProtocolClosed as error:
            raise _incomplete() from error
        except asyncio.CancelledError:
            if self._readers[task] is None and task.uncancel() == 0:
                raise SlowBodyError("the body took too long to arrive") from None
            raise
        finally:
            del self._readers[task]

    async def _chunks(self) -> bytes:
        """Read chunk by chunk, no further than the bound."""
        body = bytearray()
        ends = 0
        async for chunk in self._protocol:
            body += chunk
            ends += not chunk
            if len(body) > MAX_BODY_BYTES:
                raise _too_large()
        # Granian gives one empty chunk for the end; one more when the connection ended before it, or
        # when trailers came, which nobody needs.
        if ends != 1:
            raise _incomplete()
        return bytes(body)


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(f"a body is at most {MAX_BODY_BYTES} bytes")


def _incomplete() -> IncompleteBodyError:
    return IncompleteBodyError("the body ended before it was complete")
