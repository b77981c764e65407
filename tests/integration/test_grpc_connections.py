"""Connections to a peer: how many, to whom, and by TLS only to whoever proves the name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.grpc_peers import ASK, HELD, PATIENT_SECONDS, Retries, ScriptedPeer, hold, listening

from reservation_api.adapters.grpc_inventory.address import PeerAddress, parse_address
from reservation_api.adapters.grpc_inventory.inventory import GrpcInventory
from reservation_api.adapters.grpc_inventory.peer import GrpcPeer, PeerSettings
from reservation_api.domain.errors import InventoryUnavailableError
from reservation_proto.reservation.v1 import inventory_pb2 as wire


async def peers_seen(target: str, channels: int, calls: int) -> set[str]:
    address = PeerAddress(target, is_tls=False)
    settings = PeerSettings(deadline_seconds=PATIENT_SECONDS, channels=channels)
    inventory = GrpcInventory(GrpcPeer(address, settings, Retries()))
    seen = {(await inventory.reserve(ASK)).seats[0].row for _ in range(calls)}
    await inventory.close()
    return seen


def naming(name: str | None = None) -> ScriptedPeer:
    """Answer with a seat whose row is a name, or the caller's own address."""

    async def script(_: bytes, context: Any) -> bytes:
        reply = wire.ReserveSeatResponse.FromString(HELD)
        reply.reserved_seats[0].row = name or context.peer()
        return reply.SerializeToString()

    return ScriptedPeer({"ReserveSeat": script})


async def test_calls_take_turns_on_as_many_connections_as_there_are_channels() -> None:
    async with listening(naming()) as port:
        assert len(await peers_seen(f"dns:///127.0.0.1:{port}", channels=3, calls=6)) == 3
        assert len(await peers_seen(f"dns:///127.0.0.1:{port}", channels=1, calls=6)) == 1


async def test_calls_take_turns_among_the_addresses_of_a_name() -> None:
    async with listening(naming("first")) as first, listening(naming("second")) as second:
        target = f"ipv4:127.0.0.1:{first},127.0.0.1:{second}"
        assert await peers_seen(target, channels=1, calls=20) == {"first", "second"}


def certificate() -> tuple[bytes, bytes]:
    """Make a key and a certificate for localhost, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, signed.public_bytes(serialization.Encoding.PEM)


async def reserve_over(address: str, root: bytes | None) -> None:
    settings = PeerSettings(deadline_seconds=5, root_certificates=root)
    inventory = GrpcInventory(GrpcPeer(parse_address(address), settings, Retries()))
    try:
        await inventory.reserve(ASK)
    finally:
        await inventory.close()


async def test_tls_is_spoken_to_whoever_proves_the_name_and_to_nobody_else() -> None:
    key, cert = certificate()
    credentials = grpc.ssl_server_credentials([(key, cert)])
    async with listening(ScriptedPeer({"ReserveSeat": hold}), credentials) as port:
        await reserve_over(f"grpcs://localhost:{port}", cert)
        await reserve_over(f"https://localhost:{port}", cert)
        for address, root in (
            (f"grpcs://localhost:{port}", None),
            (f"grpcs://127.0.0.1:{port}", cert),
            (f"localhost:{port}", cert),
        ):
            with pytest.raises(InventoryUnavailableError):
                await reserve_over(address, root)
    async with listening(ScriptedPeer({"ReserveSeat": hold})) as port:
        with pytest.raises(InventoryUnavailableError):
            await reserve_over(f"grpcs://localhost:{port}", cert)
