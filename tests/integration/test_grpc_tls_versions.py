"""TLS 1.2 is the oldest that our servers and clients speak; OpenSSL at the other end would go lower."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from tests.support.certificates import HOST, Authority, Pair
from tests.support.clock import FakeClock
from tests.support.grpc_peers import ASK, PATIENT_SECONDS, Retries
from tests.support.grpc_reservations import served, sold_from

from reservation_api.adapters.grpc_inventory.address import parse_address
from reservation_api.adapters.grpc_inventory.inventory import GrpcInventory
from reservation_api.adapters.grpc_inventory.peer import GrpcPeer, PeerSettings
from reservation_api.domain.errors import InventoryUnavailableError
from reservation_api.entrypoints.grpc.inventory_server import InventoryServer
from reservation_api.entrypoints.grpc.reservation_server import ReservationServerSettings, ServerTls

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")

OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
FIT = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
SERVERS = ("reservations", "inventory")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("ours")


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


def speaking(side: int, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Speak this version and older ones, however weak."""
    context = ssl.SSLContext(side)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, version
    context.set_alpn_protocols(["h2"])
    return context


def connect(port: int, version: ssl.TLSVersion) -> str | None:
    """Return what a client that speaks no newer version agrees upon with a server; None if nothing."""
    connection = socket.create_connection((HOST, port), PATIENT_SECONDS)
    return agree(speaking(ssl.PROTOCOL_TLS_CLIENT, version), connection)


def accept(context: ssl.SSLContext, listener: socket.socket) -> str | None:
    """Return what a server and its next client agree upon; None if nothing."""
    connection, _ = listener.accept()
    return agree(context, connection)


def agree(context: ssl.SSLContext, connection: socket.socket) -> str | None:
    is_server = context.protocol is ssl.PROTOCOL_TLS_SERVER
    with connection:
        try:
            with context.wrap_socket(connection, server_side=is_server) as secured:
                return secured.version()
        except (ssl.SSLError, ConnectionResetError):
            return None


@contextmanager
def listening(
    folder: Path, pair: Pair, version: ssl.TLSVersion
) -> Iterator[tuple[ssl.SSLContext, socket.socket]]:
    """Listen as a server that speaks no newer version."""
    context = speaking(ssl.PROTOCOL_TLS_SERVER, version)
    context.load_cert_chain(*pair.write(folder, "server"))
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(PATIENT_SECONDS)
        yield context, listener


@asynccontextmanager
async def serving(which: str, folder: Path, pair: Pair) -> AsyncIterator[int]:
    """Serve reservations or an inventory by TLS, and give the port."""
    if which == "reservations":
        settings = ReservationServerSettings(port=0, tls=ServerTls(pair.certificate, pair.key))
        async with served(folder, settings) as running:
            yield running.port
        return
    clock = FakeClock()
    async with sold_from(folder, clock) as ports:
        server = InventoryServer(ports.inventory, clock)
        try:
            yield await server.start(f"{HOST}:0", (pair.key, pair.certificate))
        finally:
            await server.stop(0)


async def call(port: int, authority: Authority) -> None:
    """Call an inventory by TLS that answers nothing."""
    settings = PeerSettings(PATIENT_SECONDS, connections=1, root_certificates=authority.certificate)
    inventory = GrpcInventory(GrpcPeer(parse_address(f"grpcs://{HOST}:{port}"), settings, Retries()))
    with pytest.raises(InventoryUnavailableError):
        await inventory.reserve(ASK)
    await inventory.close()


@pytest.mark.parametrize("version", OLD)
async def test_openssl_still_speaks_what_the_others_are_to_refuse(
    tmp_path: Path, pair: Pair, version: ssl.TLSVersion
) -> None:
    with listening(tmp_path, pair, version) as (context, listener):
        port: int = listener.getsockname()[1]
        ours, theirs = await asyncio.gather(
            asyncio.to_thread(accept, context, listener), asyncio.to_thread(connect, port, version)
        )
    if (ours, theirs) == (None, None):
        pytest.skip("this OpenSSL does not, so that the others show nothing for it")
    assert (ours, theirs) == (named(version), named(version))


@pytest.mark.parametrize("which", SERVERS)
async def test_our_servers_speak_tls_1_2_or_newer(tmp_path: Path, pair: Pair, which: str) -> None:
    async with serving(which, tmp_path, pair) as port:
        agreed = [await asyncio.to_thread(connect, port, version) for version in (*OLD, *FIT)]
    assert agreed == [None, None, "TLSv1.2", "TLSv1.3"]


@pytest.mark.parametrize("version", [*OLD, *FIT])
async def test_our_clients_speak_tls_1_2_or_newer(
    tmp_path: Path, authority: Authority, pair: Pair, version: ssl.TLSVersion
) -> None:
    with listening(tmp_path, pair, version) as (context, listener):
        port: int = listener.getsockname()[1]
        agreed, _ = await asyncio.gather(asyncio.to_thread(accept, context, listener), call(port, authority))
    assert agreed == (None if version in OLD else named(version))


def named(version: ssl.TLSVersion) -> str:
    """Name it as connections do."""
    return {"TLSv1": "TLSv1", "TLSv1_1": "TLSv1.1", "TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
