"""Who is calling over gRPC: a user with a token, or a trusted gateway that speaks for its users.

    authorization metadata    its token counts, also a gateway's; a bad one is refused, never passed over
    none, but trusted         the gateway says who the user is
    none, not trusted         refused

A gateway is trusted by a client certificate that the configured authority has signed, or, where only
gateways can reach the port, by configuration (off by default).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reservation_api.domain.values import UserId
from reservation_api.entrypoints.http.authentication import Authenticator
from reservation_api.entrypoints.http.refusals import ForbiddenError, UnauthenticatedError
from reservation_api.ports.identity import TokenVerifier

CLIENT_CERTIFICATE = "x509_pem_cert"
"""Where gRPC puts a client's certificate, once it is verified."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe without a token."""

    everybody: bool = False
    certificates: bool = False
    """Whoever shows a certificate: the server lets none through that it has not verified."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a caller."""

    is_gateway: bool
    """It may leave the idempotency key out, and speaks for any user unless it brings a user's token."""
    token_subject: UserId | None

    def speaks_for(self, user_id: str) -> UserId | None:
        """Return on whose behalf a request is made that names this user; None: it does not say.

        Raises ForbiddenError for another's name beside a token. That tells the caller nothing: it is
        decided by the request alone, whatever there is of that user.
        """
        if self.token_subject is None:
            return UserId(user_id) if user_id else None
        if user_id and user_id != self.token_subject:
            raise ForbiddenError("user_id is not the token's subject", scope="")
        return self.token_subject


class MetadataHeaders:
    """A call's metadata as request headers; the names come in lower case."""

    def __init__(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._pairs = tuple(metadata)

    def get(self, key: str, /) -> str | None:
        """Return the first value, or None."""
        return next(iter(self.get_all(key)), None)

    def get_all(self, key: str, /) -> list[str]:
        """Return every value of that name; bytes that are no text too: a bad token is not a missing one."""
        values = (value for name, value in self._pairs if name == key)
        return [value if isinstance(value, str) else value.decode("latin-1") for value in values]


class Doorkeeper:
    """Lets in who proves to be somebody."""

    def __init__(self, tokens: TokenVerifier, trust: Trust) -> None:
        self._authenticator = Authenticator(tokens)
        self._trust = trust

    async def identify(self, headers: MetadataHeaders, connection: Mapping[str, object]) -> Identity:
        """Return who calls, by metadata and by what is known of the connection.

        Raises UnauthenticatedError, IdentityUnavailableError.
        """
        is_gateway = self._trust.everybody or (
            self._trust.certificates and bool(connection.get(CLIENT_CERTIFICATE))
        )
        if headers.get("authorization") is not None:
            caller = await self._authenticator.caller_of(headers)
            return Identity(is_gateway, caller.subject)
        if not is_gateway:
            raise UnauthenticatedError("a bearer token is required", invalid=False)
        return Identity(is_gateway, None)
