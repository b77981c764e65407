"""Whose tokens are good, and where the keys to check them come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from reservation_api.adapters.jwt.claims import TokenRules
from reservation_api.adapters.jwt.embedded_issuer import (
    EMBEDDED_ISSUER,
    EmbeddedIssuer,
    open_embedded_issuer,
)
from reservation_api.adapters.jwt.key_sources import FileKeys, KeySource, StaticKeys
from reservation_api.adapters.jwt.verifier import JwtVerifier
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.bootstrap.runtime import Close
from reservation_api.bootstrap.told import told
from reservation_api.config.tree import (
    Config,
    ConfigError,
    EmbeddedKeys,
    GivenKeys,
    IdentityConfig,
    KeysInFile,
    PublishedKeys,
)
from reservation_api.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class Identity:
    """The verifier of tokens, and the embedded issuer if that is whose they are."""

    tokens: JwtVerifier
    issuer: EmbeddedIssuer | None
    closers: Sequence[Close]


@dataclass(frozen=True, slots=True)
class _Keys:
    source: KeySource
    issuer_name: str
    issuer: EmbeddedIssuer | None = None
    closers: Sequence[Close] = ()


def open_identity(config: IdentityConfig, clock: Clock) -> Identity:
    """Raise ConfigError if the keys can not be had as configured."""
    keys = told(lambda: _open_keys(config, clock))
    rules = TokenRules(keys.issuer_name, config.audience, config.clock_skew_seconds)
    return Identity(JwtVerifier(keys.source, rules, clock), keys.issuer, keys.closers)


def open_issuer(config: Config) -> EmbeddedIssuer:
    """Return the embedded issuer; raises ConfigError if tokens come from elsewhere or its key is no good."""
    issuer = told(lambda: _open_keys(config.identity, SystemClock())).issuer
    if issuer is None:
        raise ConfigError(["JWT_ISSUER_URI is set: tokens come from that issuer, not from this service"])
    return issuer


def _open_keys(config: IdentityConfig, clock: Clock) -> _Keys:
    match config.source:
        case EmbeddedKeys(key_file):
            issuer = open_embedded_issuer(key_file)
            return _Keys(issuer.keys(), EMBEDDED_ISSUER, issuer)
        case PublishedKeys(name):
            # By an HTTP client, which those who are given keys start without.
            from reservation_api.bootstrap.published_keys import open_published_keys  # noqa: PLC0415

            keys = open_published_keys(name, clock)
            return _Keys(keys, name, closers=(keys.close,))
        case GivenKeys(name, jwks):
            return _Keys(StaticKeys(jwks.value), name)
        case KeysInFile(name, path):
            return _Keys(FileKeys(path), name)
        case _:
            assert_never(config.source)
