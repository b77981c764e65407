"""Extend a hold: ask the inventory first, and believe only the expiry that it returns."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from reservation_api.application.command import Answer, Command, answer_once, record_of, recorded_or_under_way
from reservation_api.application.inventory_reply import check_reply
from reservation_api.application.loading import MAX_RACES, load_reservation
from reservation_api.domain.errors import HoldExpiredError, UnavailableError
from reservation_api.domain.reservation import HoldPolicy, Reservation
from reservation_api.domain.values import ReservationId, to_iso, whole_milliseconds
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import HoldEndedError, Inventory, ReserveSeats
from reservation_api.ports.store import InsertRecord, ReservationStore, UpdateReservation

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Extension:
    """By how many seconds which hold should last longer."""

    reservation_id: ReservationId
    seconds: int


class Extend:
    """Make a hold last longer, within the policy's cap from creation and its count."""

    def __init__(
        self, store: ReservationStore, inventory: Inventory, clock: Clock, policy: HoldPolicy
    ) -> None:
        self._store = store
        self._inventory = inventory
        self._clock = clock
        self._policy = policy

    async def __call__(self, command: Command, extension: Extension) -> Answer:
        """Return the reservation with its new `hold_expires_at`, which may be less far than was asked.

        Raises NotFoundError, WrongStateError (also: not later), HoldExpiredError,
        IdempotencyMismatchError, UnavailableError.
        """
        return await answer_once(command, self._store, self._clock, lambda: self._extend(command, extension))

    async def _extend(self, command: Command, extension: Extension) -> Answer:
        for _ in range(MAX_RACES):
            reservation = await load_reservation(self._store, extension.reservation_id, command.subject)
            if reservation.extensions:
                # Perhaps by this very command: then the inventory must not be asked for more.
                record = await self._store.find_record(command.record_key, self._clock.now())
                if record is not None:
                    return recorded_or_under_way(record, command)
            # First the right to write: the inventory would keep the seats for longer than our hold says.
            async with self._inventory.admission(), self._store.admission():
                answer = await self._extend_as_read(reservation, command, extension)
            if answer is not None:
                return answer
        raise UnavailableError("other commands keep changing this reservation")

    async def _extend_as_read(
        self, reservation: Reservation, command: Command, extension: Extension
    ) -> Answer | None:
        """Extend if nothing has changed since the reservation was read; None if something has."""
        target = reservation.extension_target(extension.seconds, self._clock.now(), self._policy)
        granted = await self._ask_inventory(reservation, target)
        now = self._clock.now()
        after = reservation.extended(granted, now)
        gained = (after.hold_expires_at - reservation.hold_expires_at) // _SECOND
        answer = Answer(as_of=now, reservation=after, extended_seconds=gained)
        # Point of no return.
        conflict = await self._store.transact(
            [
                InsertRecord(record_of(command, answer, now), now),
                UpdateReservation(reservation, after, not_past=now),
            ]
        )
        if conflict is None:
            return answer
        return None if conflict.record is None else recorded_or_under_way(conflict.record, command)

    async def _ask_inventory(self, reservation: Reservation, target: datetime) -> datetime:
        """Return until when the hold may last by the inventory's own expiry."""
        request = ReserveSeats(
            reservation_id=reservation.reservation_id,
            event_id=reservation.event_id,
            user_id=reservation.user_id,
            seat_ids=reservation.seat_ids,
            qty=reservation.qty,
            expires_at=target + self._policy.grace,
            idempotency_key=f"{reservation.reservation_id}:extend:{int(target.timestamp() * 1000)}",
        )
        try:
            reply = await self._inventory.reserve(request)
        except HoldEndedError as error:
            expired_at = to_iso(reservation.hold_expires_at)
            raise HoldExpiredError("the inventory has ended the hold", hold_expires_at=expired_at) from error
        check_reply(request, reply)
        return min(target, whole_milliseconds(reply.expires_at) - self._policy.grace)
