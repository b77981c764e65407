"""One process of the service, wired as in production over the ports of a runtime."""

from collections.abc import Sequence
from typing import Any, cast

from tests.support.faults import DecliningInventory, Faulty
from tests.support.runtimes import Ports

from reservation_api.adapters.trusting_payment.verifier import TrustingPaymentVerifier
from reservation_api.application.cancel import Cancel
from reservation_api.application.command import Answer, Command, digest
from reservation_api.application.confirm import Confirm, Payment
from reservation_api.application.deliver import Deliver
from reservation_api.application.expire import Expire
from reservation_api.application.extend import Extend, Extension
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.application.hold import Hold, SeatsWanted
from reservation_api.application.recover import Recover
from reservation_api.application.relay import Relay, RetryPolicy
from reservation_api.domain.errors import (
    EventBusUnavailableError,
    InventoryUnavailableError,
    PaymentUnavailableError,
    StoreUnavailableError,
)
from reservation_api.domain.reservation import HoldPolicy
from reservation_api.domain.values import EventId, PaymentIntentId, ReservationId, SeatId, UserId
from reservation_api.ports.clock import Clock
from reservation_api.ports.event_bus import EventBus
from reservation_api.ports.inventory import Inventory
from reservation_api.ports.outbox import Outbox, OutboxEntry, OutboxType
from reservation_api.ports.payment import PaymentVerifier
from reservation_api.ports.store import ReservationStore

EVENT = EventId("evt_test")


def command(subject: str, key: str, *what: object) -> Command:
    return Command(UserId(subject), key, digest(*map(str, what)), "0" * 32)


class Process:
    """Its commands by name; `offered` keeps what its fast path was offered and has not carried out."""

    def __init__(self, ports: Ports, clock: Clock, policy: HoldPolicy | None = None) -> None:
        self.ports = ports
        self.clock = clock
        self.offered: list[OutboxEntry] = []
        policy = policy or HoldPolicy()
        store = cast("ReservationStore", Faulty(ports.store, StoreUnavailableError))
        outbox = cast("Outbox", Faulty(ports.outbox, StoreUnavailableError))
        bus = cast("EventBus", Faulty(ports.bus, EventBusUnavailableError))
        inventory = cast("Inventory", Faulty(DecliningInventory(ports.inventory), InventoryUnavailableError))
        payments = cast("PaymentVerifier", Faulty(TrustingPaymentVerifier(), PaymentUnavailableError))
        finish = FinishConfirm(store, inventory, clock, self._offer)
        self._hold = Hold(store, inventory, clock, policy, self._offer)
        self._confirm = Confirm(store, payments, clock, finish)
        self._cancel = Cancel(store, clock, self._offer)
        self._extend = Extend(store, inventory, clock, policy)
        self._deliver = Deliver(bus, inventory, Recover(store, finish))
        self._outbox = outbox
        self.expire = Expire(store, clock, self._offer)
        self.relay = Relay(outbox, self._deliver, clock, RetryPolicy())

    async def hold(
        self, subject: str, key: str, seat_ids: Sequence[str] = (), *, qty: int | None = None
    ) -> Answer:
        count = len(seat_ids) if qty is None else qty
        wanted = SeatsWanted(EVENT, count, tuple(map(SeatId, seat_ids)))
        return await self._hold(command(subject, key, "hold", count, *seat_ids), wanted)

    async def confirm(self, subject: str, key: str, reservation_id: str, payment: str) -> Answer:
        what = Payment(ReservationId(reservation_id), PaymentIntentId(payment))
        return await self._confirm(command(subject, key, "confirm", reservation_id, payment), what)

    async def cancel(self, subject: str, key: str, reservation_id: str) -> Answer:
        return await self._cancel(
            command(subject, key, "cancel", reservation_id), ReservationId(reservation_id)
        )

    async def extend(self, subject: str, key: str, reservation_id: str, seconds: int) -> Answer:
        what = Extension(ReservationId(reservation_id), seconds)
        return await self._extend(command(subject, key, "extend", reservation_id, seconds), what)

    async def run_fast_path(self) -> None:
        entries, self.offered[:] = list(self.offered), []
        done = [d.entry.outbox_id for d in await self._deliver(entries) if d.verdict.value == "done"]
        await self._outbox.remove(done)

    async def run_workers(self) -> None:
        """One round of all the workers."""
        while await self.expire.run_once():
            pass
        for kind in OutboxType:
            await self.relay.run_once(kind)

    def _offer(self, entries: Sequence[OutboxEntry]) -> None:
        self.offered.extend(entries)


async def run_named(process: Process, name: str, arguments: tuple[Any, ...], options: Any = None) -> Answer:
    """Run a command by its name."""
    answer: Answer = await getattr(process, name)(*arguments, **(options or {}))
    return answer
