"""The inventory behind `reservation.v1.InventoryService`."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, TypeVar

import grpc.aio
from google.protobuf.message import Message

from reservation_api.adapters.grpc_inventory import replies, requests
from reservation_api.adapters.grpc_inventory.meanings import refusal_of_status, unreached
from reservation_api.adapters.grpc_inventory.peer import Peer
from reservation_api.domain.values import EventId, SeatId
from reservation_api.ports.inventory import (
    Availability,
    CommitOutcome,
    CommitSeats,
    InventoryStatus,
    ReleaseOutcome,
    ReleaseSeats,
    ReserveSeats,
    SeatHold,
)
from reservation_proto.reservation.v1 import inventory_pb2 as wire

SERVICE = "/reservation.v1.InventoryService"

Reply = TypeVar("Reply", bound=Message)
_OPEN: Final = nullcontext()
"""Keeps nothing of who is in it: one is enough for all."""


class GrpcInventory:
    """Implements ports.inventory.Inventory over the wire; a reply is checked before it is believed.

    All calls but a commit are repeated by themselves when the peer can not be reached: repeating them is
    harmless. A commit is repeated by whoever finishes the confirm, with the same id and key.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def admission(self) -> AbstractAsyncContextManager[None]:
        """Let everybody in; a guard around this adapter is choosier."""
        return _OPEN

    async def reserve(self, request: ReserveSeats) -> SeatHold:
        """Hold all the seats or none; raises as the port says."""
        message = requests.reserve_request(request)
        return replies.hold_of(await self._ask("ReserveSeat", message, wire.ReserveSeatResponse))

    async def commit(self, request: CommitSeats) -> CommitOutcome:
        """Sell all the seats or none; raises nothing but InventoryUnavailableError."""
        message = requests.commit_request(request)
        path = f"{SERVICE}/CommitReservation"
        try:
            reply = await self._peer.call(path, message, wire.CommitReservationResponse, repeatable=False)
        except grpc.aio.AioRpcError as error:
            raise unreached(error.code()) from error
        return replies.commit_outcome(request, reply)

    async def release(self, request: ReleaseSeats) -> ReleaseOutcome:
        """Free the seats that this id holds; raises nothing but InventoryUnavailableError."""
        message = requests.release_request(request)
        path = f"{SERVICE}/ReleaseHold"
        try:
            reply = await self._peer.call(path, message, wire.ReleaseHoldResponse, repeatable=True)
        except grpc.aio.AioRpcError as error:
            raise unreached(error.code()) from error
        return replies.release_outcome(reply)

    async def availability(
        self, event_id: EventId, *, seat_ids: Sequence[SeatId] = (), section: str | None = None
    ) -> Availability:
        """List free seats; raises NotFoundError for an unknown event or section."""
        message = requests.availability_request(event_id, seat_ids, section)
        reply = await self._ask("CheckAvailability", message, wire.CheckAvailabilityResponse)
        return replies.availability_of(seat_ids, reply)

    async def status(self, event_id: EventId, *, section: str | None = None) -> InventoryStatus:
        """Count an event's seats; raises NotFoundError for an unknown event or section."""
        message = requests.status_request(event_id, section)
        reply = await self._ask("GetInventoryStatus", message, wire.GetInventoryStatusResponse)
        return replies.status_of(event_id, reply)

    async def close(self) -> None:
        """Give back the connections; may be repeated."""
        await self._peer.close()

    async def _ask(self, method: str, message: Message, reply_type: type[Reply]) -> Reply:
        try:
            return await self._peer.call(f"{SERVICE}/{method}", message, reply_type, repeatable=True)
        except grpc.aio.AioRpcError as error:
            raise refusal_of_status(error.code()) from error
