"""TLS: the service proves who it is, by TLS 1.2 or newer, or nothing is sent."""

import asyncio
import ssl
import warnings
from pathlib import Path

import pytest
from tests.support.aws_service import HOST, Parts, Peer, Service, answering, calling, serving, until
from tests.support.certificates import Authority

from reservation_api.adapters.aws_wire.client import AwsClient
from reservation_api.adapters.aws_wire.errors import AwsNotSentError
from reservation_api.adapters.aws_wire.pool import tls_context

ANY_CIPHER = "ALL:@SECLEVEL=0"
"""OpenSSL has no TLS 1.1 at its usual level of security."""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("ours")


def shown(authority: Authority, folder: Path, host: str = HOST) -> ssl.SSLContext:
    """Return what a server shows that has a certificate for this host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("service", host).write(folder, "service"))
    return context


def trusting(authority: Authority, folder: Path) -> Parts:
    """Return what a client is made of that trusts this authority alone."""
    (folder / "authority.pem").write_bytes(authority.certificate)
    return Parts(tls=tls_context(str(folder / "authority.pem")))


async def get(client: AwsClient) -> object:
    return await client.call("GetItem", {}, repeatable=False)


async def assert_nothing_is_sent(service: Service, parts: Parts, why: str) -> None:
    async with calling(service, parts, max_attempts=1) as client:
        with pytest.raises(AwsNotSentError, match=why):
            await get(client)
        assert client.metrics().connections_open == 0
        await until(lambda: service.open == 0)
    assert service.requests == []


async def test_a_service_that_proves_who_it_is_is_called(authority: Authority, tmp_path: Path) -> None:
    tls = shown(authority, tmp_path)
    async with (
        serving(answering({"ok": 1}), tls) as service,
        calling(service, trusting(authority, tmp_path)) as client,
    ):
        assert await asyncio.gather(*(get(client) for _ in range(20))) == [{"ok": 1}] * 20
        assert await get(client) == {"ok": 1}
    assert service.connections <= 20


async def test_a_service_of_another_authority_is_not_called(authority: Authority, tmp_path: Path) -> None:
    """Another of the same name: nothing but its signature gives it away."""
    async with serving(answering({}), shown(Authority("ours"), tmp_path)) as service:
        await assert_nothing_is_sent(service, trusting(authority, tmp_path), "CERTIFICATE_VERIFY_FAILED")


async def test_a_service_of_another_name_is_not_called(authority: Authority, tmp_path: Path) -> None:
    async with serving(answering({}), shown(authority, tmp_path, "dynamodb.example")) as service:
        await assert_nothing_is_sent(service, trusting(authority, tmp_path), "IP address mismatch")


async def test_the_machines_authorities_are_trusted_unless_others_are_given(
    authority: Authority, tmp_path: Path
) -> None:
    async with serving(answering({}), shown(authority, tmp_path)) as service:
        await assert_nothing_is_sent(service, Parts(), "CERTIFICATE_VERIFY_FAILED")


async def speak_plainly(peer: Peer, service: Service) -> None:
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await peer.gone()


async def say_nothing(peer: Peer, service: Service) -> None:
    await peer.gone()


async def test_a_service_that_speaks_no_tls_is_not_called(authority: Authority, tmp_path: Path) -> None:
    async with serving(speak_plainly) as service:
        service.is_tls = True
        await assert_nothing_is_sent(service, trusting(authority, tmp_path), "not connected")


async def test_a_service_that_never_ends_its_handshake_is_not_waited_for(
    authority: Authority, tmp_path: Path
) -> None:
    parts = trusting(authority, tmp_path)
    async with serving(say_nothing) as service:
        service.is_tls = True
        async with calling(service, parts, connect_seconds=0.05, max_attempts=2) as client:
            with pytest.raises(AwsNotSentError, match=r"not connected within 0\.05 s"):
                await get(client)
            assert client.metrics().connections_open == 0
            await until(lambda: service.open == 0)
    assert service.connections == 2


@pytest.mark.parametrize(
    ("version", "is_called"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
    ids=lambda value: getattr(value, "name", None),
)
async def test_tls_older_than_1_2_is_refused(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion, *, is_called: bool
) -> None:
    tls = shown(authority, tmp_path)
    only(tls, version)
    async with serving(answering({"ok": 1}), tls) as service:
        parts = trusting(authority, tmp_path)
        if is_called:
            async with calling(service, parts) as client:
                assert await get(client) == {"ok": 1}
            return
        await assert_nothing_is_sent(service, parts, "not connected")
        # It is the version that was refused: without our lower bound it is spoken.
        willing = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
        only(willing, version)
        async with calling(service, Parts(tls=willing)) as client:
            assert await get(client) == {"ok": 1}


def only(context: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        context.minimum_version = context.maximum_version = version
    context.set_ciphers(ANY_CIPHER)
