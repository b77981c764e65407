"""A peer called over a few channels: each call has a deadline, and one more try where that is harmless."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from time import monotonic
from typing import Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from reservation_api.adapters.grpc_inventory.address import PeerAddress
from reservation_api.ports.request_context import Trace, present_seconds_left, present_trace

DEADLINE_SECONDS = 0.25
"""The wire contract's deadline towards the inventory."""
CHANNELS = 2
"""Each is a connection to every address of the peer: some proxies take 100 calls at once on one."""

Reply = TypeVar("Reply", bound=Message)
Metadata = tuple[tuple[str, str], ...]
Stub = Callable[..., "grpc.aio.UnaryUnaryCall[Message, bytes]"]

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    # A name's TXT records must not bring retries of their own.
    ("grpc.service_config_disable_resolution", 1),
    # Without it all channels would share one connection to each address.
    ("grpc.use_local_subchannel_pool", 1),
    # A connection that a balancer has forgotten is found out while calls wait for it. Idle ones are not
    # pinged: servers close the connection of a client that does, unless they were told to let it.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # gRPC waits up to two minutes before it connects again; an inventory that is back should be used.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
)


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
    channels: int = CHANNELS
    root_certificates: bytes | None = None
    """PEM, for TLS; None: those that gRPC brings along."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What the request that is being served says about the calls made for it; None: nothing."""

    seconds_left: Callable[[], float | None] = present_seconds_left
    trace: Callable[[], Trace | None] = present_trace


class GrpcPeer:
    """Implements Peer over a network; channels are made at the first call, in the loop that runs."""

    def __init__(
        self,
        address: PeerAddress,
        settings: PeerSettings,
        retries: RetryBudget,
        context: CallContext | None = None,
    ) -> None:
        self._address = address
        self._settings = settings
        self._retries = retries
        self._context = context or CallContext()
        self._channels: list[grpc.aio.Channel] = []
        self._stubs: dict[str, Callable[[], Stub]] = {}
        self._is_closed = False

    async def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Reply:
        """Return the reply; a call that is repeatable is sent once more if the peer can not be reached.

        Raises grpc.aio.AioRpcError whatever went wrong. Unless the status is one that the peer's own code
        alone can have given, the call may or may not have been carried out.
        """
        ends_at = monotonic() + self._seconds()
        metadata = self._metadata()
        try:
            return await self._send(path, request, reply_type, ends_at, metadata)
        except grpc.aio.AioRpcError as error:
            unreachable = error.code() is grpc.StatusCode.UNAVAILABLE and not self._is_closed
            if not (repeatable and unreachable and self._retries.allow_retry()):
                raise
        return await self._send(path, request, reply_type, ends_at, metadata)

    async def close(self) -> None:
        """Let calls under way end within their deadline, then close the channels; may be repeated."""
        self._is_closed = True
        channels, self._channels = self._channels, []
        await asyncio.gather(*(channel.close(self._settings.deadline_seconds) for channel in channels))

    def _seconds(self) -> float:
        left = self._context.seconds_left()
        deadline = self._settings.deadline_seconds
        return deadline if left is None else min(deadline, left)

    def _metadata(self) -> Metadata | None:
        """Name the trace (W3C Trace Context), and pass on what others want to be passed on."""
        trace = self._context.trace()
        if trace is None:
            return None
        named = ("traceparent", trace.traceparent)
        return (named, ("tracestate", trace.state)) if trace.state else (named,)

    async def _send(
        self,
        path: str,
        request: Message,
        reply_type: type[Reply],
        ends_at: float,
        metadata: Metadata | None,
    ) -> Reply:
        seconds = ends_at - monotonic()
        if self._is_closed:
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, details="the channels are closed")
        if seconds <= 0:
            raise grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, details="no time is left")
        stub = self._stub(path, request)
        try:
            # Parsed here: gRPC's own deserializer gives None for garbage.
            return reply_type.FromString(await stub(request, timeout=seconds, metadata=metadata))
        except DecodeError as error:
            raise grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, details="the reply is garbled") from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Closing a channel ends calls that outlast the grace as if their task were cancelled.
            raise grpc.aio.AioRpcError(grpc.StatusCode.CANCELLED, details="the channels closed") from error

    def _stub(self, path: str, request: Message) -> Stub:
        """Return the method on the next channel."""
        next_stub = self._stubs.get(path)
        if next_stub is None:
            serialize = type(request).SerializeToString
            stubs: list[Stub] = [channel.unary_unary(path, serialize) for channel in self._connected()]
            next_stub = self._stubs[path] = cycle(stubs).__next__
        return next_stub()

    def _connected(self) -> list[grpc.aio.Channel]:
        if not self._channels:
            self._channels = [self._channel() for _ in range(self._settings.channels)]
        return self._channels

    def _channel(self) -> grpc.aio.Channel:
        if not self._address.is_tls:
            return grpc.aio.insecure_channel(self._address.target, _OPTIONS)
        credentials = grpc.ssl_channel_credentials(self._settings.root_certificates)
        return grpc.aio.secure_channel(self._address.target, credentials, _OPTIONS)
