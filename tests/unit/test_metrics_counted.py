"""What the parts of a process do, as the metrics have it."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import grpc.aio
import pytest
from google.protobuf.empty_pb2 import Empty
from tests.support.clock import FakeClock
from tests.support.scripted_caller import ScriptedCaller

from reservation_api.adapters.aws_wire.errors import AwsNotSentError
from reservation_api.adapters.grpc_inventory.peer import PeerSettings
from reservation_api.adapters.resilience.retry_budget import RetryBudget
from reservation_api.adapters.resilience.settings import RetryBudgetSettings
from reservation_api.adapters.sqlite.venues import demo_plan, load_event
from reservation_api.adapters.trusting_payment.verifier import TrustingPaymentVerifier
from reservation_api.application.command import Command
from reservation_api.application.confirm import Confirm, Payment
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.application.hold import SeatsWanted
from reservation_api.application.outbox_entries import event_entry
from reservation_api.bootstrap import Service, build
from reservation_api.bootstrap.aws_calls import MeasuredDynamoDb
from reservation_api.bootstrap.grpc_calls import MeasuredPeer
from reservation_api.bootstrap.grpc_peers import _BudgetedPeer
from reservation_api.config import load
from reservation_api.domain.errors import InventoryUnavailableError
from reservation_api.domain.reservation import Status
from reservation_api.domain.values import EventId, PaymentIntentId, ReservationId, UserId
from reservation_api.ports.inventory import CommitOutcome, Inventory
from reservation_api.ports.outbox import OutboxStatus, OutboxType
from reservation_api.telemetry import names
from reservation_api.telemetry.loop_lag import LoopLag
from reservation_api.telemetry.metrics import Metrics

ALICE = UserId("alice")


def number(metrics: Metrics, name: str, tag: tuple[str, str] | None = None) -> float:
    reading = metrics.reading(name, tag)
    return 0.0 if reading is None else reading.measurements[0].value


def statuses(metrics: Metrics) -> dict[str, float]:
    found = {
        status: number(metrics, "ReservationStatusCount", ("status", status))
        for status in ("HOLD", "CONFIRMED", "CANCELLED", "EXPIRED")
    }
    return {status: n for status, n in found.items() if n}


async def opened(folder: Path) -> tuple[Service, FakeClock]:
    clock = FakeClock()
    service = build(load({"APP_DATA_DIR": str(folder)}), clock)
    await load_event(service.database, demo_plan())
    return service, clock


async def hold(service: Service, key: str) -> ReservationId:
    command = Command(ALICE, key, "hash", "trace")
    answer = await service.use_cases.hold(command, SeatsWanted(EventId("evt_demo"), 1))
    assert answer.reservation is not None
    return answer.reservation.reservation_id


async def test_expiry_is_counted_by_whoever_commits_it_and_how_late_it_was(tmp_path: Path) -> None:
    service, clock = await opened(tmp_path)
    rival = build(load({"APP_DATA_DIR": str(tmp_path)}), clock)
    for n in range(20):
        await hold(service, f"k{n}")
    clock.advance(61.5)
    await asyncio.gather(service.expire.run_once(), rival.expire.run_once())
    moved = [statuses(one.metrics).get("EXPIRED", 0) for one in (service, rival)]
    assert sum(moved) == 20
    assert statuses(service.metrics)["HOLD"] == 20
    lags = [one.metrics.reading("ExpiryLag") for one in (service, rival)]
    found = [[m.value for m in lag.measurements] for lag in lags if lag is not None]
    assert [sum(column) for column in zip(*found, strict=True)] == [20, 20 * 1500.0]
    await service.close()
    await rival.close()


class SilentInventory:
    """Gives no answer to a commit, so that a worker has to finish it."""

    def admission(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def commit(self, *_: object) -> CommitOutcome:
        raise InventoryUnavailableError("no answer")


async def test_a_confirm_that_a_worker_finishes_is_counted_once(tmp_path: Path) -> None:
    service, clock = await opened(tmp_path)
    payment = Payment(await hold(service, "k"), PaymentIntentId("pi_1"))
    command = Command(ALICE, "c", "hash", "trace")
    silent = cast("Inventory", SilentInventory())
    finish = FinishConfirm(service.store, silent, clock, service.expire._offer)
    with pytest.raises(InventoryUnavailableError):
        await Confirm(service.store, TrustingPaymentVerifier(), clock, finish)(command, payment)
    assert statuses(service.metrics) == {"HOLD": 1}
    clock.advance(4)
    await service.relay.run_once(OutboxType.RECOVER_CONFIRM)
    await service.use_cases.confirm(command, payment)  # a replay
    assert statuses(service.metrics) == {"HOLD": 1, "CONFIRMED": 1}
    await service.close()


async def pending(service: Service) -> Any:
    return await service.outbox.list(OutboxStatus.PENDING, 10)


async def test_deliveries_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    service, clock = await opened(tmp_path)
    await hold(service, "k")
    clock.advance(5)
    await service.relay.run_once(OutboxType.RESERVATION_CREATED)
    reading = service.metrics.reading("RelayDeliveries", ("outcome", "done"))
    assert reading is not None
    assert reading.tags == {"type": ["Reservation Created"]}
    assert reading.measurements[0].value == 1
    await service.close()


REQUESTS: list[tuple[str, dict[str, Any], str]] = [
    ("GetItem", {"TableName": "orders", "Key": {}}, "orders"),
    ("Query", {"TableName": "reservations", "IndexName": "i"}, "reservations"),
    ("BatchGetItem", {"RequestItems": {"outbox": {}, "orders": {}}}, "outbox"),
    ("BatchWriteItem", {"RequestItems": {"idempotency": []}}, "idempotency"),
    ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "idempotency"}}, {}]}, "idempotency"),
]


@pytest.mark.parametrize("error", [None, AwsNotSentError("GetItem: no")], ids=["answered", "failed"])
@pytest.mark.parametrize(("operation", "request_", "table"), REQUESTS, ids=lambda value: str(value)[:20])
async def test_calls_of_dynamodb_take_time_by_table_and_operation(
    operation: str, request_: dict[str, Any], table: str, error: Exception | None
) -> None:
    metrics = Metrics()
    caller = MeasuredDynamoDb(ScriptedCaller([error or {}]), metrics, None)
    with nullcontext() if error is None else pytest.raises(AwsNotSentError):
        assert await caller.call(operation, request_, repeatable=True) == {}
    reading = metrics.reading("DynamoDBOperationLatency")
    assert reading is not None
    assert reading.tags == {"table": [table], "operation": [operation]}
    assert reading.measurements[0].value == 1


async def test_calls_of_a_peer_take_time_by_method_and_second_tries_are_counted() -> None:
    metrics = Metrics()
    budget = RetryBudget("peer", RetryBudgetSettings(token_ratio=0.5, min_retries_per_second=0))
    settings = PeerSettings(deadline_seconds=5.0)
    retries = metrics.counter(names.CALL_RETRIES, "inventory")
    peer = MeasuredPeer(_BudgetedPeer("127.0.0.1:1", settings, budget, retries), metrics, None)
    for _ in range(4):
        with pytest.raises(grpc.aio.AioRpcError):
            await peer.call("/a.v1.Service/Method", Empty(), Empty, repeatable=True)
    await peer.close()
    assert number(metrics, "gRPCCallDuration", ("method", "a.v1.Service/Method")) == 4
    assert number(metrics, "CallRetries", ("peer", "inventory")) == 2


async def test_what_is_watched_adds_up_when_somebody_looks() -> None:
    metrics, in_flight = Metrics(), [1, 2]
    from_names = next(
        family.metric for family in metrics.families if family.metric.name == "RequestsInFlight"
    )
    for at in range(2):
        metrics.watch(from_names, (), lambda at=at: in_flight[at])  # type: ignore[misc]
    assert number(metrics, "RequestsInFlight") == 3
    in_flight[0] = 10
    assert number(metrics, "RequestsInFlight") == 12


async def test_a_loop_that_is_held_up_is_late() -> None:
    loop = asyncio.get_running_loop()
    lag = LoopLag(loop)
    assert lag.greatest_milliseconds() == 0
    held_up_until = loop.time() + 0.4
    while loop.time() < held_up_until:
        pass
    looked = loop.create_future()
    loop.call_later(0.01, looked.set_result, None)
    await looked
    assert lag.greatest_milliseconds() >= 250
    lag.stop()


async def test_a_hold_whose_seats_were_gone_at_its_confirm_is_late_for_nothing(tmp_path: Path) -> None:
    service, clock = await opened(tmp_path)
    reservation = await service.store.get_reservation(await hold(service, "k"))
    assert reservation is not None
    gone = replace(reservation, status=Status.EXPIRED, version=2, updated_at=clock.now())
    service.expire._offer([event_entry(gone, "0" * 32)])
    assert statuses(service.metrics) == {"HOLD": 1, "EXPIRED": 1}
    assert number(service.metrics, "ExpiryLag") == 0
    assert clock.now() < reservation.hold_expires_at
    await service.close()
