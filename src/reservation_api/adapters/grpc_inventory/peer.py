"""A peer: each call has a deadline, and one more try where that is harmless."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from reservation_api.adapters.grpc_inventory.address import PeerAddress
from reservation_api.adapters.grpc_wire.channel import Channel, Endpoint, Resolve, resolve, tls_context
from reservation_api.ports.request_context import Trace, present_seconds_left, present_trace

DEADLINE_SECONDS = 0.25
"""The wire contract's deadline towards the inventory."""
CONNECTIONS = 2
"""To every address of the peer: some proxies take 100 calls at once on one."""

Reply = TypeVar("Reply", bound=Message)
Metadata = tuple[tuple[str, str], ...]


class RetryBudget(Protocol):
    """Says how many calls may be repeated, so that an outage is not answered with twice the calls."""

    def allow_retry(self) -> bool:
        """Return whether one call may be repeated now, and count it if so."""
        ...


class Peer(Protocol):
    """Where calls go."""

    async def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Reply:
        """Return the reply; raises grpc.aio.AioRpcError whatever went wrong."""
        ...

    async def close(self) -> None:
        """Give back the connections; may be repeated."""
        ...


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """How a peer is called."""

    deadline_seconds: float = DEADLINE_SECONDS
    connections: int = CONNECTIONS
    """To each address."""
    root_certificates: bytes | None = None
    """PEM, for TLS; None: the system's."""
    resolve: Resolve = resolve


@dataclass(frozen=True, slots=True)
class CallContext:
    """What the request that is being served says about the calls made for it; None: nothing."""

    seconds_left: Callable[[], float | None] = present_seconds_left
    trace: Callable[[], Trace | None] = present_trace


class GrpcPeer:
    """Implements Peer over a network; connections are made from the first call on, in the loop that runs."""

    def __init__(
        self,
        address: PeerAddress,
        settings: PeerSettings,
        retries: RetryBudget,
        context: CallContext | None = None,
    ) -> None:
        tls = tls_context(settings.root_certificates) if address.is_tls else None
        endpoint = Endpoint(address.host, address.port, tls)
        self._channel = Channel(endpoint, settings.connections, settings.resolve)
        self._settings = settings
        self._retries = retries
        self._context = context or CallContext()
        self._is_closed = False

    async def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Reply:
        """Return the reply; a call that is repeatable is sent once more if the peer can not be reached.

        Raises grpc.aio.AioRpcError whatever went wrong. Unless the status is one that the peer's own code
        alone can have given, the call may or may not have been carried out.
        """
        ends_at = monotonic() + self._seconds()
        metadata = self._metadata()
        message = request.SerializeToString()
        while True:
            try:
                reply = await self._channel.call(path, message, self._seconds_until(ends_at), metadata)
                return reply_type.FromString(reply)
            except DecodeError as error:
                raise grpc.aio.AioRpcError(
                    grpc.StatusCode.INTERNAL, details="the reply is garbled"
                ) from error
            except grpc.aio.AioRpcError as error:
                unreachable = error.code() is grpc.StatusCode.UNAVAILABLE and not self._is_closed
                if not (repeatable and unreachable and self._retries.allow_retry()):
                    raise
                repeatable = False

    async def close(self) -> None:
        """Let calls under way end within their deadline, then close the connections; may be repeated."""
        self._is_closed = True
        await self._channel.close(self._settings.deadline_seconds)

    def _seconds(self) -> float:
        left = self._context.seconds_left()
        deadline = self._settings.deadline_seconds
        return deadline if left is None else min(deadline, left)

    def _metadata(self) -> Metadata:
        """Name the trace (W3C Trace Context), and pass on what others want to be passed on."""
        trace = self._context.trace()
        if trace is None:
            return ()
        named = ("traceparent", trace.traceparent)
        return (named, ("tracestate", trace.state)) if trace.state else (named,)

    def _seconds_until(self, ends_at: float) -> float:
        seconds = ends_at - monotonic()
        if self._is_closed:
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, details="the connections are closed")
        if seconds <= 0:
            raise grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, details="no time is left")
        return seconds
