"""Who is calling: a bearer token becomes a caller, or nobody gets in."""

from dataclasses import dataclass
from typing import Protocol

from reservation_api.domain.values import UserId

ADMIN_SCOPE = "reservation:admin"
OPS_SCOPE = "reservation:ops"


class InvalidTokenError(Exception):
    """The token proves nothing; the message says why, and never holds the token."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified token's subject and scopes."""

    subject: UserId
    scopes: frozenset[str]


class TokenVerifier(Protocol):
    """Checks signature, algorithm, issuer, audience and times."""

    async def verify(self, token: str) -> Caller:
        """Return the caller.

        Raises InvalidTokenError for a token that is not good, IdentityUnavailableError when the
        issuer's keys can not be had and none are known.
        """
        ...
