"""The methods of `reservation.v1.InventoryService` over any inventory: parse, make one call, render."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from reservation_api.domain.errors import RefusedError, UnavailableError
from reservation_api.entrypoints.grpc import inventory_replies as replies
from reservation_api.entrypoints.grpc import inventory_requests as requests
from reservation_api.entrypoints.grpc.inventory_refusals import error_of
from reservation_api.entrypoints.http.trace_context import trace_of
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import HoldEndedError, Inventory
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


def inventory_handler(inventory: Inventory, clock: Clock) -> grpc.GenericRpcHandler:
    """Return the service, for a grpc.aio server."""
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
        SERVICE, {name: _method(*row) for name, row in answers.items()}
    )


def _method(
    answer: Answer, request_type: type[Message], reply_type: type[Message]
) -> "grpc.RpcMethodHandler[Any, Any]":
    async def method(request: Message, context: Context) -> Message:
        trace_id = trace_of(_traceparent(context)).trace_id
        try:
            return await answer(request, trace_id)
        except (RefusedError, HoldEndedError) as refusal:
            return reply_type(error=error_of(refusal, trace_id))
        except UnavailableError as error:
            _log.warning("the inventory can not answer: %s", error, extra={"fields": {"trace_id": trace_id}})
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the inventory can not answer now")
        except Exception:  # noqa: BLE001 (gRPC would tell the caller what the exception says)
            _log.exception("a call of the inventory failed", extra={"fields": {"trace_id": trace_id}})
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")

    return grpc.unary_unary_rpc_method_handler(method, request_type.FromString, reply_type.SerializeToString)


def _traceparent(context: Context) -> str | None:
    metadata = context.invocation_metadata() or ()
    return next((str(value) for name, value in metadata if name == "traceparent"), None)
