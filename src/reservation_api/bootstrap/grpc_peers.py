"""The inventory and the payment service, called over gRPC."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import monotonic

from google.protobuf.message import Message

from reservation_api.adapters.grpc_inventory.address import parse_address
from reservation_api.adapters.grpc_inventory.inventory import GrpcInventory
from reservation_api.adapters.grpc_inventory.peer import GrpcPeer, PeerSettings
from reservation_api.adapters.grpc_payment.verifier import GrpcPaymentVerifier
from reservation_api.adapters.resilience.circuit_breaker import CircuitBreaker
from reservation_api.adapters.resilience.inventory import GuardedInventory
from reservation_api.adapters.resilience.payments import GuardedPaymentVerifier
from reservation_api.adapters.resilience.retry_budget import RetryBudget
from reservation_api.adapters.resilience.settings import RetryBudgetSettings
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.adapters.trusting_payment.verifier import TrustingPaymentVerifier
from reservation_api.bootstrap.checks import check_inventory, shared
from reservation_api.bootstrap.grpc_calls import MeasuredPeer, Reply
from reservation_api.bootstrap.guards import open_admission
from reservation_api.bootstrap.runtime import Check, Close
from reservation_api.bootstrap.tls import read_authorities
from reservation_api.bootstrap.told import told
from reservation_api.bootstrap.tracing import Call
from reservation_api.config.tree import InventoryConfig, PaymentConfig
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import Inventory
from reservation_api.ports.payment import PaymentVerifier
from reservation_api.telemetry import names
from reservation_api.telemetry.instruments import Counter
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.spans import Tracer


def connect_inventory(
    address: str, timeout_seconds: float, ca_file: Path | None = None
) -> tuple[GrpcInventory, Clock]:
    """Return an inventory service, unguarded, and our clock; raises ConfigError for what is no address."""
    budget = RetryBudget("inventory", RetryBudgetSettings())
    settings = PeerSettings(timeout_seconds, root_certificates=_authorities(ca_file))
    return told(lambda: GrpcInventory(_BudgetedPeer(address, settings, budget))), SystemClock()


def guarded_inventory(
    config: InventoryConfig | None, metrics: Metrics, tracer: Tracer | None
) -> tuple[Inventory | None, list[CircuitBreaker], list[Close], Mapping[str, Check]]:
    """Return the inventory that is configured, if any; raises ValueError for an address that is none."""
    if config is None:
        return None, [], [], {}
    budget = RetryBudget("inventory", RetryBudgetSettings(**asdict(config.guard.retry)))
    settings = PeerSettings(config.timeout_seconds, root_certificates=_authorities(config.ca_file))
    peer = _BudgetedPeer(config.address, settings, budget, metrics.counter(names.CALL_RETRIES, "inventory"))
    inventory = GrpcInventory(MeasuredPeer(peer, metrics, tracer))
    admission = open_admission("inventory", config.guard)
    # Not by way of the guard: whoever asks for health must not move its breaker.
    check = shared(partial(check_inventory, inventory, config.address), monotonic)
    guarded = GuardedInventory(inventory, admission)
    return guarded, [admission.breaker], [inventory.close], {"inventory": check}


def guarded_payments(
    config: PaymentConfig | None, metrics: Metrics, tracer: Tracer | None
) -> tuple[PaymentVerifier, list[CircuitBreaker], list[Close]]:
    """Return who verifies payments; raises ValueError for an address that is none."""
    if config is None:
        return TrustingPaymentVerifier(), [], []
    budget = RetryBudget("payment", RetryBudgetSettings(**asdict(config.guard.retry)))
    settings = PeerSettings(config.timeout_seconds, root_certificates=_authorities(config.ca_file))
    peer = _BudgetedPeer(config.address, settings, budget, metrics.counter(names.CALL_RETRIES, "payment"))
    payments = GrpcPaymentVerifier(MeasuredPeer(peer, metrics, tracer))
    admission = open_admission("payment", config.guard)
    return GuardedPaymentVerifier(payments, admission), [admission.breaker], [payments.close]


def _authorities(ca_file: Path | None) -> bytes | None:
    return None if ca_file is None else read_authorities(ca_file)


class _BudgetedPeer:
    """A peer whose calls pay for its second tries: the budget is the peer's own, for all callers."""

    def __init__(
        self, address: str, settings: PeerSettings, budget: RetryBudget, retries: Counter | None = None
    ) -> None:
        self._budget = budget
        self._retries = retries
        self._peer = GrpcPeer(parse_address(address), settings, self)

    def allow_retry(self) -> bool:
        """Spend from the budget if it is not used up."""
        is_allowed = self._budget.try_spend()
        if is_allowed and self._retries is not None:
            self._retries.inc()
        return is_allowed

    def call(self, path: str, request: Message, reply_type: type[Reply], *, repeatable: bool) -> Call[Reply]:
        """Count the call, and make it."""
        self._budget.record_call()
        return self._peer.call(path, request, reply_type, repeatable=repeatable)

    async def close(self) -> None:
        """Give back the connections; may be repeated."""
        await self._peer.close()
