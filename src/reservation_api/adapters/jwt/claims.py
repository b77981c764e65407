"""What a token says (RFC 7519 section 4.1), and what must be true of it."""

from dataclasses import dataclass

import msgspec

from reservation_api.domain.values import UserId
from reservation_api.ports.identity import Caller, InvalidTokenError

MAX_SUBJECT_CHARACTERS = 255
"""OpenID Connect Core section 2."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Whose tokens are good, and for whom; raises ValueError for rules that would check nothing."""

    issuer: str
    audience: str | None = None
    """None: any audience."""
    clock_skew_seconds: float = 5
    """How far the issuer's clock may be off, either way."""

    def __post_init__(self) -> None:
        if not self.issuer:
            raise ValueError("the issuer is empty")
        if self.audience is not None and not self.audience:
            raise ValueError("the audience is empty")
        if self.clock_skew_seconds < 0:
            raise ValueError("the clock skew is negative")


class Claims(msgspec.Struct, frozen=True):
    """The claims that are read; times are Unix seconds, `null` counts as absent."""

    iss: str | None = None
    sub: str | None = None
    aud: str | list[str] | None = None
    exp: int | float | None = None
    nbf: int | float | None = None
    iat: int | float | None = None
    scope: str | None = None
    scp: str | list[str] | None = None


_claims_decoder = msgspec.json.Decoder(Claims)


def parse_claims(payload: bytes) -> Claims:
    """Read a payload; raises InvalidTokenError if it is no object or a claim has the wrong type."""
    try:
        return _claims_decoder.decode(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidTokenError("the claims are malformed") from error


def check_issuer(claims: Claims, rules: TokenRules) -> None:
    """Compare issuer and audience to the letter (RFC 7519 sections 4.1.1 and 4.1.3).

    Raises InvalidTokenError.
    """
    if claims.iss != rules.issuer:
        raise InvalidTokenError("the issuer is another")
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud or []
    if rules.audience is not None and rules.audience not in audiences:
        raise InvalidTokenError("the token is for another audience")


def check_times(claims: Claims, rules: TokenRules, now: float) -> float:
    """Return the Unix seconds at which the token expires; raises InvalidTokenError.

    The token is good from `nbf` and `iat` less the skew, and until just before `exp` plus the skew.
    """
    if claims.exp is None:
        raise InvalidTokenError("the token has no expiry")
    if now - rules.clock_skew_seconds >= claims.exp:
        raise InvalidTokenError("the token has expired")
    if claims.nbf is not None and now + rules.clock_skew_seconds < claims.nbf:
        raise InvalidTokenError("the token is not valid yet")
    if claims.iat is not None and now + rules.clock_skew_seconds < claims.iat:
        raise InvalidTokenError("the token is from the future")
    return claims.exp


def caller_of(claims: Claims) -> Caller:
    """Return subject and scopes; raises InvalidTokenError for a subject that can not be an id."""
    subject = claims.sub or ""
    if not subject:
        raise InvalidTokenError("the token has no subject")
    if len(subject) > MAX_SUBJECT_CHARACTERS or not subject.isprintable():
        raise InvalidTokenError("the subject is too long or not printable")
    return Caller(UserId(subject), _scopes_of(claims))


def _scopes_of(claims: Claims) -> frozenset[str]:
    """Return `scope` (RFC 8693 section 4.2), or what some issuers call `scp`."""
    granted = claims.scope if claims.scope is not None else claims.scp
    if granted is None:
        return frozenset()
    return frozenset(granted.split() if isinstance(granted, str) else granted)
