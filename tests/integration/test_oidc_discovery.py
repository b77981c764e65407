"""Whose keys are believed: what the issuer's documents must look like, over real HTTP."""

import gzip
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.clock import FakeClock
from tests.support.issuer import FakeIssuer, SelfSigned
from tests.support.tokens import make_key

from reservation_api.adapters.jwt.claims import TokenRules
from reservation_api.adapters.jwt.issuer_documents import IssuerAddress, IssuerDocuments, IssuerFaultError
from reservation_api.adapters.jwt.issuer_keys import DiscoveredKeys
from reservation_api.adapters.jwt.jwks import MAX_JWKS_BYTES
from reservation_api.adapters.jwt.verifier import JwtVerifier
from reservation_api.domain.errors import IdentityUnavailableError

SHORT_SECONDS = 0.2


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer(make_key()) as running:
        yield running


@asynccontextmanager
async def documents_of(issuer: FakeIssuer, **changes: Any) -> AsyncIterator[IssuerDocuments]:
    tls = changes.pop("tls", None)
    documents = IssuerDocuments(IssuerAddress(changes.pop("url", issuer.url), **changes), tls)
    yield documents
    await documents.close()


async def fault(issuer: FakeIssuer, **changes: Any) -> str:
    async with documents_of(issuer, **changes) as documents:
        with pytest.raises(IssuerFaultError) as caught:
            await documents.fetch_keys()
    return str(caught.value)


async def test_the_keys_are_those_that_the_discovery_document_points_to(issuer: FakeIssuer) -> None:
    async with documents_of(issuer) as documents:
        ring = await documents.fetch_keys()

    assert list(ring.keys) == ["k1"]
    assert issuer.requests == {"/.well-known/openid-configuration": 1, "/jwks": 1}


async def test_a_token_of_the_issuer_lets_its_subject_in(issuer: FakeIssuer) -> None:
    clock = FakeClock()
    keys = DiscoveredKeys(IssuerDocuments(IssuerAddress(issuer.url)), clock)
    verifier = JwtVerifier(keys, TokenRules(issuer.url), clock)

    caller = await verifier.verify(issuer.mint(make_key(), clock.now()))

    assert caller.subject == "user-1"
    await keys.close()


async def test_an_issuer_with_a_path_is_asked_below_it(issuer: FakeIssuer) -> None:
    reason = await fault(issuer, url=issuer.url + "/realms/tacos/")

    assert reason == "it answers 404"
    assert list(issuer.requests) == ["/realms/tacos/.well-known/openid-configuration"]


@pytest.mark.parametrize("suffix", ["/", "/other", "x"])
async def test_a_discovery_document_of_another_issuer_is_refused(issuer: FakeIssuer, suffix: str) -> None:
    issuer.discovery = {"issuer": issuer.url + suffix}

    assert await fault(issuer) == "its discovery document is another issuer's"
    assert issuer.fetches == 0


@pytest.mark.parametrize("missing", ["issuer", "jwks_uri"])
async def test_a_discovery_document_without_its_members_is_refused(issuer: FakeIssuer, missing: str) -> None:
    issuer.discovery = {missing: None}

    assert (await fault(issuer)).startswith("it answers nonsense")


@pytest.mark.parametrize(
    "uri", ["", "jwks", "/jwks", "ftp://auth.example/jwks", "file:///jwks", "http://[", "http://"]
)
async def test_a_jwks_uri_that_is_no_web_address_is_refused(issuer: FakeIssuer, uri: str) -> None:
    issuer.discovery = {"jwks_uri": uri}

    assert await fault(issuer) == "its jwks_uri is no https URL"


async def test_a_jwks_uri_that_can_not_be_asked_is_a_fault(issuer: FakeIssuer) -> None:
    issuer.discovery = {"jwks_uri": "https://auth.example/\x01"}

    assert await fault(issuer) == "it can not be reached (InvalidURL)"


@pytest.mark.parametrize("text", [b"", b"<html>", b"[]", b"\xff", b'{"x":' + b"[" * 9000])
async def test_a_discovery_document_that_is_no_object_is_refused(issuer: FakeIssuer, text: bytes) -> None:
    issuer.discovery = text

    assert (await fault(issuer)).startswith("it answers nonsense")


async def test_a_jwks_uri_in_plain_http_is_refused_of_an_https_issuer(tmp_path: Path) -> None:
    certificate = SelfSigned(tmp_path)
    with FakeIssuer(make_key()) as plain, FakeIssuer(make_key(), certificate=certificate) as issuer:
        issuer.discovery = {"jwks_uri": plain.url + "/jwks"}

        assert await fault(issuer, tls=certificate.client_context()) == "its jwks_uri is no https URL"
        assert plain.fetches == 0


async def test_a_jwks_uri_in_plain_http_is_taken_when_asked_for_by_name(tmp_path: Path) -> None:
    certificate = SelfSigned(tmp_path)
    with FakeIssuer(make_key()) as plain, FakeIssuer(certificate=certificate) as issuer:
        issuer.discovery = {"jwks_uri": plain.url + "/jwks"}
        tls = certificate.client_context()

        async with documents_of(issuer, tls=tls, allow_plain_http=True) as documents:
            assert list((await documents.fetch_keys()).keys) == ["k1"]


async def test_an_issuer_with_a_trusted_certificate_is_believed(tmp_path: Path) -> None:
    certificate = SelfSigned(tmp_path)
    with FakeIssuer(make_key(), certificate=certificate) as issuer:
        async with documents_of(issuer, tls=certificate.client_context()) as documents:
            assert list((await documents.fetch_keys()).keys) == ["k1"]


async def test_an_issuer_with_an_untrusted_certificate_is_not_believed(tmp_path: Path) -> None:
    with FakeIssuer(make_key(), certificate=SelfSigned(tmp_path)) as issuer:
        assert await fault(issuer) == "it can not be reached (ConnectError)"
        assert not issuer.requests


@pytest.mark.parametrize(
    "url",
    [
        "http://auth.example",
        "http://10.0.0.1",
        "http://127.0.0.1.evil.example",
        "auth.example",
        "",
        "https://",
    ],
)
def test_an_issuer_that_is_no_https_url_is_refused_at_start(url: str) -> None:
    with pytest.raises(ValueError, match="the issuer is no https URL"):
        IssuerAddress(url)


@pytest.mark.parametrize(
    "url", ["https://auth.example/realms/a", "http://localhost:8080", "http://127.0.0.2", "http://[::1]:8080"]
)
def test_an_issuer_by_https_or_on_this_machine_is_taken(url: str) -> None:
    assert IssuerAddress(url).issuer == url


def test_an_issuer_in_plain_http_is_taken_when_asked_for_by_name() -> None:
    assert IssuerAddress("http://keycloak:8080", allow_plain_http=True).is_safe("http://keycloak:8080/jwks")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(issuer: FakeIssuer, status: int) -> None:
    with FakeIssuer(make_key(kid="evil")) as evil:
        issuer.status, issuer.headers = status, {"Location": evil.url + "/jwks"}

        assert await fault(issuer) == f"it answers {status}"
        assert not evil.requests


@pytest.mark.parametrize("status", [204, 400, 401, 404, 429, 500, 503])
async def test_any_other_status_than_200_is_a_fault(issuer: FakeIssuer, status: int) -> None:
    issuer.status = status

    assert await fault(issuer) == f"it answers {status}"


@pytest.mark.parametrize("text", [b"", b"<html>", b'{"keys": 1}', b"\xff", b"[" * 9000])
async def test_an_answer_that_is_no_key_set_is_a_fault(issuer: FakeIssuer, text: bytes) -> None:
    issuer.key_set = text

    assert (await fault(issuer)).startswith("it answers nonsense")


async def test_an_answer_of_256_kib_is_read_and_a_longer_one_is_not(issuer: FakeIssuer) -> None:
    issuer.key_set = issuer.key_set.rjust(MAX_JWKS_BYTES)
    async with documents_of(issuer) as documents:
        assert (await documents.fetch_keys()).keys

    issuer.key_set += b" "
    assert await fault(issuer) == "its answer is too long"


async def test_a_small_answer_that_unpacks_to_a_large_one_is_not_unpacked(issuer: FakeIssuer) -> None:
    issuer.key_set = gzip.compress(b" " * 10_000_000 + issuer.key_set)
    issuer.headers = {"Content-Encoding": "gzip"}

    assert (await fault(issuer)).startswith("it answers nonsense")


async def test_an_issuer_that_hangs_is_given_up_in_time(issuer: FakeIssuer) -> None:
    issuer.hang()

    assert await fault(issuer, total_timeout_seconds=SHORT_SECONDS) == "it takes too long"


async def test_an_issuer_that_drips_is_given_up_in_time(issuer: FakeIssuer) -> None:
    issuer.drip_seconds = SHORT_SECONDS / 4

    assert await fault(issuer, total_timeout_seconds=SHORT_SECONDS) == "it takes too long"


async def test_an_issuer_that_is_not_there_is_a_fault(issuer: FakeIssuer) -> None:
    with FakeIssuer() as gone:
        pass

    assert await fault(gone) == "it can not be reached (ConnectError)"


async def test_a_proxy_in_the_environment_is_not_asked(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeIssuer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with documents_of(issuer) as documents:
            assert (await documents.fetch_keys()).keys
        assert not proxy.requests


async def test_without_keys_nobody_can_be_let_in(issuer: FakeIssuer) -> None:
    clock = FakeClock()
    issuer.status = 503
    keys = DiscoveredKeys(IssuerDocuments(IssuerAddress(issuer.url)), clock)
    verifier = JwtVerifier(keys, TokenRules(issuer.url), clock)

    with pytest.raises(IdentityUnavailableError, match="keys can not be had"):
        await verifier.verify(issuer.mint(make_key(), clock.now()))
    await keys.close()
