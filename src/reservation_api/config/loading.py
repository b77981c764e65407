"""From the environment to a Config, or to all that is wrong with it."""

import difflib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from reservation_api.application.relay import RetryPolicy
from reservation_api.config.aws import aws_faults, aws_of
from reservation_api.config.kinds import Anything, is_loopback, split_url, without_password
from reservation_api.config.overload import overload_faults, overload_of, rate_limit_of
from reservation_api.config.peers import grpc_of, inventory_of, payment_of, peer_faults, peer_notes
from reservation_api.config.setting import Setting
from reservation_api.config.settings import DEV_DEFAULTS, SETTINGS
from reservation_api.config.telemetry import telemetry_faults, telemetry_notes, telemetry_of
from reservation_api.config.tree import (
    PROD,
    Config,
    ConfigError,
    EmbeddedKeys,
    GivenKeys,
    HttpConfig,
    IdentityConfig,
    IdentitySource,
    KeysInFile,
    ProcessConfig,
    PublishedKeys,
    Secret,
    StoreConfig,
)
from reservation_api.config.values import Values
from reservation_api.domain.reservation import HoldPolicy

NO_DEFAULTS: Mapping[str, str] = {}
ISSUER_KEY_FILE = "issuer-key.pem"
_OURS = "APP_"
_IDENTITY = "JWT_"
_MAX_SHOWN_CHARACTERS = 60


def load_environment(*, dev: bool = False) -> Config:
    """Load this process's environment; raises ConfigError."""
    return load(os.environ, DEV_DEFAULTS if dev else NO_DEFAULTS)


def load(environ: Mapping[str, str], defaults: Mapping[str, str] = NO_DEFAULTS) -> Config:
    """Build the one tree; raises ConfigError with every fault. `defaults` go before the table's own."""
    faults = list(_unknown_names(environ))
    values = _read_values(environ, defaults, faults)
    faults += _identity_faults(values)
    faults += _cross_faults(values)
    faults += peer_faults(values)
    faults += aws_faults(values)
    faults += telemetry_faults(values)
    faults += overload_faults(values)
    if faults:
        raise ConfigError(faults)
    return _tree(values)


def _read_values(environ: Mapping[str, str], defaults: Mapping[str, str], faults: list[str]) -> Values:
    by_name: dict[str, Any] = {}
    for setting in SETTINGS.values():
        text = environ.get(setting.name, defaults.get(setting.name, setting.default))
        if text is None:
            continue
        try:
            by_name[setting.name] = _parse(setting, text)
        except ValueError as error:
            faults.append(f"{setting.name} {error}{_shown(setting, text)}")
    return Values(by_name, frozenset(SETTINGS.keys() & environ.keys()))


def _parse(setting: Setting, text: str) -> Any:
    if not text.strip() and not isinstance(setting.kind, Anything):
        raise ValueError("is set but empty: give it a value or unset it")
    return setting.kind.parse(text)


def _shown(setting: Setting, text: str) -> str:
    """Quote a faulty value, unless it is secret or empty."""
    if setting.secret or not text.strip():
        return ""
    text = without_password(text)
    shown = text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS]}…"
    return f", not {shown!r}"


def _unknown_names(environ: Mapping[str, str]) -> Iterator[str]:
    """Find names that are ours but mean nothing; of foreign JWT_ names, those that look like a slip."""
    for name in sorted(environ.keys() - SETTINGS.keys()):
        if not name.startswith((_OURS, _IDENTITY)):
            continue
        close = difflib.get_close_matches(name, SETTINGS, n=1, cutoff=0.8)
        hint = f": did you mean {close[0]}?" if close else ""
        if close or name.startswith(_OURS):
            yield f"{name} is no setting{hint}"


def _identity_faults(values: Values) -> Iterator[str]:
    keys = [name for name in ("JWT_JWKS", "JWT_JWKS_FILE") if values.has(name)]
    if len(keys) > 1:
        yield "JWT_JWKS and JWT_JWKS_FILE are both set: the keys come from one place"
    if keys and not values.has("JWT_ISSUER_URI"):
        yield f"{keys[0]} is set without JWT_ISSUER_URI, which tokens must name as their issuer"
    issuer = values.get("JWT_ISSUER_URI")
    if issuer is not None and not keys and not _may_be_asked(issuer):
        yield (
            "JWT_ISSUER_URI must be an https URL (http only on this machine) to ask it for keys;"
            " else give them in JWT_JWKS or JWT_JWKS_FILE"
        )


def _identity_notes(values: Values) -> Iterator[str]:
    """Say whose tokens are good, where that may be more than was meant."""
    if PROD not in values.get("SPRING_PROFILES_ACTIVE"):
        return
    if not values.has("JWT_ISSUER_URI"):
        yield f"JWT_ISSUER_URI is not set: whoever reads {ISSUER_KEY_FILE} can make tokens for anybody"
    elif not values.has("APP_JWT_AUDIENCE"):
        yield "APP_JWT_AUDIENCE is not set: every token of the issuer is good, whatever it was made for"


def _may_be_asked(issuer: str) -> bool:
    parts = split_url(issuer)
    if parts is None or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def _cross_faults(values: Values) -> Iterator[str]:
    hold, longest = values.get("APP_HOLD_SECONDS"), values.get("APP_HOLD_MAX_SECONDS")
    if hold is not None and longest is not None and longest < hold:
        yield f"APP_HOLD_MAX_SECONDS ({longest}) must not be less than APP_HOLD_SECONDS ({hold})"
    drain, shutdown = values.get("APP_DRAIN_SECONDS"), values.get("APP_SHUTDOWN_SECONDS")
    if drain is not None and shutdown is not None and shutdown < drain + 2:
        yield (
            f"APP_SHUTDOWN_SECONDS ({shutdown:g}) must leave 2 seconds or more"
            f" after APP_DRAIN_SECONDS ({drain:g})"
        )
    management = values.get("APP_MANAGEMENT_PORT")
    for other in ("APP_HTTP_PORT", "GRPC_PORT"):
        if management is not None and management == values.get(other):
            yield f"APP_MANAGEMENT_PORT and {other} are both {management}: each needs a port of its own"
    is_prod = PROD in (values.get("SPRING_PROFILES_ACTIVE") or ())
    if is_prod and not values.has("APP_PAYMENT_VERIFIER") and not values.has("PAYMENT_GRPC_ADDRESS"):
        yield (
            "profile prod does not believe payment intents by default: PAYMENT_GRPC_ADDRESS names who knows,"
            " APP_PAYMENT_VERIFIER=trusting asks for belief by name"
        )
    if values.has("APP_PAYMENT_VERIFIER") and values.has("PAYMENT_GRPC_ADDRESS"):
        yield "APP_PAYMENT_VERIFIER and PAYMENT_GRPC_ADDRESS are both set: payments have one verifier"


def _tree(values: Values) -> Config:
    return Config(
        profiles=values.get("SPRING_PROFILES_ACTIVE"),
        http=HttpConfig(
            values.get("APP_HTTP_HOST"), values.get("APP_HTTP_PORT"), values.get("APP_MANAGEMENT_PORT")
        ),
        process=ProcessConfig(
            workers=values.get("APP_WORKERS"),
            drain_seconds=values.get("APP_DRAIN_SECONDS"),
            shutdown_seconds=values.get("APP_SHUTDOWN_SECONDS"),
            log_level=values.get("APP_LOG_LEVEL"),
        ),
        store=StoreConfig(
            data_dir=values.get("APP_DATA_DIR"),
            synchronous=values.get("APP_SQLITE_SYNCHRONOUS"),
            commit_delay_seconds=values.get("APP_SQLITE_COMMIT_DELAY_MILLISECONDS") / 1000,
        ),
        hold=HoldPolicy(
            hold_seconds=values.get("APP_HOLD_SECONDS"),
            grace_seconds=values.get("APP_HOLD_GRACE_SECONDS"),
            max_hold_seconds=values.get("APP_HOLD_MAX_SECONDS"),
            max_extensions=values.get("APP_HOLD_MAX_EXTENSIONS"),
        ),
        relay=RetryPolicy(
            max_attempts=values.get("APP_RELAY_MAX_ATTEMPTS"),
            backoff_seconds=values.get("APP_RELAY_BACKOFF_SECONDS"),
        ),
        identity=IdentityConfig(
            source=_identity_source(values),
            audience=values.get("APP_JWT_AUDIENCE"),
            clock_skew_seconds=values.get("APP_JWT_CLOCK_SKEW_SECONDS"),
        ),
        grpc=grpc_of(values),
        inventory=inventory_of(values),
        payment=payment_of(values),
        aws=aws_of(values),
        telemetry=telemetry_of(values),
        overload=overload_of(values),
        rate_limit=rate_limit_of(values),
        notes=tuple(_notes(values)),
    )


def _identity_source(values: Values) -> IdentitySource:
    issuer = values.get("JWT_ISSUER_URI")
    if issuer is None:
        return EmbeddedKeys(values.get("APP_DATA_DIR") / ISSUER_KEY_FILE)
    if values.has("JWT_JWKS"):
        return GivenKeys(issuer, Secret(values.get("JWT_JWKS")))
    if values.has("JWT_JWKS_FILE"):
        return KeysInFile(issuer, values.get("JWT_JWKS_FILE"))
    return PublishedKeys(issuer)


def _notes(values: Values) -> Iterator[str]:
    if values.has("JVM_OPTS"):
        yield "JVM_OPTS is ignored: there is no JVM"
    yield from _identity_notes(values)
    yield from peer_notes(values)
    yield from telemetry_notes(values)
