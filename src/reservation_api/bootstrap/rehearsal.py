"""What requests are charged on AWS, found by making them: the service's use cases and adapters, on meters.

Nobody keeps a table of what writes what: if a command writes otherwise tomorrow, its charge is another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from reservation_api.adapters.aws_wire.errors import AwsCaller
from reservation_api.adapters.dynamodb.calls import DynamoDb
from reservation_api.adapters.dynamodb.metered_tables import NAMES, Meter, MeteredTables
from reservation_api.adapters.dynamodb.outbox import DynamoDbOutbox
from reservation_api.adapters.dynamodb.read_model import DynamoDbReadModel
from reservation_api.adapters.dynamodb.shards import MAX_SHARDS, StatusShards
from reservation_api.adapters.dynamodb.store import DynamoDbReservationStore
from reservation_api.adapters.dynamodb.tables import TableNames
from reservation_api.adapters.eventbridge.bus import EventBridgeBus
from reservation_api.adapters.eventbridge.metered_bus import BusMeter, MeteredEventBus
from reservation_api.adapters.resilience.retry_budget import RetryBudget
from reservation_api.adapters.resilience.settings import RetryBudgetSettings
from reservation_api.adapters.trusting_payment.verifier import TrustingPaymentVerifier
from reservation_api.application.cancel import Cancel
from reservation_api.application.capacity.charges import EXPIRE, Charge, Charges
from reservation_api.application.command import Command, digest
from reservation_api.application.confirm import Confirm, Payment
from reservation_api.application.deliver import Deliver, done_ids
from reservation_api.application.expire import Expire
from reservation_api.application.extend import Extend, Extension
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.application.hold import Hold, SeatsWanted
from reservation_api.application.queries import Queries
from reservation_api.application.recover import Recover
from reservation_api.bootstrap.rehearsed_inventory import RehearsedInventory
from reservation_api.domain.errors import SoldOutError
from reservation_api.domain.reservation import HoldPolicy
from reservation_api.domain.values import EventId, PaymentIntentId, ReservationId, UserId
from reservation_api.ports.outbox import OutboxEntry

DEFAULT_PAGE: Final = 20
"""Of a list, unless the caller asks otherwise (design section 5)."""
_EVENT: Final = EventId("evt_2026_world_tour_seoul")
_SUBJECT: Final = UserId("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
_LISTING: Final = UserId("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
"""Ids as long as they are in earnest: an issuer's subjects are UUIDs."""
_BUS: Final = "traffic-tacos-reservation-events"
_TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_LONGEST: Final = timedelta(minutes=10)
"""No hold lasts so long."""
Step = tuple[str | None, Callable[[], Awaitable[object]]]
"""The request that it is, or None: then it only makes the next one possible."""


class _SetClock:
    def __init__(self) -> None:
        self.at = _BEGIN

    def now(self) -> datetime:
        return self.at


def charges_of(seats: int) -> Charges:
    """Make each request once, for reservations of so many seats, and return what each was charged."""
    return asyncio.run(rehearsed(seats))


async def rehearsed(seats: int) -> Charges:
    """Do as charges_of, for those who have an event loop."""
    tables, bus = MeteredTables(), MeteredEventBus()
    rehearsal = Rehearsal(Aws(tables, NAMES, bus), seats)
    charges = {}
    for name, make in rehearsal.steps():
        tables.meter, bus.meter = Meter(), BusMeter()
        await make()
        if name is not None:
            charges[name] = _charge(tables.meter, bus.meter)
    return charges


def _charge(tables: Meter, bus: BusMeter) -> Charge:
    # To the thousandth: Terraform reckons with the units of a thousand requests, in whole numbers.
    read = {table: round(units, 3) for table, units in tables.read.items()}
    by_status = {f"{index}/{status}": units for (index, status), units in tables.by_status.items()}
    return Charge(dict(tables.write), read, by_status, tables.stored_bytes, bus.events, bus.event_bytes)


@dataclass(frozen=True, slots=True)
class Aws:
    """What the service calls: the four tables, and the bus."""

    dynamodb: AwsCaller
    names: TableNames
    events: AwsCaller


class Rehearsal:
    """The AWS runtime's use cases, and one request of each kind to make of them."""

    def __init__(self, aws: Aws, seats: int) -> None:
        self._clock = clock = _SetClock()
        self._seats = seats
        self._inventory = inventory = RehearsedInventory()
        self._left: list[OutboxEntry] = []
        self._held: list[ReservationId] = []
        budget = RetryBudget("rehearsal", RetryBudgetSettings())
        dynamodb, shards, policy = DynamoDb(aws.dynamodb, budget), StatusShards(MAX_SHARDS), HoldPolicy()
        store = DynamoDbReservationStore(dynamodb, aws.names, shards, policy.hold_seconds)
        finish = FinishConfirm(store, inventory, clock, self._left.extend)
        self._outbox = DynamoDbOutbox(dynamodb, aws.names, shards)
        self._deliver = Deliver(EventBridgeBus(aws.events, _BUS), inventory, Recover(store, finish))
        self._hold = Hold(store, inventory, clock, policy, self._left.extend)
        self._confirm = Confirm(store, TrustingPaymentVerifier(), clock, finish)
        self._cancel = Cancel(store, clock, self._left.extend)
        self._extend = Extend(store, inventory, clock, policy)
        self._expire = Expire(store, clock, self._left.extend)
        self._queries = Queries(store, DynamoDbReadModel(dynamodb, aws.names), inventory)

    def steps(self) -> Iterator[Step]:
        """Yield the requests in an order in which they can be made; each is to be made before the next."""
        hold = partial(self._relayed, self._take, _SUBJECT)
        yield "hold", hold
        yield "get", partial(self._queries.reservation, _SUBJECT, self._held[-1])
        payment = Payment(self._held[-1], PaymentIntentId("pi_3MtwBwLkdIwHu7ix28a3tqPa"))
        yield "confirm", partial(self._relayed, self._confirm, _command("confirm"), payment)
        yield None, hold
        yield "cancel", partial(self._relayed, self._cancel, _command("cancel"), self._held[-1])
        yield None, hold
        yield "extend", partial(self._extend, _command("extend"), Extension(self._held[-1], 60))
        self._clock.at += _LONGEST
        yield EXPIRE, partial(self._relayed, self._expire.run_once)
        yield "refused_hold", self._take_in_vain
        for _ in range(DEFAULT_PAGE):
            yield None, partial(self._relayed, self._take, _LISTING)
        yield "list", partial(self._queries.reservations, _LISTING, None, DEFAULT_PAGE, None)

    async def _relayed(self, make: Callable[..., Awaitable[object]], *arguments: object) -> None:
        """Make a request, and do at once what it leaves to the relay, as the fast path does."""
        await make(*arguments)
        entries, self._left[:] = list(self._left), []
        await self._outbox.remove(done_ids(await self._deliver(entries)))

    async def _take(self, subject: UserId) -> None:
        wanted = SeatsWanted(_EVENT, self._seats)
        answer = await self._hold(_command(f"hold {len(self._held)}", subject), wanted)
        if answer.reservation is not None:
            self._held.append(answer.reservation.reservation_id)

    async def _take_in_vain(self) -> None:
        self._inventory.is_sold_out = True
        with suppress(SoldOutError):
            await self._take(_SUBJECT)
        self._inventory.is_sold_out = False


def _command(key: str, subject: UserId = _SUBJECT) -> Command:
    return Command(subject, key, digest(key), _TRACE)
