import pytest
from tests.support.api import NamedTokens

from reservation_api.domain.errors import IdentityUnavailableError
from reservation_api.domain.values import UserId
from reservation_api.entrypoints.grpc.reservation_authentication import (
    CLIENT_CERTIFICATE,
    Doorkeeper,
    Identity,
    MetadataHeaders,
    Trust,
)
from reservation_api.entrypoints.http.refusals import ForbiddenError, UnauthenticatedError
from reservation_api.ports.identity import Caller

NOBODY, EVERYBODY, CERTIFIED = Trust(), Trust(everybody=True), Trust(certificates=True)
WITH_CERTIFICATE = {CLIENT_CERTIFICATE: [b"-----BEGIN"], "transport_security_type": [b"ssl"]}
TLS_ONLY = {"transport_security_type": [b"ssl"]}
USER = (("authorization", "Bearer user-1"),)


class IssuerIsOut:
    async def verify(self, _token: str) -> Caller:
        raise IdentityUnavailableError("no keys")


async def identify(
    trust: Trust, metadata: tuple[tuple[str, str | bytes], ...], connection: dict[str, list[bytes]]
) -> Identity:
    return await Doorkeeper(NamedTokens(), trust).identify(MetadataHeaders(metadata), connection)


@pytest.mark.parametrize(
    ("trust", "connection", "is_gateway"),
    [
        (NOBODY, {}, False),
        (NOBODY, WITH_CERTIFICATE, False),
        (CERTIFIED, {}, False),
        (CERTIFIED, TLS_ONLY, False),
        (CERTIFIED, {CLIENT_CERTIFICATE: []}, False),
        (CERTIFIED, WITH_CERTIFICATE, True),
        (EVERYBODY, {}, True),
        (EVERYBODY, TLS_ONLY, True),
    ],
)
async def test_a_gateway_needs_no_token_and_nobody_else_gets_in_without(
    trust: Trust, connection: dict[str, list[bytes]], *, is_gateway: bool
) -> None:
    if is_gateway:
        assert await identify(trust, (), connection) == Identity(is_gateway=True, token_subject=None)
    else:
        with pytest.raises(UnauthenticatedError):
            await identify(trust, (), connection)
    identity = await identify(trust, USER, connection)
    assert (identity.token_subject, identity.is_gateway) == ("user-1", is_gateway)


@pytest.mark.parametrize("trust", [NOBODY, EVERYBODY])
@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Bearer nobody", "Basic dXNlcg==", "user-1"])
async def test_a_bad_token_is_refused_even_where_none_is_needed(trust: Trust, value: str) -> None:
    with pytest.raises(UnauthenticatedError):
        await identify(trust, (("authorization", value),), {})


@pytest.mark.parametrize("trust", [NOBODY, EVERYBODY])
async def test_of_two_tokens_neither_is_believed(trust: Trust) -> None:
    with pytest.raises(UnauthenticatedError):
        await identify(trust, (*USER, ("authorization", "Bearer user-2")), {})


async def test_while_the_issuer_is_out_nobody_is_let_in_by_a_token() -> None:
    with pytest.raises(IdentityUnavailableError):
        await Doorkeeper(IssuerIsOut(), EVERYBODY).identify(MetadataHeaders(USER), {})


async def test_the_token_may_be_in_any_spelling_of_the_scheme() -> None:
    assert (await identify(NOBODY, (("authorization", "bEARER user-2"),), {})).token_subject == "user-2"


def test_a_user_with_a_token_speaks_for_nobody_else() -> None:
    for is_gateway in (False, True):
        identity = Identity(is_gateway, UserId("user-1"))
        assert identity.speaks_for("") == "user-1"
        assert identity.speaks_for("user-1") == "user-1"
        with pytest.raises(ForbiddenError):
            identity.speaks_for("user-2")


def test_a_gateway_speaks_for_whom_it_names() -> None:
    gateway = Identity(is_gateway=True, token_subject=None)
    assert gateway.speaks_for("user-2") == "user-2"
    assert gateway.speaks_for("") is None


def test_metadata_are_headers() -> None:
    headers = MetadataHeaders([("a", "1"), ("b", b"\xff"), ("a", "2")])
    assert (headers.get("a"), headers.get_all("a"), headers.get("b")) == ("1", ["1", "2"], "\xff")
    assert (headers.get("c"), headers.get_all("c")) == (None, [])


async def test_a_token_that_is_no_text_is_not_passed_over() -> None:
    with pytest.raises(UnauthenticatedError):
        await identify(EVERYBODY, (("authorization", b"\xff"),), {})
