"""The methods of `reservation.v1.InventoryService` over any inventory: parse, make one call, render."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from reservation_api.domain.errors import RefusedError, UnavailableError
from reservation_api.entrypoints.grpc import inventory_replies as replies
from reservation_api.entrypoints.grpc import inventory_requests as requests
from reservation_api.entrypoints.grpc.inventory_refusals import error_of
from reservation_api.entrypoints.grpc.reservation_authentication import MetadataHeaders
from reservation_api.entrypoints.http.trace_context import RequestTraces, told_of_grpc
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import HoldEndedError, Inventory
from reservation_api.ports.request_context import RequestContext
from reservation_api.telemetry.spans import Tracer
from reservation_proto.reservation.v1 import inventory_pb2 as wire

SERVICE = "reservation.v1.InventoryService"

Answer = Callable[[Any, str], Awaitable[Message]]
"""Of a request and its trace id."""
Context = grpc.aio.ServicerContext[Any, Any]

_log = logging.getLogger(__name__)


class InventoryMethods:
    """Answers each method with its reply; refusals are raised."""

    def __init__(self, inventory: Inventory, clock: Clock) -> None:
        self._inventory = inventory
        self._clock = clock

    async def check_availability(
        self, request: wire.CheckAvailabilityRequest, _: str
    ) -> wire.CheckAvailabilityResponse:
        """List free seats."""
        answer = await self._inventory.availability(
            requests.event_of(request),
            seat_ids=requests.seat_ids_of(request.seat_ids),
            section=request.section or None,
        )
        return replies.availability_reply(request, answer)

    async def reserve_seat(self, request: wire.ReserveSeatRequest, _: str) -> wire.ReserveSeatResponse:
        """Hold seats."""
        wanted = requests.reserve_seats(request)
        return replies.reserve_reply(wanted, await self._inventory.reserve(wanted))

    async def commit_reservation(
        self, request: wire.CommitReservationRequest, trace_id: str
    ) -> wire.CommitReservationResponse:
        """Sell seats."""
        sale = requests.commit_seats(request)
        outcome = await self._inventory.commit(sale)
        return replies.commit_reply(sale, outcome, self._clock.now(), trace_id)

    async def release_hold(self, request: wire.ReleaseHoldRequest, trace_id: str) -> wire.ReleaseHoldResponse:
        """Free seats."""
        outcome = await self._inventory.release(requests.release_seats(request))
        return replies.release_reply(outcome, self._clock.now(), trace_id)

    async def get_inventory_status(
        self, request: wire.GetInventoryStatusRequest, _: str
    ) -> wire.GetInventoryStatusResponse:
        """Count seats."""
        status = await self._inventory.status(requests.event_of(request), section=request.section or None)
        return replies.status_reply(status, self._clock.now())


def inventory_handler(
    inventory: Inventory, clock: Clock, tracer: Tracer | None = None
) -> grpc.GenericRpcHandler:
    """Return the service, for a grpc.aio server; a tracer records its calls."""
    traces = RequestTraces(tracer)
    methods = InventoryMethods(inventory, clock)
    answers: Mapping[str, tuple[Answer, type[Message], type[Message]]] = {
        "CheckAvailability": (
            methods.check_availability,
            wire.CheckAvailabilityRequest,
            wire.CheckAvailabilityResponse,
        ),
        "ReserveSeat": (methods.reserve_seat, wire.ReserveSeatRequest, wire.ReserveSeatResponse),
        "CommitReservation": (
            methods.commit_reservation,
            wire.CommitReservationRequest,
            wire.CommitReservationResponse,
        ),
        "ReleaseHold": (methods.release_hold, wire.ReleaseHoldRequest, wire.ReleaseHoldResponse),
        "GetInventoryStatus": (
            methods.get_inventory_status,
            wire.GetInventoryStatusRequest,
            wire.GetInventoryStatusResponse,
        ),
    }
    return grpc.method_handlers_generic_handler(
        SERVICE, {name: _method(_Method(name, *row), traces) for name, row in answers.items()}
    )


@dataclass(frozen=True, slots=True)
class _Method:
    name: str
    answer: Answer
    request_type: type[Message]
    reply_type: type[Message]


def _method(method: _Method, traces: RequestTraces) -> "grpc.RpcMethodHandler[Any, Any]":
    async def handle(request: Message, context: Context) -> Message:
        began = perf_counter()
        trace = traces.of(MetadataHeaders(context.invocation_metadata() or ()))
        failure: str | None = None
        try:
            with RequestContext(trace):
                return await _answered(method, request, context, trace.trace_id)
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            if trace.is_sampled:
                traces.keep(trace, began, told_of_grpc(SERVICE, method.name, failure))

    return grpc.unary_unary_rpc_method_handler(
        handle, method.request_type.FromString, method.reply_type.SerializeToString
    )


async def _answered(method: _Method, request: Message, context: Context, trace_id: str) -> Message:
    try:
        return await method.answer(request, trace_id)
    except (RefusedError, HoldEndedError) as refusal:
        return method.reply_type(error=error_of(refusal, trace_id))
    except UnavailableError as error:
        _log.warning("the inventory can not answer: %s", error, extra={"fields": {"trace_id": trace_id}})
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the inventory can not answer now")
    except Exception:  # noqa: BLE001 (gRPC would tell the caller what the exception says)
        _log.exception("a call of the inventory failed", extra={"fields": {"trace_id": trace_id}})
        await context.abort(grpc.StatusCode.INTERNAL, "internal error")
