"""The only place that picks adapters: from a Config to a service whose parts are wired."""

import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import assert_never

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
    KeysInFile,
    PublishedKeys,
)
from reservation_api.domain.values import to_iso
from reservation_api.ports.clock import Clock
from reservation_api.ports.outbox import Outbox, OutboxEntry, OutboxStatus
from reservation_api.telemetry.metrics import Metrics

PURGE_BATCH_SIZE = 500
"""Rows deleted at a time: a few milliseconds for which other writes wait."""
MAX_COUNTED_FAILURES = 100
"""Health counts FAILED rows no further: whoever is called needs no more exact number."""
LOW_DISK_BYTES = 10 * 1024 * 1024
"""As Spring Boot's disk space check has it: below, SQLite is about to refuse writes."""

Purge = Callable[[datetime, int], Awaitable[int]]
"""Deletes up to so many rows that are over at an instant; returns how many went."""


@dataclass(frozen=True, slots=True)
class Service:
    """One process's parts, wired; nothing runs yet."""

    config: Config
    clock: Clock
    database: Database
    store: SqliteReservationStore
    outbox: SqliteOutbox
    read_model: SqliteReadModel
    inventory: SqliteInventory
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
    closers: Sequence[Callable[[], Awaitable[None]]] = ()

    async def close(self) -> None:
        """Give back connections, then finish waiting writes and close the file; may be repeated."""
        for close in self.closers:
            await close()
        self.database.close()


@dataclass(frozen=True, slots=True)
class _Identity:
    keys: KeySource
    name: str
    issuer: EmbeddedIssuer | None = None
    closers: Sequence[Callable[[], Awaitable[None]]] = ()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What commands are built from."""

    clock: Clock
    store: SqliteReservationStore
    outbox: SqliteOutbox
    read_model: SqliteReadModel
    inventory: SqliteInventory
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
    identity = _identity(config.identity, clock)
    database = open_database(config)
    parts = _parts(database, clock)
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
        purges={"records": parts.store.purge_records, "holds": parts.inventory.purge_ended_holds},
        health=Health(_checks(config, database, parts.outbox)),
        metrics=Metrics(),
        closers=identity.closers,
    )


def open_database(config: Config) -> Database:
    """Open the database file; raises StoreUnavailableError."""
    store = config.store
    return Database(store.database_file, store.synchronous, store.commit_delay_seconds)


def open_issuer(config: Config) -> EmbeddedIssuer:
    """Return the embedded issuer; raises ConfigError if tokens come from elsewhere or its key is no good."""
    issuer = _identity(config.identity, SystemClock()).issuer
    if issuer is None:
        raise ConfigError(["JWT_ISSUER_URI is set: tokens come from that issuer, not from this service"])
    return issuer


def _parts(database: Database, clock: Clock) -> _Parts:
    return _Parts(
        clock=clock,
        store=SqliteReservationStore(database),
        outbox=SqliteOutbox(database),
        read_model=SqliteReadModel(database),
        inventory=SqliteInventory(database, clock),
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
        confirm=Confirm(store, TrustingPaymentVerifier(), clock, finish),
        cancel=Cancel(store, clock, offer),
        extend=Extend(store, inventory, clock, config.hold),
        queries=Queries(store, parts.read_model, inventory),
    )


def _identity(config: IdentityConfig, clock: Clock) -> _Identity:
    """Raise ConfigError where an adapter says ValueError: its sentences are for the operator."""
    try:
        return _open_identity(config, clock)
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


def _checks(
    config: Config, database: Database, outbox: Outbox
) -> Mapping[str, Callable[[], Awaitable[Component]]]:
    return {
        "store": lambda: _check_store(database),
        "outbox": lambda: _check_outbox(outbox),
        "diskSpace": lambda: _check_disk(config.store.data_dir),
    }


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
