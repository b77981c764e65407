"""One process's parts, wired."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from reservation_api.adapters.jwt.embedded_issuer import EmbeddedIssuer
from reservation_api.adapters.jwt.verifier import JwtVerifier
from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.settings import BreakerState
from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.application.cancel import Cancel
from reservation_api.application.confirm import Confirm
from reservation_api.application.deliver import Deliver
from reservation_api.application.expire import Expire
from reservation_api.application.extend import Extend
from reservation_api.application.finish_confirm import FinishConfirm
from reservation_api.application.health import Health
from reservation_api.application.hold import Hold
from reservation_api.application.outbox_entries import Offer
from reservation_api.application.queries import Queries
from reservation_api.application.recover import Recover
from reservation_api.application.relay import Carry, FastRelay, Relay
from reservation_api.application.use_cases import UseCases
from reservation_api.bootstrap.checks import BusHealth, check_breakers
from reservation_api.bootstrap.counting import counting_deliveries, counting_moves
from reservation_api.bootstrap.identity import open_identity
from reservation_api.bootstrap.peers import open_peers
from reservation_api.bootstrap.runtime import Check, Close, Purge, Runtime
from reservation_api.bootstrap.tracing import open_tracer
from reservation_api.config.tree import Config, ConfigError
from reservation_api.ports.clock import Clock
from reservation_api.ports.event_bus import EventBus
from reservation_api.ports.inventory import Inventory
from reservation_api.ports.outbox import Outbox, OutboxEntry
from reservation_api.ports.payment import PaymentVerifier
from reservation_api.ports.read_model import ReadModel
from reservation_api.ports.store import ReservationStore
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.spans import Tracer


@dataclass(frozen=True, slots=True)
class Service:
    """One process's parts, wired; nothing runs yet."""

    config: Config
    clock: Clock
    store: ReservationStore
    outbox: Outbox
    read_model: ReadModel
    inventory: Inventory
    event_bus: EventBus
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
    tracer: Tracer | None
    """None: no request is recorded."""
    waited_seconds: Callable[[], float]
    """How long all calls so far waited in this process for their turn at the store, together."""
    closers: Sequence[Close]
    embedded_database: Database | None = None

    @property
    def database(self) -> Database:
        """The embedded runtime's file; raises ConfigError on AWS, which has none."""
        if self.embedded_database is None:
            raise ConfigError(["this is for the embedded store: unset APP_DYNAMODB_TABLES_* to use it"])
        return self.embedded_database

    async def close(self) -> None:
        """Give back connections, then finish waiting writes and close the file; may be repeated."""
        for close in self.closers:
            await close()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What commands are built from."""

    runtime: Runtime
    clock: Clock
    inventory: Inventory
    payments: PaymentVerifier
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class _Circle:
    """A circle by nature: a confirm that the relay recovers leaves rows for the relay to carry out."""

    finish: Callable[[ReservationStore], FinishConfirm]
    deliver: Carry
    fast_relay: FastRelay
    offer: Offer
    bus_health: BusHealth


def build(config: Config, clock: Clock | None = None) -> Service:
    """Wire the runtime that the configuration asks for, opening its file or its connections.

    Raises ConfigError if keys can not be had as configured, StoreUnavailableError if the file can not.
    """
    clock = clock or SystemClock()
    identity = open_identity(config.identity, clock)
    metrics = Metrics()
    tracer = open_tracer(config.telemetry, metrics, clock)
    peers = open_peers(config, metrics, tracer)
    runtime = _runtime(config, clock, metrics, tracer)
    parts = _Parts(runtime, clock, _inventory(peers.inventory, runtime), peers.payments, metrics)
    circle = _circle(parts)
    breakers = (*peers.breakers, *runtime.breakers)
    _watch(breakers, metrics)
    return Service(
        config=config,
        clock=clock,
        store=runtime.store,
        outbox=runtime.outbox,
        read_model=runtime.read_model,
        inventory=parts.inventory,
        event_bus=runtime.event_bus,
        tokens=identity.tokens,
        issuer=identity.issuer,
        use_cases=_use_cases(config, parts, circle.finish(runtime.store), circle.offer),
        expire=Expire(runtime.unguarded_store, clock, circle.offer),
        relay=Relay(runtime.outbox, circle.deliver, clock, config.relay),
        fast_relay=circle.fast_relay,
        purges=runtime.purges,
        health=Health({"eventBus": circle.bus_health.check, **_checks(runtime, breakers), **peers.checks}),
        metrics=metrics,
        tracer=tracer,
        waited_seconds=runtime.waited_seconds,
        closers=(*peers.closers, *identity.closers, runtime.close),
        embedded_database=runtime.database,
    )


def _runtime(config: Config, clock: Clock, metrics: Metrics, tracer: Tracer | None) -> Runtime:
    # A process starts sooner without the other runtime's half.
    if config.aws is None:
        from reservation_api.bootstrap.embedded import open_embedded  # noqa: PLC0415

        return open_embedded(config, clock, tracer)
    from reservation_api.bootstrap.aws import open_aws  # noqa: PLC0415

    return open_aws(config.aws, config.hold, clock, metrics, tracer)


def _inventory(peer: Inventory | None, runtime: Runtime) -> Inventory:
    inventory = peer or runtime.inventory
    if inventory is None:
        raise ConfigError(["the AWS runtime has no inventory of its own: INVENTORY_GRPC_ADDRESS names one"])
    return inventory


def _circle(parts: _Parts) -> _Circle:
    def to_fast_relay(entries: Sequence[OutboxEntry]) -> None:
        fast_relay.offer(entries)

    def finish(store: ReservationStore) -> FinishConfirm:
        return FinishConfirm(store, parts.inventory, parts.clock, offer)

    runtime = parts.runtime
    offer = counting_moves(to_fast_relay, parts.metrics, parts.clock)
    recover = Recover(runtime.unguarded_store, finish(runtime.unguarded_store))
    bus_health = BusHealth(parts.clock)
    watched = bus_health.watching(Deliver(runtime.event_bus, parts.inventory, recover))
    deliver = counting_deliveries(watched, parts.metrics)
    fast_relay = FastRelay(runtime.outbox, deliver)
    return _Circle(finish, deliver, fast_relay, offer, bus_health)


def _use_cases(config: Config, parts: _Parts, finish: FinishConfirm, offer: Offer) -> UseCases:
    store, inventory, clock = parts.runtime.store, parts.inventory, parts.clock
    return UseCases(
        hold=Hold(store, inventory, clock, config.hold, offer),
        confirm=Confirm(store, parts.payments, clock, finish),
        cancel=Cancel(store, clock, offer),
        extend=Extend(store, inventory, clock, config.hold),
        queries=Queries(store, parts.runtime.read_model, inventory),
    )


def _watch(breakers: Sequence[CircuitBreaker], metrics: Metrics) -> None:
    for breaker in breakers:
        metrics.watch_circuit_breaker(breaker.name, list(BreakerState), partial(getattr, breaker, "state"))


def _checks(runtime: Runtime, breakers: Sequence[CircuitBreaker]) -> Mapping[str, Check]:
    return (
        {**runtime.checks, "circuitBreakers": partial(check_breakers, breakers)}
        if breakers
        else runtime.checks
    )
