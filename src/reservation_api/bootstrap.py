"""The only place that picks adapters: from a Config to a service whose parts are wired."""

import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TypeVar, assert_never

from google.protobuf.message import Message

from reservation_api.adapters.grpc_inventory.address import parse_address
from reservation_api.adapters.grpc_inventory.inventory import GrpcInventory
from reservation_api.adapters.grpc_inventory.peer import GrpcPeer, PeerSettings
from reservation_api.adapters.grpc_payment.verifier import GrpcPaymentVerifier
from reservation_api.adapters.jwt.claims import TokenRules
from reservation_api.adapters.jwt.embedded_issuer import (
    EMBEDDED_ISSUER,
    EmbeddedIssuer,
    open_embedded_issuer,
)
from reservation_api.adapters.jwt.issuer_documents import IssuerAddress, IssuerDocuments
from reservation_api.adapters.jwt.issuer_keys import DiscoveredKeys
from reservation_api.adapters.jwt.key_sources import FileKeys, KeySource, StaticKeys
from reservation_api.adapters.jwt.verifier import JwtVerifier
from reservation_api.adapters.resilience.admission import Admission
from reservation_api.adapters.resilience.bulkhead import Bulkhead
from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.events import log_transitions
from reservation_api.adapters.resilience.inventory import GuardedInventory
from reservation_api.adapters.resilience.retry_budget import RetryBudget
from reservation_api.adapters.resilience.settings import (
    BreakerState,
    BulkheadSettings,
    CircuitBreakerSettings,
    RetryBudgetSettings,
    SlidingWindowType,
)
from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.event_log import SqliteEventLog
from reservation_api.adapters.sqlite.inventory import SqliteInventory
from reservation_api.adapters.sqlite.outbox import SqliteOutbox
from reservation_api.adapters.sqlite.read_model import SqliteReadModel
from reservation_api.adapters.sqlite.store import SqliteReservationStore
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.adapters.trusting_payment.verifier import TrustingPaymentVerifier
from reservation_api.application.cancel import Cancel
from reservation_api.application.confirm import Confirm
from reservation_api.application.deliver import Deliver
from reservation_api.application.expire import Expire
from reservation_api.application.extend import Extend
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.application.health import Component, ComponentStatus, Health
from reservation_api.application.hold import Hold
from reservation_api.application.outbox_entries import Offer
from reservation_api.application.queries import Queries
from reservation_api.application.recover import Recover
from reservation_api.application.relay import FastRelay, Relay
from reservation_api.application.use_cases import UseCases
from reservation_api.config.tree import (
    Config,
    ConfigError,
    EmbeddedKeys,
    GivenKeys,
    IdentityConfig,
    InventoryConfig,
    KeysInFile,
    PaymentConfig,
    PublishedKeys,
)
from reservation_api.domain.values import to_iso
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import Inventory
from reservation_api.ports.outbox import Outbox, OutboxEntry, OutboxStatus
from reservation_api.ports.payment import PaymentVerifier
from reservation_api.telemetry.metrics import Metrics

PURGE_BATCH_SIZE = 500
"""Rows deleted at a time: a few milliseconds for which other writes wait."""
MAX_COUNTED_FAILURES = 100
"""Health counts FAILED rows no further: whoever is called needs no more exact number."""
LOW_DISK_BYTES = 10 * 1024 * 1024
"""As Spring Boot's disk space check has it: below, SQLite is about to refuse writes."""

Purge = Callable[[datetime, int], Awaitable[int]]
"""Deletes up to so many rows that are over at an instant; returns how many went."""
Close = Callable[[], Awaitable[None]]
Check = Callable[[], Awaitable[Component]]
T = TypeVar("T")
Reply = TypeVar("Reply", bound=Message)


@dataclass(frozen=True, slots=True)
class Service:
    """One process's parts, wired; nothing runs yet."""

    config: Config
    clock: Clock
    database: Database
    store: SqliteReservationStore
    outbox: SqliteOutbox
    read_model: SqliteReadModel
    inventory: Inventory
    event_bus: SqliteEventLog
    tokens: JwtVerifier
    issuer: EmbeddedIssuer | None
    """None when tokens come from elsewhere."""
    use_cases: UseCases
    expire: Expire
    relay: Relay
    fast_relay: FastRelay
    purges: Mapping[str, Purge]
    health: Health
    metrics: Metrics
    closers: Sequence[Close] = ()

    async def close(self) -> None:
        """Give back connections, then finish waiting writes and close the file; may be repeated."""
        for close in self.closers:
            await close()
        self.database.close()


@dataclass(frozen=True, slots=True)
class InventoryService:
    """The built-in inventory by itself, for other processes to call."""

    clock: Clock
    inventory: Inventory
    purge: Purge
    close: Callable[[], None]
    """May be repeated."""


@dataclass(frozen=True, slots=True)
class _Identity:
    keys: KeySource
    name: str
    issuer: EmbeddedIssuer | None = None
    closers: Sequence[Close] = ()


@dataclass(frozen=True, slots=True)
class _Peers:
    """Services that are called; None: there is none, and what is built in is used."""

    inventory: GuardedInventory | None = None
    breakers: Sequence[CircuitBreaker] = ()
    payments: GrpcPaymentVerifier | None = None
    closers: Sequence[Close] = ()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What commands are built from."""

    clock: Clock
    store: SqliteReservationStore
    outbox: SqliteOutbox
    read_model: SqliteReadModel
    inventory: Inventory
    payments: PaymentVerifier
    event_bus: SqliteEventLog


@dataclass(frozen=True, slots=True)
class _Circle:
    """A circle by nature: a confirm that the relay recovers leaves rows for the relay to carry out."""

    finish: FinishConfirm
    deliver: Deliver
    fast_relay: FastRelay


def build(config: Config, clock: Clock | None = None) -> Service:
    """Wire the embedded runtime, opening its file.

    Raises ConfigError if keys can not be had as configured, StoreUnavailableError if the file can not.
    """
    clock = clock or SystemClock()
    identity = _told(lambda: _open_identity(config.identity, clock))
    peers = _told(lambda: _peers(config))
    database = open_database(config)
    built_in = SqliteInventory(database, clock)
    parts = _parts(database, clock, peers.inventory or built_in, peers.payments)
    circle = _circle(parts)
    offer = circle.fast_relay.offer
    return Service(
        config=config,
        clock=clock,
        database=database,
        store=parts.store,
        outbox=parts.outbox,
        read_model=parts.read_model,
        inventory=parts.inventory,
        event_bus=parts.event_bus,
        tokens=_tokens(config.identity, identity, clock),
        issuer=identity.issuer,
        use_cases=_use_cases(config, parts, circle.finish, offer),
        expire=Expire(parts.store, clock, offer),
        relay=Relay(parts.outbox, circle.deliver, clock, config.relay),
        fast_relay=circle.fast_relay,
        purges={"records": parts.store.purge_records, "holds": built_in.purge_ended_holds},
        health=Health(_checks(config, database, parts.outbox, peers.breakers)),
        metrics=_metrics(peers.breakers),
        closers=(*peers.closers, *identity.closers),
    )


def open_database(config: Config) -> Database:
    """Open the database file; raises StoreUnavailableError."""
    store = config.store
    return Database(store.database_file, store.synchronous, store.commit_delay_seconds)


def open_issuer(config: Config) -> EmbeddedIssuer:
    """Return the embedded issuer; raises ConfigError if tokens come from elsewhere or its key is no good."""
    issuer = _told(lambda: _open_identity(config.identity, SystemClock())).issuer
    if issuer is None:
        raise ConfigError(["JWT_ISSUER_URI is set: tokens come from that issuer, not from this service"])
    return issuer


def open_inventory(config: Config) -> InventoryService:
    """Open the built-in inventory by itself; raises StoreUnavailableError."""
    clock = SystemClock()
    database = open_database(config)
    inventory = SqliteInventory(database, clock)
    return InventoryService(clock, inventory, inventory.purge_ended_holds, database.close)


def connect_inventory(address: str, timeout_seconds: float) -> tuple[GrpcInventory, Clock]:
    """Return an inventory service, unguarded, and our clock; raises ConfigError for what is no address."""
    budget = RetryBudget("inventory", RetryBudgetSettings())
    return _told(lambda: GrpcInventory(_BudgetedPeer(address, timeout_seconds, budget))), SystemClock()


def _parts(
    database: Database, clock: Clock, inventory: Inventory, payments: PaymentVerifier | None
) -> _Parts:
    return _Parts(
        clock=clock,
        store=SqliteReservationStore(database),
        outbox=SqliteOutbox(database),
        read_model=SqliteReadModel(database),
        inventory=inventory,
        payments=payments or TrustingPaymentVerifier(),
        event_bus=SqliteEventLog(database),
    )


def _circle(parts: _Parts) -> _Circle:
    def offer(entries: Sequence[OutboxEntry]) -> None:
        fast_relay.offer(entries)

    finish = FinishConfirm(parts.store, parts.inventory, parts.clock, offer)
    deliver = Deliver(parts.event_bus, parts.inventory, Recover(parts.store, finish))
    fast_relay = FastRelay(parts.outbox, deliver)
    return _Circle(finish, deliver, fast_relay)


def _use_cases(config: Config, parts: _Parts, finish: FinishConfirm, offer: Offer) -> UseCases:
    store, inventory, clock = parts.store, parts.inventory, parts.clock
    return UseCases(
        hold=Hold(store, inventory, clock, config.hold, offer),
        confirm=Confirm(store, parts.payments, clock, finish),
        cancel=Cancel(store, clock, offer),
        extend=Extend(store, inventory, clock, config.hold),
        queries=Queries(store, parts.read_model, inventory),
    )


def _told(open_it: Callable[[], T]) -> T:
    """Raise ConfigError where an adapter says ValueError: its sentences are for the operator."""
    try:
        return open_it()
    except ValueError as error:
        raise ConfigError([str(error)]) from error


def _open_identity(config: IdentityConfig, clock: Clock) -> _Identity:
    match config.source:
        case EmbeddedKeys(key_file):
            issuer = open_embedded_issuer(key_file)
            return _Identity(issuer.keys(), EMBEDDED_ISSUER, issuer)
        case PublishedKeys(name):
            keys = DiscoveredKeys(IssuerDocuments(IssuerAddress(name)), clock)
            return _Identity(keys, name, closers=(keys.close,))
        case GivenKeys(name, jwks):
            return _Identity(StaticKeys(jwks.value), name)
        case KeysInFile(name, path):
            return _Identity(FileKeys(path), name)
        case _:
            assert_never(config.source)


def _tokens(config: IdentityConfig, identity: _Identity, clock: Clock) -> JwtVerifier:
    rules = TokenRules(identity.name, config.audience, config.clock_skew_seconds)
    return JwtVerifier(identity.keys, rules, clock)


def _peers(config: Config) -> _Peers:
    """Raise ValueError for an address that is none. Connections are made by the first calls."""
    peers = _Peers()
    if config.inventory is not None:
        peers = _inventory_peer(config.inventory)
    if config.payment is not None:
        payments = _payment_peer(config.payment)
        peers = replace(peers, payments=payments, closers=(*peers.closers, payments.close))
    return peers


def _inventory_peer(config: InventoryConfig) -> _Peers:
    budget = RetryBudget("inventory", RetryBudgetSettings(**asdict(config.retry)))
    inventory = GrpcInventory(_BudgetedPeer(config.address, config.timeout_seconds, budget))
    fields = asdict(config.circuit_breaker)
    window_type = SlidingWindowType(fields.pop("sliding_window_type"))
    breaker = CircuitBreaker(
        "inventory", CircuitBreakerSettings(sliding_window_type=window_type, **fields), monotonic
    )
    breaker.subscribe(log_transitions)
    bulkhead = Bulkhead("inventory", BulkheadSettings(**asdict(config.bulkhead)))
    guarded = GuardedInventory(inventory, Admission(breaker, bulkhead), monotonic)
    return _Peers(guarded, [breaker], closers=[inventory.close])


def _payment_peer(config: PaymentConfig) -> GrpcPaymentVerifier:
    budget = RetryBudget("payment", RetryBudgetSettings())
    return GrpcPaymentVerifier(_BudgetedPeer(config.address, config.timeout_seconds, budget))


class _BudgetedPeer:
    """A peer whose calls pay for its second tries: the budget is the peer's own, for all callers."""

    def __init__(self, address: str, timeout_seconds: float, budget: RetryBudget) -> None:
        settings = PeerSettings(deadline_seconds=timeout_seconds)
        self._budget = budget
        self._peer = GrpcPeer(parse_address(address), settings, self)

    def allow_retry(self) -> bool:
        """Spend from the budget if it is not used up."""
        return self._budget.try_spend()

    async def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Reply:
        """Count the call, and make it."""
        self._budget.record_call()
        return await self._peer.call(path, request, reply_type, repeatable=repeatable)

    async def close(self) -> None:
        """Give back the connections; may be repeated."""
        await self._peer.close()


def _metrics(breakers: Sequence[CircuitBreaker]) -> Metrics:
    metrics = Metrics()
    for breaker in breakers:
        metrics.watch_circuit_breaker(breaker.name, list(BreakerState), partial(getattr, breaker, "state"))
    return metrics


def _checks(
    config: Config, database: Database, outbox: Outbox, breakers: Sequence[CircuitBreaker]
) -> Mapping[str, Check]:
    checks: dict[str, Check] = {
        "store": lambda: _check_store(database),
        "outbox": lambda: _check_outbox(outbox),
        "diskSpace": lambda: _check_disk(config.store.data_dir),
    }
    return {**checks, "circuitBreakers": lambda: _check_breakers(breakers)} if breakers else checks


async def _check_breakers(breakers: Sequence[CircuitBreaker]) -> Component:
    """Tell each one's state; one that is not closed is a shared dependency's trouble, and drains nobody."""
    details = {breaker.name: asdict(breaker.metrics()) for breaker in breakers}
    is_closed = all(breaker.state is BreakerState.CLOSED for breaker in breakers)
    return Component(ComponentStatus.UP if is_closed else ComponentStatus.UNKNOWN, details)


async def _check_store(database: Database) -> Component:
    """Read something; a file that can not be read raises, which is DOWN."""
    await database.read(
        lambda connection: connection.execute("SELECT 1 FROM reservations LIMIT 1").fetchone()
    )
    return Component(ComponentStatus.UP)


async def _check_outbox(outbox: Outbox) -> Component:
    """Tell of rows that wait for a person, and since when the oldest of the others waits."""
    failed = await outbox.list(OutboxStatus.FAILED, MAX_COUNTED_FAILURES)
    oldest = await outbox.list(OutboxStatus.PENDING, 1)
    details = {"failed": len(failed), "oldest_pending": to_iso(oldest[0].created_at) if oldest else None}
    return Component(ComponentStatus.UNKNOWN if failed else ComponentStatus.UP, details)


async def _check_disk(data_dir: Path) -> Component:
    usage = shutil.disk_usage(data_dir)
    status = ComponentStatus.DOWN if usage.free < LOW_DISK_BYTES else ComponentStatus.UP
    return Component(status, {"total": usage.total, "free": usage.free, "threshold": LOW_DISK_BYTES})
