"""The services that are called over gRPC, if there are any: the inventory and the payment service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.trusting_payment.verifier import TrustingPaymentVerifier
from reservation_api.bootstrap.runtime import Check, Close
from reservation_api.bootstrap.told import told
from reservation_api.config.tree import Config
from reservation_api.ports.inventory import Inventory
from reservation_api.ports.payment import PaymentVerifier
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.spans import Tracer


@dataclass(frozen=True, slots=True)
class Peers:
    """Services that are called; connections are made by the first calls."""

    inventory: Inventory | None
    """None: there is none, and the built-in one is used."""
    payments: PaymentVerifier
    breakers: Sequence[CircuitBreaker]
    closers: Sequence[Close]
    checks: Mapping[str, Check]


def open_peers(config: Config, metrics: Metrics, tracer: Tracer | None) -> Peers:
    """Raise ConfigError for an address that is none."""
    if config.inventory is None and config.payment is None:
        return Peers(None, TrustingPaymentVerifier(), [], [], {})
    # gRPC and its messages: a tenth of a start, which those who call nobody are spared.
    from reservation_api.bootstrap.grpc_peers import guarded_inventory, guarded_payments  # noqa: PLC0415

    inventory, breakers, closers, checks = told(lambda: guarded_inventory(config.inventory, metrics, tracer))
    payments, more_breakers, more_closers = told(lambda: guarded_payments(config.payment, metrics, tracer))
    return Peers(inventory, payments, [*breakers, *more_breakers], [*closers, *more_closers], checks)
