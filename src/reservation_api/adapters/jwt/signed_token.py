"""The outer form of a token: three base64url segments, a header and a signature (RFC 7515)."""

from dataclasses import dataclass
from typing import Any

import msgspec
from joserfc.util import urlsafe_b64decode

from reservation_api.adapters.jwt.jwks import ALLOWED_ALGORITHMS, VerificationKey
from reservation_api.ports.identity import InvalidTokenError

MAX_TOKEN_CHARACTERS = 8 * 1024
"""What servers commonly take as one header line; bounds the work that a stranger can cause."""

_SEGMENTS = 3


class _Header(msgspec.Struct, frozen=True):
    """The members that are read. `jwk`, `jku`, `x5c` and `x5u` are not: a token can not vouch for its key."""

    alg: str = "none"
    kid: str | None = None
    crit: Any = msgspec.UNSET


_header_decoder = msgspec.json.Decoder(_Header)


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token taken apart; nothing in it is proven yet."""

    algorithm: str
    """One of ALLOWED_ALGORITHMS."""
    kid: str | None
    signing_input: bytes
    payload: bytes
    signature: bytes


def parse_token(token: str) -> SignedToken:
    """Take a compact JWS apart and judge its header, without any key; raises InvalidTokenError."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise InvalidTokenError("the token is too long")
    if not token.isascii():
        raise InvalidTokenError("the token is not ASCII")
    segments = token.encode().split(b".")
    if len(segments) != _SEGMENTS:
        raise InvalidTokenError("the token is not three segments")
    header = _read_header(_decode(segments[0]))
    return SignedToken(
        algorithm=header.alg,
        kid=header.kid,
        signing_input=b".".join(segments[:2]),
        payload=_decode(segments[1]),
        signature=_decode(segments[2]),
    )


def check_signature(token: SignedToken, key: VerificationKey) -> None:
    """Prove the token by the key; raises InvalidTokenError if the key is for another algorithm or owner."""
    if token.algorithm not in key.algorithms:
        raise InvalidTokenError("the algorithm is not the key's")
    if not key.verify(token.algorithm, token.signing_input, token.signature):
        raise InvalidTokenError("the signature is wrong")


def _decode(segment: bytes) -> bytes:
    try:
        return urlsafe_b64decode(segment)
    except ValueError as error:
        raise InvalidTokenError("a segment is not base64url") from error


def _read_header(text: bytes) -> _Header:
    try:
        header = _header_decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise InvalidTokenError("the header is malformed") from error
    if header.alg not in ALLOWED_ALGORITHMS:
        raise InvalidTokenError("the algorithm is not allowed")
    if header.crit is not msgspec.UNSET:
        raise InvalidTokenError("critical header extensions are not understood")
    return header
