"""The settings as the rest of the program sees them: frozen, whole, checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reservation_api.application.relay import RetryPolicy
from reservation_api.domain.reservation import HoldPolicy

PROD = "prod"


class ConfigError(Exception):
    """The environment can not be run with; `faults` are all the reasons, one sentence each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Secret:
    """Text that must not be shown."""

    value: str

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class EmbeddedKeys:
    """Tokens come from this service's own issuer, whose key is in the data directory."""

    key_file: Path


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """The issuer's discovery document leads to its keys."""

    issuer: str


@dataclass(frozen=True, slots=True)
class GivenKeys:
    """The keys of the issuer are in the environment."""

    issuer: str
    jwks: Secret


@dataclass(frozen=True, slots=True)
class KeysInFile:
    """The keys of the issuer are in a file."""

    issuer: str
    jwks_file: Path


IdentitySource = EmbeddedKeys | PublishedKeys | GivenKeys | KeysInFile


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """Whose tokens are good."""

    source: IdentitySource
    audience: str | None
    clock_skew_seconds: float


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Where to listen."""

    host: str
    port: int
    management_port: int | None = None
    """Of the actuator; None: it is on `port`, for operators."""


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Where the embedded runtime keeps what must last."""

    data_dir: Path
    synchronous: Literal["FULL", "NORMAL"]
    commit_delay_seconds: float

    @property
    def database_file(self) -> Path:
        """The one database file."""
        return self.data_dir / "reservation.db"


@dataclass(frozen=True, slots=True)
class GrpcTlsConfig:
    """Files of PEM, read when the server starts."""

    certificate_file: Path
    key_file: Path
    client_ca_file: Path | None
    """With it TLS is mutual."""


@dataclass(frozen=True, slots=True)
class GrpcConfig:
    """The gRPC server, at the address of HTTP."""

    port: int
    is_trusted: bool
    """Whoever reaches the port may speak for any user."""
    is_asked_for: bool
    """False: only `dev`'s default, and not worth failing for."""
    tls: GrpcTlsConfig | None = None
    """None: plain text."""


@dataclass(frozen=True, slots=True)
class CircuitBreakerConfig:
    """By Resilience4j's names; rates are percentages."""

    failure_rate_threshold: float
    slow_call_rate_threshold: float
    slow_call_duration_threshold_seconds: float
    sliding_window_type: Literal["TIME_BASED", "COUNT_BASED"]
    sliding_window_size: int
    minimum_number_of_calls: int
    wait_duration_in_open_state_seconds: float
    permitted_number_of_calls_in_half_open_state: int
    max_wait_duration_in_half_open_state_seconds: float
    automatic_transition_from_open_to_half_open_enabled: bool


@dataclass(frozen=True, slots=True)
class BulkheadConfig:
    """How many calls may be under way at once."""

    max_concurrent_calls: int
    max_wait_duration_seconds: float


@dataclass(frozen=True, slots=True)
class RetryBudgetConfig:
    """How many calls may be made a second time."""

    token_ratio: float
    min_retries_per_second: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """What stands between this process and a service that it calls."""

    circuit_breaker: CircuitBreakerConfig
    bulkhead: BulkheadConfig
    retry: RetryBudgetConfig


@dataclass(frozen=True, slots=True)
class InventoryConfig:
    """The inventory service and how it is called."""

    address: str
    timeout_seconds: float
    guard: GuardConfig
    ca_file: Path | None = None
    """None: public authorities."""


@dataclass(frozen=True, slots=True)
class TableNamesConfig:
    """The document's four tables."""

    reservations: str
    orders: str
    idempotency: str
    outbox: str


@dataclass(frozen=True, slots=True)
class AwsServiceConfig:
    """An AWS service and how it is called."""

    endpoint: str | None
    """None: the Region's own."""
    timeout_seconds: float
    guard: GuardConfig


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """The AWS runtime."""

    region: str
    tables: TableNamesConfig
    bus_name: str
    dynamodb: AwsServiceConfig
    eventbridge: AwsServiceConfig
    sqs_endpoint: str | None
    status_shards: int


@dataclass(frozen=True, slots=True)
class PaymentConfig:
    """The payment service and how it is called."""

    address: str
    timeout_seconds: float
    guard: GuardConfig
    ca_file: Path | None = None
    """None: public authorities."""


@dataclass(frozen=True, slots=True)
class OverloadConfig:
    """When a process takes on no more."""

    target_wait_seconds: float = 0.03
    """How long requests may wait in the process itself, on average."""
    min_in_flight: int = 16
    max_in_flight: int = 1000
    reserved_share: float = 0.25
    """Of the requests in flight: for confirm and cancel alone."""


@dataclass(frozen=True, slots=True)
class RateLimitConfig:
    """How often one subject may ask."""

    requests_per_second: int = 50
    """0: as often as it likes."""
    burst: int = 200


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """How processes live and end."""

    workers: int
    drain_seconds: float
    shutdown_seconds: float
    log_level: str


@dataclass(frozen=True, slots=True)
class OtlpConfig:
    """The collector."""

    endpoint: str
    """The whole URL that metrics are sent to."""
    interval_seconds: float


@dataclass(frozen=True, slots=True)
class TracesConfig:
    """Which requests are recorded, and where their spans go."""

    endpoint: str
    """The whole URL."""
    ratio: float
    """Of the traces that begin here; those that callers bring along are theirs to decide on."""


@dataclass(frozen=True, slots=True)
class TelemetryConfig:
    """Who is told what the process does, other than by being asked."""

    otlp: OtlpConfig | None = None
    """Metrics; None: no collector."""
    traces: TracesConfig | None = None
    """None: nothing is recorded."""
    emf: bool = False
    """CloudWatch, by way of stdout."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that the environment decides."""

    profiles: tuple[str, ...]
    http: HttpConfig
    process: ProcessConfig
    store: StoreConfig
    hold: HoldPolicy
    relay: RetryPolicy
    identity: IdentityConfig
    grpc: GrpcConfig | None
    """None: HTTP alone."""
    inventory: InventoryConfig | None
    """None: the built-in one, in the store's file."""
    payment: PaymentConfig | None
    """None: every payment intent is believed."""
    aws: AwsConfig | None = None
    """None: embedded."""
    telemetry: TelemetryConfig = TelemetryConfig()
    overload: OverloadConfig = OverloadConfig()
    rate_limit: RateLimitConfig = RateLimitConfig()
    notes: tuple[str, ...] = ()
    """What was taken but does nothing: to be logged once."""

    @property
    def is_prod(self) -> bool:
        """Tell whether profile `prod` is active."""
        return PROD in self.profiles
