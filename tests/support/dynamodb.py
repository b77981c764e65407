"""DynamoDB's tables for tests, on one ministack for the whole session, and all that is in them.

Tables are made once for each set of names and emptied for whoever opens them next: making four takes as long
as some fifty calls.

With TEST_DYNAMODB_ENDPOINT the contracts are asked of another stand-in, such as DynamoDB Local, for whoever
has it (its licence wants an AWS account); -sharedDb, since tests and adapters have keys of their own:

    TEST_DYNAMODB_ENDPOINT=http://localhost:8000 .venv/bin/pytest tests/contract
"""

import atexit
import http.client
import os
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import astuple
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import msgspec
from tests.support.aws_service import PATIENT_SECONDS, Budget, FixedCredentials
from tests.support.ministack import REGION, Ministack, ministack

from reservation_api.adapters.aws_wire.client import AwsClient, ClientOptions
from reservation_api.adapters.aws_wire.endpoint import DYNAMODB, endpoint_of
from reservation_api.adapters.aws_wire.settings import AwsWireSettings
from reservation_api.adapters.dynamodb.items import Item, is_guard, order_of, reservation_of
from reservation_api.adapters.dynamodb.outbox_items import outbox_entry_of
from reservation_api.adapters.dynamodb.tables import PK, SK, TableNames, create_table_requests
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.domain.order import Order
from reservation_api.domain.reservation import Reservation
from reservation_api.ports.outbox import OutboxEntry

_TARGET = "DynamoDB_20120810"
_AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=test/20261123/ap-northeast-2/dynamodb/aws4_request,"
    " SignedHeaders=host, Signature=0"
)
"""Ministack reads region and account from it, and nothing else."""


@cache
def shared_ministack() -> Ministack:
    """Return the session's; it ends with the session."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(ministack())


@cache
def dynamodb_url() -> str:
    """Return where DynamoDB is, for those that need nothing else of AWS."""
    return os.environ.get("TEST_DYNAMODB_ENDPOINT") or shared_ministack().url


class Tables:
    """Four tables, and a look into them that waits for no event loop."""

    def __init__(self, names: TableNames) -> None:
        self.names = names
        self._connection = http.client.HTTPConnection(urlsplit(dynamodb_url()).netloc)

    def reservations(self) -> list[Reservation]:
        return [reservation_of(item) for item in self.scan(self.names.reservations)]

    def orders(self) -> list[Order]:
        return [order_of(item) for item in self.scan(self.names.orders) if not is_guard(item)]

    def outbox(self) -> list[OutboxEntry]:
        return [outbox_entry_of(item) for item in self.scan(self.names.outbox)]

    def scan(self, table: str) -> list[Item]:
        """Return every item of a table, sorted by its key."""
        return sorted(self._pages(table), key=lambda item: item[PK]["S"])

    def empty(self) -> None:
        """Delete every item."""
        for table in astuple(self.names):
            for item in self.scan(table):
                key = {name: item[name] for name in (PK, SK) if name in item}
                self.call("DeleteItem", {"TableName": table, "Key": key})

    def call(self, operation: str, request: Any) -> Any:
        headers = {
            "X-Amz-Target": f"{_TARGET}.{operation}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": _AUTHORIZATION,
        }
        body = msgspec.json.encode(request)
        try:
            status, answer = self._exchange(body, headers)
        except ConnectionError:  # ministack closes what nobody uses for some seconds
            self._connection.close()
            status, answer = self._exchange(body, headers)
        if status != http.client.OK:
            raise RuntimeError(f"{operation}: {answer.decode()}")
        return msgspec.json.decode(answer)

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self._connection.request("POST", "/", body, headers)
        reply = self._connection.getresponse()
        return reply.status, reply.read()

    def _pages(self, table: str) -> Iterator[Item]:
        request: Item = {"TableName": table, "ConsistentRead": True}
        while True:
            page = self.call("Scan", request)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


@cache
def _made(prefix: str) -> Tables:
    names = TableNames(*(f"{prefix}-{kind}" for kind in ("reservations", "orders", "idempotency", "outbox")))
    tables = Tables(names)
    there = tables.call("ListTables", {})["TableNames"]  # of a run before, where the stand-in outlives it
    for request in create_table_requests(names):
        if request["TableName"] not in there:
            tables.call("CreateTable", request)
    return tables


def empty_tables(prefix: str) -> Tables:
    """Return tables of these names, with nothing in them."""
    tables = _made(prefix)
    tables.empty()
    return tables


def opened_client(stack: AsyncExitStack) -> AwsClient:
    """Return the client of one process; it is closed with the stack."""
    endpoint = endpoint_of(DYNAMODB, REGION, dynamodb_url())
    settings = AwsWireSettings(read_seconds=PATIENT_SECONDS, total_seconds=PATIENT_SECONDS)
    options = ClientOptions(settings=settings)
    client = AwsClient(endpoint, FixedCredentials(), SystemClock(), Budget(), options)
    stack.push_async_callback(client.close)
    return client
