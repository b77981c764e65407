"""A JSON Web Key Set (RFC 7517), cut down to the public keys that may verify a token."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

MAX_JWKS_BYTES = 256 * 1024
"""A key takes about 1 KiB with its certificate chain; whoever sends more sends no key set."""

MAX_KEYS = 100
"""An issuer rotating daily with a month's overlap publishes 30; reading a key costs some 50 µs."""

MIN_RSA_BITS = 2048
"""RFC 7518 section 3.3."""

_SUITABLE: Mapping[tuple[str, str | None], frozenset[str]] = MappingProxyType(
    {
        ("RSA", None): frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        ("EC", "P-256"): frozenset({"ES256"}),
        ("EC", "P-384"): frozenset({"ES384"}),
        ("EC", "P-521"): frozenset({"ES512"}),
        ("OKP", "Ed25519"): frozenset({"EdDSA"}),
        ("OKP", "Ed448"): frozenset({"EdDSA"}),
    }
)
"""What each kind of key may be used for. `oct` is absent: a shared secret proves nothing about the issuer."""

ALLOWED_ALGORITHMS = frozenset[str]().union(*_SUITABLE.values())
"""Asymmetric ones only (design section 5); `none` and HS* are in no row above."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key and the algorithms that its type, curve, `alg`, `use` and `key_ops` leave it."""

    kid: str
    algorithms: frozenset[str]
    public_key: Key

    def verify(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Tell whether the signature is this key's; raises KeyError for an algorithm not in `algorithms`."""
        if algorithm not in self.algorithms:
            raise KeyError(algorithm)
        return JWSRegistry.algorithms[algorithm].verify(message, signature, self.public_key)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The usable keys of a key set by `kid`, and a sentence on each key that is not usable."""

    keys: Mapping[str, VerificationKey]
    faults: tuple[str, ...] = ()

    def find(self, kid: str | None) -> VerificationKey | None:
        """Return the key of that id; a token without one can only mean the sole key."""
        if kid is not None:
            return self.keys.get(kid)
        return next(iter(self.keys.values())) if len(self.keys) == 1 else None


NO_KEYS = KeyRing(MappingProxyType({}))


class _UnusableKeyError(Exception):
    """One key of a set can not verify tokens; the others may."""


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[msgspec.Raw]


class _Jwk(msgspec.Struct, frozen=True):
    """The members that are read. Private ones have no place here, so they are dropped unread."""

    kty: str
    kid: str | None = None
    use: str | None = None
    alg: str | None = None
    key_ops: list[str] | None = None
    crv: str | None = None
    n: str | None = None
    e: str | None = None
    x: str | None = None
    y: str | None = None


_key_set_decoder = msgspec.json.Decoder(_KeySet)
_jwk_decoder = msgspec.json.Decoder(_Jwk)


def parse_jwks(text: str | bytes) -> KeyRing:
    """Keep the usable public keys of a JWKS; of two with one `kid` the first.

    Raises ValueError when the text is no key set; a set without a usable key is an empty ring.
    """
    keys: dict[str, VerificationKey] = {}
    faults: list[str] = []
    for position, raw in enumerate(_split_keys(text)):
        try:
            key = _read_key(raw)
        except _UnusableKeyError as fault:
            faults.append(f"key {position} is not used: {fault}")
        else:
            if keys.setdefault(key.kid, key) is not key:
                faults.append(f"key {position} is not used: an earlier key has its kid")
    return KeyRing(MappingProxyType(keys), tuple(faults))


def _split_keys(text: str | bytes) -> list[msgspec.Raw]:
    if len(text) > MAX_JWKS_BYTES:
        raise ValueError(f"the key set is longer than {MAX_JWKS_BYTES} bytes")
    try:
        keys = _key_set_decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise ValueError('the key set is no JSON object with a list "keys"') from error
    if len(keys.keys) > MAX_KEYS:
        raise ValueError(f"the key set has more than {MAX_KEYS} keys")
    return keys.keys


def _read_key(raw: msgspec.Raw) -> VerificationKey:
    try:
        jwk = _jwk_decoder.decode(raw)
    except (ValueError, RecursionError) as error:
        raise _UnusableKeyError("a member is missing or of the wrong type") from error
    algorithms = _algorithms_of(jwk)
    public_key = _import(jwk)
    return VerificationKey(jwk.kid or public_key.thumbprint(), algorithms, public_key)


def _algorithms_of(jwk: _Jwk) -> frozenset[str]:
    """Return what the key may be used for (RFC 7517 sections 4.2 to 4.4)."""
    suitable = _SUITABLE.get((jwk.kty, jwk.crv))
    if suitable is None:
        raise _UnusableKeyError("its type or curve is not for asymmetric signatures")
    if jwk.use not in {None, "sig"}:
        raise _UnusableKeyError('its "use" is not "sig"')
    if jwk.key_ops is not None and "verify" not in jwk.key_ops:
        raise _UnusableKeyError('its "key_ops" lack "verify"')
    if jwk.alg is None:
        return suitable
    if jwk.alg not in suitable:
        raise _UnusableKeyError('its "alg" does not suit its type')
    return frozenset({jwk.alg})


def _import(jwk: _Jwk) -> Key:
    members = {name: getattr(jwk, name) for name in ("kty", "crv", "n", "e", "x", "y")}
    try:
        if jwk.kty == "RSA":
            _check_modulus(jwk.n or "")
        return import_key({name: value for name, value in members.items() if value is not None})
    except (JoseError, ValueError, UnsupportedAlgorithm) as error:
        raise _UnusableKeyError("its numbers are no public key") from error


def _check_modulus(encoded: str) -> None:
    bits = int.from_bytes(urlsafe_b64decode(encoded.encode()), "big").bit_length()
    if bits < MIN_RSA_BITS:
        raise _UnusableKeyError(f"an RSA key of {bits} bits is too weak, {MIN_RSA_BITS} are needed")
