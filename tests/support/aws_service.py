"""A service of AWS that does what a test says, on a real socket, and clients that call it.

async with serving(answering(refusal("SlowDown"), {"ok": 1})) as service, calling(service) as client:
    await client.call("GetItem", {}, repeatable=True)
service.requests                      # what came, in the order it came
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from tests.support.clock import FakeClock

from reservation_api.adapters.aws_wire.client import AwsClient, ClientOptions, RetryBudget
from reservation_api.adapters.aws_wire.credentials import CredentialSource
from reservation_api.adapters.aws_wire.endpoint import DYNAMODB, endpoint_of
from reservation_api.adapters.aws_wire.settings import AwsWireSettings
from reservation_api.adapters.aws_wire.signing import AwsCredentials
from reservation_api.ports.clock import Clock

HOST = "127.0.0.1"
REGION = "ap-northeast-2"
PATIENT_SECONDS = 20.0
"""What no test waits for, unless it fails."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    operation: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return msgspec.json.decode(self.body)


class Peer:
    """The service's end of one connection; `number` counts them from 1."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader = reader
        self._writer = writer

    async def request(self) -> Request:
        """Wait for the next request; raises asyncio.IncompleteReadError when the client is gone."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        if first != "POST / HTTP/1.1":
            raise ValueError(first)
        headers = dict(line.split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers["content-length"]))
        return Request(headers["x-amz-target"].rpartition(".")[2], headers, body)

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def send_in_pieces(self, data: bytes, size: int) -> None:
        """Send so many bytes at a time, each on its way before the next."""
        for start in range(0, len(data), size):
            self._writer.write(data[start : start + size])
            await self._writer.drain()
            await asyncio.sleep(0)

    def finish(self) -> None:
        """Send no more: a FIN, as a server does that was told to stop."""
        self._writer.close()

    def reset(self) -> None:
        """End with a RST, as a crash or a firewall does."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has closed its end."""
        with suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass


Script = Callable[[Peer, "Service"], Awaitable[None]]
"""What happens on one connection, from its first byte to its last."""


@dataclass
class Service:
    """What came to the service."""

    script: Script
    port: int = 0
    is_tls: bool = False
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    open: int = 0

    @property
    def url(self) -> str:
        return f"http{'s' * self.is_tls}://{HOST}:{self.port}"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self.script(Peer(self.connections, reader, writer), self)
        finally:
            writer.close()
            self.open -= 1


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Service]:
    """Listen on a free port."""
    service = Service(script, is_tls=tls is not None)
    server = await asyncio.start_server(service.connected, HOST, 0, ssl=tls)
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()
        await until(lambda: service.open == 0)


def reply(body: object = None, status: int = 200, **headers: str) -> bytes:
    """Return a whole reply as DynamoDB sends it; bytes go as they are."""
    content = body if isinstance(body, bytes) else msgspec.json.encode({} if body is None else body)
    listed = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": "REQUEST7", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in listed.items())
    return f"HTTP/1.1 {status} Some\r\n{lines}Content-Length: {len(content)}\r\n\r\n".encode() + content


def refusal(code: str, status: int = 400, message: str = "no", **headers: str) -> bytes:
    """Return an error reply."""
    return reply(
        {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}, status, **headers
    )


Answer = bytes | Mapping[str, Any] | Callable[[Request], bytes]


def answering(*answers: Answer) -> Script:
    """Answer the first request with the first of these, and so on, on any connection; the last one stays."""
    left = list(answers)

    async def script(peer: Peer, service: Service) -> None:
        while True:
            service.requests.append(request := await peer.request())
            given = left.pop(0) if len(left) > 1 else left[0]
            given = given(request) if callable(given) else given
            peer.send(given if isinstance(given, bytes) else reply(given))

    return script


def one_by_one(*scripts: Script) -> Script:
    """Do the first script on the first connection, and so on; the last one stays."""

    async def script(peer: Peer, service: Service) -> None:
        await scripts[min(peer.number, len(scripts)) - 1](peer, service)

    return script


async def silence(peer: Peer, service: Service) -> None:
    """Take a request and never answer."""
    service.requests.append(await peer.request())
    await peer.gone()


class FixedCredentials:
    """A CredentialSource that always has the same."""

    def __init__(self, credentials: AwsCredentials | None = None) -> None:
        self.credentials = credentials or AwsCredentials("AKIDEXAMPLE", "a-secret")

    def current(self) -> AwsCredentials | None:
        return self.credentials

    async def wait(self) -> AwsCredentials:
        return self.credentials

    async def renew(self, refused: AwsCredentials) -> bool:
        return self.credentials is not refused


class Budget:
    """A RetryBudget of so many tries."""

    def __init__(self, retries: int = 1000) -> None:
        self.calls = 0
        self.spent = 0
        self._retries = retries

    def record_call(self) -> None:
        self.calls += 1

    def try_spend(self) -> bool:
        self.spent += self.spent < self._retries
        self._retries -= 1
        return self._retries >= 0


@dataclass
class Parts:
    """What a client is made of."""

    credentials: CredentialSource = field(default_factory=FixedCredentials)
    clock: Clock = field(default_factory=FakeClock)
    retries: RetryBudget = field(default_factory=Budget)
    tls: ssl.SSLContext | None = None


@asynccontextmanager
async def calling(
    service: Service | str, parts: Parts | None = None, **settings: Any
) -> AsyncIterator[AwsClient]:
    """Yield a client; `settings` are those of AwsWireSettings, with short waits unless they say else."""
    parts = parts or Parts()
    bounds = AwsWireSettings(
        **{"backoff_base_seconds": 0.001, "read_seconds": 10.0, "total_seconds": PATIENT_SECONDS, **settings}
    )
    endpoint = endpoint_of(DYNAMODB, REGION, service if isinstance(service, str) else service.url)
    options = ClientOptions(settings=bounds, tls=parts.tls)
    client = AwsClient(endpoint, parts.credentials, parts.clock, parts.retries, options)
    try:
        yield client
    finally:
        await client.close()


async def until(condition: Callable[[], object], seconds: float = PATIENT_SECONDS) -> None:
    """Let everything else run until the condition holds; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what is waited for is in this very loop)
            await asyncio.sleep(0)


async def steps(count: int) -> None:
    """Let everything else run for so many turns of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


def operations(requests: Iterable[Request]) -> list[str]:
    return [request.operation for request in requests]
