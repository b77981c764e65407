from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
from tests.support.certificates import HOST, Authority, Pair
from tests.support.grpc_reservations import Client, named, served

from reservation_api.entrypoints.grpc.reservation_server import ReservationServerSettings, ServerTls


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("ours")


@pytest.fixture(scope="module")
def plain_tls(authority: Authority) -> ServerTls:
    pair = authority.issue("server")
    return ServerTls(pair.certificate, pair.key)


@pytest.fixture(scope="module")
def mutual_tls(authority: Authority, plain_tls: ServerTls) -> ServerTls:
    return replace(plain_tls, client_authority=authority.certificate)


@asynccontextmanager
async def calling(
    folder: Path, tls: ServerTls, root: bytes, shown: Pair | None, token: str | None = None
) -> AsyncIterator[Client]:
    """Serve by TLS, and connect with this certificate and token."""
    async with served(folder, ReservationServerSettings(port=0, tls=tls)) as running:
        pair = (None, None) if shown is None else (shown.key, shown.certificate)
        credentials = grpc.ssl_channel_credentials(root, *pair)
        async with grpc.aio.secure_channel(f"{HOST}:{running.port}", credentials) as channel:
            yield Client(channel, token)


async def test_a_gateway_with_a_certificate_speaks_for_its_users(
    tmp_path: Path, authority: Authority, mutual_tls: ServerTls
) -> None:
    gateway = authority.issue("gateway")
    async with calling(tmp_path, mutual_tls, authority.certificate, gateway) as client:
        held = await client.create(key="", user_id="kim")
        assert not held.HasField("error")
        shown = await client.ask("GetReservation", reservation_id=held.reservation_id)
        assert shown.reservation.user_id == "kim"


async def test_a_token_counts_beside_a_certificate(
    tmp_path: Path, authority: Authority, mutual_tls: ServerTls
) -> None:
    gateway = authority.issue("gateway")
    async with calling(tmp_path, mutual_tls, authority.certificate, gateway, "user-1") as client:
        assert named((await client.create(user_id="kim")).error) == "FORBIDDEN"
        assert not (await client.create(key="", user_id="user-1")).HasField("error")


@pytest.mark.parametrize("shown", ["nothing", "anothers", "self-signed"])
async def test_without_a_certificate_of_the_authority_nobody_gets_in(
    tmp_path: Path, authority: Authority, mutual_tls: ServerTls, shown: str
) -> None:
    certificates = {
        "nothing": None,
        "anothers": Authority("theirs").issue("gateway"),
        "self-signed": Authority("ours").issue("gateway"),
    }
    async with calling(tmp_path, mutual_tls, authority.certificate, certificates[shown], "user-1") as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.create(user_id="user-1")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_tls_by_itself_makes_nobody_a_gateway(
    tmp_path: Path, authority: Authority, plain_tls: ServerTls
) -> None:
    gateway = authority.issue("gateway")
    async with calling(tmp_path, plain_tls, authority.certificate, gateway) as client:
        assert named((await client.create(user_id="kim")).error) == "UNAUTHENTICATED"
    async with calling(tmp_path / "again", plain_tls, authority.certificate, None, "user-1") as client:
        assert not (await client.create()).HasField("error")


async def test_a_client_does_not_take_another_server_for_ours(tmp_path: Path, plain_tls: ServerTls) -> None:
    async with calling(tmp_path, plain_tls, Authority("theirs").certificate, None, "user-1") as client:
        with pytest.raises(grpc.aio.AioRpcError):
            await client.create()


async def test_a_key_that_is_none_is_told_at_the_start(tmp_path: Path, plain_tls: ServerTls) -> None:
    with pytest.raises(RuntimeError):
        async with served(
            tmp_path, ReservationServerSettings(port=0, tls=replace(plain_tls, private_key=b"none"))
        ):
            pass
