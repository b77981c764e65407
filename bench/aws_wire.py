"""What a call of DynamoDB costs this process, beside botocore's: `python -m bench.aws_wire`.

A canned server in another process, on another core if there are two, answers every request alike. Rounds of
the clients alternate, so that whoever else uses the machine disturbs all of them; of each the median round
counts. *bare socket* is what any client pays: it writes a request that is already signed, and looks for the
end of the reply's head. The aim is 30 us a call beyond it. Without TLS, which costs all of them the same.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import uvloop
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.session import Session

from bench.cpu import choose_pins, pinned_to
from reservation_api.adapters.aws_wire.client import AwsClient
from reservation_api.adapters.aws_wire.credentials import CredentialChain
from reservation_api.adapters.aws_wire.endpoint import DYNAMODB, endpoint_of
from reservation_api.adapters.aws_wire.signing import AwsCredentials, Signer
from reservation_api.adapters.resilience.retry_budget import RetryBudget
from reservation_api.adapters.resilience.settings import RetryBudgetSettings
from reservation_api.adapters.system_clock import SystemClock

AIM_MICROSECONDS = 30.0
CALLERS = 64
"""At once; botocore has one, since its calls hold up the thread."""
CALLS = 100
"""Of each caller in a round."""
ROUNDS = 15
HOST, REGION = "127.0.0.1", "ap-northeast-2"
KEY = ("AKIDBENCH", "secret", "token" * 200)
"""A role's token has about a thousand characters."""
REPLY = (
    b"HTTP/1.1 200 OK\r\nServer: Server\r\nDate: Mon, 23 Nov 2026 04:00:00 GMT\r\n"
    b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n"
    b"x-amzn-RequestId: 4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG\r\n"
    b"x-amz-crc32: 2745614147\r\n\r\n{}"
)


def transaction() -> dict[str, Any]:
    """Return what a hold writes: reservation, outbox row and idempotency record, 1.4 KB."""
    item = {name: {"S": "x" * 40} for name in ("pk", "sk", "status", "user_id", "event_id", "seats", "key")}
    write = {
        "Put": {"TableName": "reservations", "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
    }
    return {"TransactItems": [write] * 3, "ClientRequestToken": "0" * 32}


REQUEST = transaction()


class Canned(asyncio.Protocol):
    """The server's end of a connection."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n") + 4) > 3:
            head = self._received[:end].lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            if len(self._received) < end + length:
                return
            self._received = self._received[end + length :]
            self._transport.write(REPLY)


def serve(told: Connection) -> None:
    """Be the server's process."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Canned, HOST, 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


@contextmanager
def canned_server(core: int | None) -> Iterator[int]:
    """Yield the port of a server on that core."""
    spawning = get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=serve, args=(theirs,), daemon=True)
    with pinned_to(core):
        process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


class Bare(asyncio.Protocol):
    """The least that a client does."""

    def __init__(self) -> None:
        self._reply: asyncio.Future[None] | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """End an exchange."""
        if self._reply is not None and b"\r\n\r\n" in data:
            self._reply.set_result(None)

    async def exchange(self, request: bytes) -> None:
        """Send a request and wait for its reply."""
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._reply


Caller = Callable[[], Awaitable[object]]


@dataclass
class Subject:
    """Something to measure: its callers, each of which makes one call at a time."""

    name: str
    callers: list[Caller]
    microseconds: list[float] = field(default_factory=list)

    async def run_round(self) -> None:
        """Have every caller make its calls; keep the CPU time of one."""
        began_at = time.process_time()
        await asyncio.gather(*(repeat(caller) for caller in self.callers))
        self.microseconds.append((time.process_time() - began_at) / (len(self.callers) * CALLS) * 1e6)


async def repeat(caller: Caller) -> None:
    """Make one caller's calls of a round."""
    for _ in range(CALLS):
        await caller()


class Fixed:
    """Credentials that do not expire, as botocore has them."""

    def get_frozen_credentials(self) -> AwsCredentials:
        """Return them."""
        return AwsCredentials(*KEY)


async def bare(port: int) -> Subject:
    """Return the floor."""
    loop = asyncio.get_running_loop()
    endpoint = endpoint_of(DYNAMODB, REGION, f"http://{HOST}:{port}")
    body = b"x" * 1400
    request = Signer(endpoint).request("TransactWriteItems", body, AwsCredentials(*KEY), 0)
    made = [(await loop.create_connection(Bare, HOST, port))[1] for _ in range(CALLERS)]
    return Subject("bare socket", [partial(protocol.exchange, request) for protocol in made])


def wire(port: int) -> tuple[Subject, AwsClient]:
    """Return ours, and what is to be closed."""
    endpoint = endpoint_of(DYNAMODB, REGION, f"http://{HOST}:{port}")
    budget = RetryBudget("bench", RetryBudgetSettings())
    client = AwsClient(endpoint, CredentialChain(Fixed), SystemClock(), budget)

    async def call() -> None:
        await client.call("TransactWriteItems", REQUEST, repeatable=True)

    return Subject("aws_wire", [call] * CALLERS), client


def botocores(port: int) -> Subject:
    """Return botocore's client, without its validation of parameters."""
    session = Session()
    session._credentials = Credentials(*KEY)  # noqa: SLF001 (no other chain is looked at)
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    client: Any = session.create_client(
        "dynamodb", REGION, endpoint_url=f"http://{HOST}:{port}", config=config
    )

    async def call() -> None:
        client.transact_write_items(**REQUEST)

    return Subject("botocore", [call])


async def measure(port: int) -> None:
    """Print the table, and whether ours keeps to the aim."""
    ours, client = wire(port)
    subjects = [await bare(port), ours, botocores(port)]
    for _ in range(ROUNDS + 1):
        for subject in subjects:
            await subject.run_round()
    await client.close()
    print(f"Python {sys.version.split()[0]}, CPU us a call, median of {ROUNDS} rounds (lowest)")
    for subject in subjects:
        of_rounds = subject.microseconds[1:]  # the first one connects
        print(f"{median(of_rounds):8.1f}  ({min(of_rounds):.1f})  {subject.name}")
    beyond = median(ours.microseconds[1:]) - median(subjects[0].microseconds[1:])
    verdict = "pass" if beyond <= AIM_MICROSECONDS else "MISS"
    print(f"\naws_wire beyond the bare socket: {beyond:.1f} us, aim {AIM_MICROSECONDS} us: {verdict}")


if __name__ == "__main__":
    pins = choose_pins()
    with canned_server(pins.server) as canned_port, pinned_to(pins.generator):
        uvloop.run(measure(canned_port))
