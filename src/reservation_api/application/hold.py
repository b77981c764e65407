"""Hold seats: one call to the inventory, one write to the store."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from reservation_api.application.abandon import Abandon
from reservation_api.application.command import (
    Answer,
    Command,
    answer_once,
    digest,
    record_of,
    recorded_answer,
)
from reservation_api.application.inventory_reply import check_reply
from reservation_api.application.outbox_entries import Offer, event_entry
from reservation_api.domain.errors import InventoryUnavailableError, WrongStateError
from reservation_api.domain.reservation import HoldPolicy, NewHold, Reservation, Status, held
from reservation_api.domain.values import EventId, ReservationId, SeatId, whole_milliseconds
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import HoldEndedError, Inventory, ReleaseSeats, ReserveSeats, SeatHold
from reservation_api.ports.store import AddOutboxEntry, InsertRecord, InsertReservation, ReservationStore

MAX_IDS_PER_KEY = 8
"""How often one key may be used again for the same request, 5 minutes apart, before it is refused."""


@dataclass(frozen=True, slots=True)
class SeatsWanted:
    """The seats by id, or (no ids) the best `qty` available."""

    event_id: EventId
    qty: int
    seat_ids: tuple[SeatId, ...] = ()
    reservation_token: str | None = None
    """Opaque; passed on to the event, not verified."""


def reservation_id_of(command: Command, n: int) -> ReservationId:
    """Derive the n-th id of a command: a retry asks the inventory for the same hold (design section 3)."""
    return ReservationId(f"rsv_{digest(command.record_key, command.request_hash, str(n))[:32]}")


class Hold:
    """Take seats for a subject for `hold_seconds`."""

    def __init__(
        self, store: ReservationStore, inventory: Inventory, clock: Clock, policy: HoldPolicy, offer: Offer
    ) -> None:
        self._store = store
        self._inventory = inventory
        self._clock = clock
        self._policy = policy
        self._offer = offer
        self._abandon = Abandon(store, clock, offer)

    async def __call__(self, command: Command, wanted: SeatsWanted) -> Answer:
        """Return the reservation on HOLD.

        Raises SeatsTakenError, SoldOutError, NotFoundError (event), InvalidRequestError (seat),
        IdempotencyMismatchError, and UnavailableError when the outcome is unknown.
        """
        return await answer_once(command, self._store, self._clock, lambda: self._hold(command, wanted))

    async def _hold(self, command: Command, wanted: SeatsWanted) -> Answer:
        for n in range(MAX_IDS_PER_KEY):
            hold = NewHold(
                reservation_id_of(command, n),
                wanted.event_id,
                command.subject,
                command.record_key,
                wanted.reservation_token,
            )
            # Seats that can not be written down would be nobody's until they expire: first the right to
            # write. The inventory's right before the store's, as in confirm: no two wait for what the other
            # has.
            async with self._inventory.admission(), self._store.admission():
                answer = await self._take(hold, command, wanted)
            if answer is not None:
                return answer
        raise WrongStateError("this Idempotency-Key was used for this request too often: use a new one")

    async def _take(self, hold: NewHold, command: Command, wanted: SeatsWanted) -> Answer | None:
        """Ask the inventory for the seats and write them down; None when the id is used up."""
        started_at = self._clock.now()
        try:
            reply = await self._reserve(hold, wanted, command, started_at)
        except HoldEndedError:
            return await self._recorded(command)
        # A retried hold keeps the inventory's first clock: ours must never outlast the inventory's.
        ours = started_at + timedelta(seconds=self._policy.hold_seconds)
        theirs = whole_milliseconds(reply.expires_at) - self._policy.grace
        hold_expires_at = min(ours, theirs)
        now = self._clock.now()
        if hold_expires_at <= now:
            answer = await self._recorded(command)
            seat_ids = _seat_ids(reply)
            if answer is None and not await self._abandon(hold, seat_ids, command.trace_id):
                await self._give_back(hold, seat_ids, await self._store.get_reservation(hold.reservation_id))
            return answer
        # Holds are found by when they began: none ends sooner than `hold_seconds` after its `created_at`.
        began_at = min(now, hold_expires_at - timedelta(seconds=self._policy.hold_seconds))
        reservation = held(hold, reply.seats, now, hold_expires_at, began_at)
        return await self._commit(reservation, hold, command)

    async def _reserve(self, hold: NewHold, wanted: SeatsWanted, command: Command, now: datetime) -> SeatHold:
        request = ReserveSeats(
            reservation_id=hold.reservation_id,
            event_id=wanted.event_id,
            user_id=command.subject,
            seat_ids=wanted.seat_ids,
            qty=wanted.qty,
            expires_at=now + timedelta(seconds=self._policy.hold_seconds) + self._policy.grace,
            idempotency_key=f"{hold.reservation_id}:hold:0",
        )
        reply = await self._inventory.reserve(request)
        try:
            check_reply(request, reply)
        except InventoryUnavailableError:
            await self._abandon(hold, _seat_ids(reply), command.trace_id)
            raise
        return reply

    async def _commit(self, reservation: Reservation, hold: NewHold, command: Command) -> Answer | None:
        now = reservation.updated_at
        answer = Answer(as_of=now, reservation=reservation)
        event = event_entry(reservation, command.trace_id)
        # Point of no return: the losing twin gets the winner's record in the same answer.
        conflict = await self._store.transact(
            [
                InsertRecord(record_of(command, answer, now), now),
                InsertReservation(reservation),
                AddOutboxEntry(event),
            ]
        )
        if conflict is None:
            self._offer([event])
            return answer
        await self._give_back(hold, reservation.seat_ids, conflict.reservation)
        if conflict.record is None:
            return None  # the id was used before its record went: the key is 5 minutes old
        if conflict.reservation is None:
            # The record is another request's, or this one's under another id: the seats just taken
            # belong to nobody, or to a twin that is about to commit this very id. Abandon finds out.
            await self._abandon(hold, reservation.seat_ids, command.trace_id)
        return recorded_answer(conflict.record, command)

    async def _give_back(
        self, hold: NewHold, seat_ids: tuple[SeatId, ...], known: Reservation | None
    ) -> None:
        """Release what an inventory that forgot an id took for it again; else its own expiry does.

        Only for an id that has ended: no twin can commit it any more.
        """
        if known is None or known.status in {Status.HOLD, Status.CONFIRMED}:
            return
        key = f"{hold.reservation_id}:release:0"
        request = ReleaseSeats(hold.reservation_id, hold.event_id, seat_ids, "id used up", key)
        with suppress(InventoryUnavailableError):
            await self._inventory.release(request)

    async def _recorded(self, command: Command) -> Answer | None:
        record = await self._store.find_record(command.record_key, self._clock.now())
        return None if record is None else recorded_answer(record, command)


def _seat_ids(reply: SeatHold) -> tuple[SeatId, ...]:
    return tuple(seat.seat_id for seat in reply.seats)
