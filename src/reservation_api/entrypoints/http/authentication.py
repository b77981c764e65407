"""Who is calling, by the Authorization header (RFC 6750)."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from reservation_api.domain.errors import UnavailableError
from reservation_api.domain.values import UserId
from reservation_api.entrypoints.http.refusals import ForbiddenError, UnauthenticatedError
from reservation_api.entrypoints.http.request import Headers
from reservation_api.ports.identity import Caller, InvalidTokenError, TokenVerifier

_SCHEME = "bearer "

ANONYMOUS = Caller(UserId(""), frozenset())
"""Whoever calls a public route; no other handler ever sees it."""


@runtime_checkable
class RemembersTokens(Protocol):
    """A verifier that knows some tokens already, so that most requests wait for nothing."""

    def cached(self, token: str) -> Caller | None:
        """Return the caller if this very token was verified a moment ago."""
        ...


class Authenticator:
    """Turns request headers into a caller."""

    def __init__(self, tokens: TokenVerifier) -> None:
        self._verify = tokens.verify
        self._cached: Callable[[str], Caller | None] = (
            tokens.cached if isinstance(tokens, RemembersTokens) else _remember_nothing
        )

    async def caller_of(self, headers: Headers) -> Caller:
        """Return the caller; raises UnauthenticatedError, IdentityUnavailableError."""
        token = _bearer_token(headers)
        caller = self._cached(token)
        if caller is not None:
            return caller
        try:
            return await self._verify(token)
        except InvalidTokenError as error:
            raise UnauthenticatedError(f"the token is not valid: {error}", invalid=True) from error

    async def has_scope(self, headers: Headers, scope: str) -> bool:
        """Tell whether the caller of a public route is known and has a scope; no if nobody can tell."""
        try:
            return scope in (await self.caller_of(headers)).scopes
        except (UnauthenticatedError, UnavailableError):
            return False


def require_scope(caller: Caller, scope: str) -> None:
    """Raise ForbiddenError unless the caller has the scope."""
    if scope not in caller.scopes:
        raise ForbiddenError(f"this needs the scope {scope}", scope)


def _bearer_token(headers: Headers) -> str:
    given = headers.get_all("authorization")
    if len(given) > 1:
        # Whoever looked at this request before us may have believed the other one.
        raise UnauthenticatedError("there must be one Authorization header", invalid=False)
    if not given or given[0][:7].lower() != _SCHEME:
        raise UnauthenticatedError("a bearer token is required", invalid=False)
    return given[0][7:].strip()


def _remember_nothing(_token: str) -> Caller | None:
    return None
