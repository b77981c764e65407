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
class ProcessConfig:
    """How processes live and end."""

    workers: int
    drain_seconds: float
    shutdown_seconds: float
    log_level: str


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
    notes: tuple[str, ...] = ()
    """What was taken but does nothing: to be logged once."""

    @property
    def is_prod(self) -> bool:
        """Tell whether profile `prod` is active."""
        return PROD in self.profiles
