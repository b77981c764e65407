"""Keys and tokens, good ones and evil ones; signed by hand, so that any header and claim is possible."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64encode

ISSUER = "https://auth.example/realms/tacos"
AUDIENCE = "reservation-api"

ABSENT = object()
"""As a claim, header or JWK member: leave it out."""

_EC_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


@dataclass(frozen=True)
class SigningKey:
    """A private key, and the algorithm that its owner signs with."""

    kid: str
    algorithm: str
    private_key: Key

    def public_jwk(self, **changes: Any) -> dict[str, Any]:
        """Return the JWK as an issuer publishes it, with members changed or ABSENT."""
        members = self.private_key.as_dict(private=False, kid=self.kid, use="sig", alg=self.algorithm)
        return _changed(members, changes)

    def public_pem(self) -> bytes:
        """Return the public key as anybody can have it."""
        assert isinstance(self.private_key, RSAKey | ECKey | OKPKey)
        return self.private_key.as_pem(private=False)

    def sign(self, signing_input: bytes, algorithm: str | None = None) -> bytes:
        """Sign by the key's own algorithm, or another that suits its type."""
        return JWSRegistry.algorithms[algorithm or self.algorithm].sign(signing_input, self.private_key)


def make_key(algorithm: str = "ES256", kid: str = "k1") -> SigningKey:
    """Return a key; for the same arguments the same one, since RSA keys take long to make."""
    return _make_key(algorithm, kid)


@cache
def _make_key(algorithm: str, kid: str) -> SigningKey:
    private_key: Key
    if algorithm in _EC_CURVES:
        private_key = ECKey.generate_key(_EC_CURVES[algorithm])
    elif algorithm == "EdDSA":
        private_key = OKPKey.generate_key("Ed25519")
    else:
        private_key = RSAKey.generate_key(2048)
    return SigningKey(kid, algorithm, private_key)


def jwks(*keys: SigningKey | Mapping[str, Any]) -> str:
    """Return the key set that publishes these keys, or these very JWKs."""
    members = [key.public_jwk() if isinstance(key, SigningKey) else dict(key) for key in keys]
    return json.dumps({"keys": members})


def make_claims(now: datetime, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good token of five minutes, with some changed or ABSENT."""
    seconds = int(now.timestamp())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user-1",
        "iat": seconds,
        "nbf": seconds,
        "exp": seconds + 300,
        "scope": "reservation:admin",
    }
    return _changed(claims, changes)


def mint(key: SigningKey, claims: Mapping[str, Any] | bytes, **headers: Any) -> str:
    """Return a token signed by the key, whatever its headers pretend; `kid=ABSENT` leaves a header out."""
    header = _changed({"alg": key.algorithm, "kid": key.kid, "typ": "JWT"}, headers)
    signing_input = _signing_input(header, claims)
    return _token(signing_input, key.sign(signing_input))


def mint_by(key: SigningKey, algorithm: str, claims: Mapping[str, Any], **headers: Any) -> str:
    """Return a token signed by another algorithm that suits the key's type, and saying so."""
    header = _changed({"alg": algorithm, "kid": key.kid}, headers)
    signing_input = _signing_input(header, claims)
    return _token(signing_input, key.sign(signing_input, algorithm))


def mint_unsigned(claims: Mapping[str, Any], algorithm: str = "none", **headers: Any) -> str:
    """Return a token that proves itself by saying that it needs no proof."""
    return _token(_signing_input({"alg": algorithm, **headers}, claims), b"")


def mint_hmac(secret: bytes, claims: Mapping[str, Any], algorithm: str = "HS256", **headers: Any) -> str:
    """Return a token signed by a secret, such as a public key taken for one."""
    signing_input = _signing_input({"alg": algorithm, **headers}, claims)
    digest = hmac.new(secret, signing_input, getattr(hashlib, f"sha{algorithm[2:]}")).digest()
    return _token(signing_input, digest)


def _changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **changes}.items() if value is not ABSENT}


def _signing_input(header: Mapping[str, Any], claims: Mapping[str, Any] | bytes) -> bytes:
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return urlsafe_b64encode(json.dumps(header).encode()) + b"." + urlsafe_b64encode(payload)


def _token(signing_input: bytes, signature: bytes) -> str:
    return (signing_input + b"." + urlsafe_b64encode(signature)).decode()
