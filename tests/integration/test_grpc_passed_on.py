"""What the inventory is told of the request that it is called for: its trace, and how long that may take."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import httpx
import pytest
from tests.support.api import make_api, make_use_cases
from tests.support.clock import FakeClock
from tests.support.grpc_peers import PATIENT_SECONDS, connected, listening
from tests.support.grpc_reservations import Client, Served, request_of, served, sold_from, until
from tests.support.ports import free_port
from tests.support.process import command
from tests.support.runtimes import Ports

from reservation_api.adapters.resilience.admission import Admission
from reservation_api.adapters.resilience.bulkhead import Bulkhead
from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.inventory import GuardedInventory
from reservation_api.adapters.resilience.settings import BulkheadSettings, CircuitBreakerSettings
from reservation_api.application.confirm import Payment
from reservation_api.application.deliver import Deliver
from reservation_api.application.extend import Extension
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.application.hold import SeatsWanted
from reservation_api.application.recover import Recover
from reservation_api.application.relay import FastRelay
from reservation_api.application.use_cases import UseCases
from reservation_api.domain.errors import InventoryUnavailableError
from reservation_api.domain.values import EventId, PaymentIntentId, ReservationId
from reservation_api.entrypoints.grpc.inventory_methods import inventory_handler
from reservation_api.entrypoints.http.server import HttpServer
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import Inventory
from reservation_api.ports.request_context import RequestContext, Trace
from reservation_proto.common.v1 import errors_pb2 as codes

TRACE, OTHER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"
SPAN = "00f067aa0ba902b7"
SHORT_SECONDS = 6.0
"""Well below PATIENT_SECONDS, and enough for a busy machine."""
ROUNDED_UP = 1.1
"""The wire has three digits of a deadline."""
SLOTS = 4
BREAKS_AT = CircuitBreakerSettings(sliding_window_size=4, minimum_number_of_calls=4)


@dataclass(frozen=True, slots=True)
class Told:
    """A call as it arrived."""

    method: str
    traceparent: str
    seconds: float | None

    @property
    def trace_id(self) -> str:
        return self.traceparent[3:35]


class RecordingInventory(grpc.GenericRpcHandler):
    """The product's own inventory service; it keeps what it was told, and can wait before it answers."""

    def __init__(self, inventory: Inventory, clock: Clock) -> None:
        self.told: list[Told] = []
        self.wait: Callable[[], Awaitable[object]] | None = None
        self._handler = inventory_handler(inventory, clock)

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        handler: Any = self._handler.service(handler_call_details)
        method = handler_call_details.method.rpartition("/")[2]

        async def record(request: Any, context: Any) -> Any:
            traceparent = dict(context.invocation_metadata()).get("traceparent", "")
            self.told.append(Told(method, traceparent, context.time_remaining()))
            if self.wait is not None:
                await self.wait()
            return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            record, handler.request_deserializer, handler.response_serializer
        )

    def only(self, method: str) -> Told:
        """Return the one call of a method."""
        [told] = [told for told in self.told if told.method == method]
        return told


@dataclass(frozen=True, slots=True)
class Shop:
    """The inventory behind a socket, and what the service has of it."""

    recording: RecordingInventory
    inventory: Inventory
    breaker: CircuitBreaker
    bulkhead: Bulkhead

    @property
    def judged(self) -> tuple[int, int]:
        """Calls that the breaker has counted, and slots that are free."""
        return self.breaker.metrics().buffered_calls, self.bulkhead.metrics().available_concurrent_calls


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    clock, folder = FakeClock(), tmp_path / "inventory"
    folder.mkdir()
    async with sold_from(folder, clock) as ports:
        recording = RecordingInventory(ports.inventory, clock)
        async with listening(recording) as port, connected(f"127.0.0.1:{port}") as client:
            breaker = CircuitBreaker("inventory", BREAKS_AT)
            bulkhead = Bulkhead("inventory", BulkheadSettings(max_concurrent_calls=SLOTS))
            guarded = GuardedInventory(client, Admission(breaker, bulkhead))
            yield Shop(recording, guarded, breaker, bulkhead)


@pytest.fixture
async def service(shop: Shop, tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, around_inventory=lambda _: shop.inventory) as running:
        yield running


async def call(
    client: Client, name: str, trace_id: str, seconds: float | None = SHORT_SECONDS, **fields: Any
) -> Any:
    """Call within a sampled trace, and return a reply that is no refusal."""
    traceparent = ("traceparent", f"00-{trace_id}-{SPAN}-01")
    reply = await client.start(name, request_of(name, **fields), traceparent, seconds=seconds)
    assert not reply.HasField("error"), reply.error
    return reply


HOLD: dict[str, Any] = {"event_id": "evt_1", "quantity": 1, "idempotency_key": "h"}


async def test_every_call_of_a_grpc_request_has_its_trace_and_no_more_time_than_its_caller(
    shop: Shop, service: Served
) -> None:
    client = service.client()
    held = await call(client, "CreateReservation", "a" * 32, **HOLD)
    about = {"reservation_id": held.reservation_id}
    await call(client, "ExtendHold", "b" * 32, **about, extension_seconds=5, idempotency_key="e")
    await call(client, "ConfirmReservation", "c" * 32, **about, payment_intent_id="pi_1", idempotency_key="c")
    told = shop.recording.told
    assert [it.method for it in told] == ["ReserveSeat", "ReserveSeat", "CommitReservation"]
    assert [it.trace_id for it in told] == ["a" * 32, "b" * 32, "c" * 32]
    spans = {it.traceparent[36:52] for it in told}
    assert spans == {SPAN}  # nothing is recorded here: a span of our own would be missing in the trace
    for it in told:
        assert it.traceparent == f"00-{it.trace_id}-{it.traceparent[36:52]}-01"
        assert 0 < (it.seconds or 0.0) <= SHORT_SECONDS * ROUNDED_UP


@pytest.mark.parametrize("seconds", [None, 60 * PATIENT_SECONDS])
async def test_a_caller_with_more_time_or_no_deadline_leaves_the_service_its_own(
    shop: Shop, service: Served, seconds: float | None
) -> None:
    await call(service.client(), "CreateReservation", TRACE, seconds, **HOLD)
    left = shop.recording.only("ReserveSeat").seconds
    assert left is not None
    assert SHORT_SECONDS * ROUNDED_UP < left <= PATIENT_SECONDS * ROUNDED_UP


async def test_a_request_without_a_trace_begins_one_that_its_event_has_too(
    shop: Shop, service: Served
) -> None:
    await service.client().create()
    told = shop.recording.only("ReserveSeat")
    [event] = service.ports.look().outbox
    assert told.trace_id == event.trace_id
    assert told.traceparent.endswith("-00")


@asynccontextmanager
async def http_client(service: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the same use cases over HTTP, and connect to it."""
    api = make_api(make_use_cases(service.ports, service.clock), service.clock)
    server = HttpServer(api, "127.0.0.1", port := free_port())
    await server.start()
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"authorization": "Bearer user-1"},
            timeout=PATIENT_SECONDS,
        ) as client:
            yield client
    finally:
        await server.stop()


async def test_http_requests_side_by_side_pass_on_their_own_traces_and_no_deadline(
    shop: Shop, service: Served
) -> None:
    shop.recording.wait = asyncio.Barrier(2).wait

    async def hold(client: httpx.AsyncClient, trace_id: str) -> None:
        headers = {"traceparent": f"00-{trace_id}-{SPAN}-01", "idempotency-key": trace_id}
        answer = await client.post("/v1/reservations", json={"event_id": "evt_1", "qty": 1}, headers=headers)
        assert answer.status_code == 201, answer.text

    async with http_client(service) as client:
        await asyncio.gather(hold(client, TRACE), hold(client, OTHER_TRACE))
        shop.recording.wait = None
        await client.get("/v1/events/evt_1/availability")
    told = shop.recording.told
    assert {it.traceparent[:36] for it in told[:2]} == {f"00-{TRACE}-", f"00-{OTHER_TRACE}-"}
    assert told[2].method == "GetInventoryStatus"
    assert told[2].trace_id not in (TRACE, OTHER_TRACE, "")
    assert all((it.seconds or 0.0) > SHORT_SECONDS * ROUNDED_UP for it in told)


def relay_of(ports: Ports, clock: Clock) -> tuple[UseCases, FastRelay]:
    """Wire the use cases with a fast path, as production does."""
    finish = FinishConfirm(ports.store, ports.inventory, clock, lambda _: None)
    relay = FastRelay(ports.outbox, Deliver(ports.bus, ports.inventory, Recover(ports.store, finish)))
    return make_use_cases(ports, clock, offer=relay.offer), relay


async def test_what_the_fast_path_does_has_the_trace_of_the_request_but_not_its_deadline(
    shop: Shop, tmp_path: Path
) -> None:
    folder, clock = tmp_path / "service", FakeClock()
    folder.mkdir()
    async with sold_from(folder, clock) as ports:
        use_cases, relay = relay_of(replace(ports, inventory=shop.inventory), clock)
        async with served(tmp_path, use_cases=use_cases) as running:
            client = running.client()
            held = await call(client, "CreateReservation", TRACE, **HOLD)
            path = asyncio.create_task(relay.run_forever())
            about = {"reservation_id": held.reservation_id, "idempotency_key": "c"}
            await call(client, "CancelReservation", OTHER_TRACE, **about)
            await relay.flush()
            path.cancel()
        assert ports.look().outbox == []
    released = shop.recording.only("ReleaseHold")
    assert released.trace_id == OTHER_TRACE
    assert (released.seconds or 0.0) > SHORT_SECONDS * ROUNDED_UP


async def test_rows_are_carried_out_for_a_caller_whose_time_is_over(shop: Shop, service: Served) -> None:
    client = service.client()
    held = await call(client, "CreateReservation", TRACE, **HOLD)
    about = {"reservation_id": held.reservation_id, "idempotency_key": "c"}
    await call(client, "CancelReservation", OTHER_TRACE, **about)
    finish = FinishConfirm(service.ports.store, shop.inventory, service.clock, lambda _: None)
    deliver = Deliver(service.ports.bus, shop.inventory, Recover(service.ports.store, finish))
    with RequestContext(Trace("f" * 32), 0.0):
        deliveries = await deliver(service.ports.look().outbox)
    assert [delivery.error for delivery in deliveries] == [None, None, None]
    assert shop.recording.only("ReleaseHold").trace_id == OTHER_TRACE


async def test_without_time_left_nobody_is_asked_and_nothing_is_written(shop: Shop, service: Served) -> None:
    use_cases = make_use_cases(service.ports, service.clock)
    held = await call(service.client(), "CreateReservation", TRACE, **HOLD)
    before, asked = service.ports.look(), len(shop.recording.told)
    judged = shop.judged
    about = ReservationId(held.reservation_id)
    with RequestContext(Trace(TRACE), 0.0):
        for attempt in (
            use_cases.hold(command("user-1", "k1"), SeatsWanted(EventId("evt_1"), 1)),
            use_cases.extend(command("user-1", "k2"), Extension(about, 5)),
            use_cases.confirm(command("user-1", "k3"), Payment(about, PaymentIntentId("pi_1"))),
            use_cases.queries.inventory_status(EventId("evt_1"), None),
        ):
            with pytest.raises(InventoryUnavailableError, match="time is over") as caught:
                await cast("Awaitable[object]", attempt)
            assert caught.value.data["retry_after_seconds"] >= 1
    assert service.ports.look() == before
    assert len(shop.recording.told) == asked
    assert shop.judged == judged


async def call_without_patience(client: Client, key: str) -> None:
    """Ask for a hold that does not come; both ends watch the same deadline, and either may see it first."""
    request = request_of("CreateReservation", **{**HOLD, "idempotency_key": key})
    try:
        reply = await client.start("CreateReservation", request, seconds=0.1)
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    else:
        assert reply.error.code == codes.ERROR_CODE_UNAVAILABLE


async def test_callers_without_patience_do_not_open_the_breaker(shop: Shop, service: Served) -> None:
    shop.recording.wait = asyncio.Event().wait
    for n in range(2 * BREAKS_AT.minimum_number_of_calls):
        await call_without_patience(service.client(), f"{n}")
    await until(lambda: service.server.in_flight == 0)
    assert shop.recording.told
    assert shop.judged == (0, SLOTS)
    assert service.ports.look().reservations == []
    shop.recording.wait = None
    await call(service.client(), "CreateReservation", TRACE, **HOLD)
    assert shop.judged == (1, SLOTS)
