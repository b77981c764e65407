"""Connections to a peer: how many, to whom, and by TLS only to whoever proves the name."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from tests.support.certificates import Authority
from tests.support.grpc_peers import ASK, HELD, PATIENT_SECONDS, Retries, ScriptedPeer, hold, listening

from reservation_api.adapters.grpc_inventory.address import PeerAddress, parse_address
from reservation_api.adapters.grpc_inventory.inventory import GrpcInventory
from reservation_api.adapters.grpc_inventory.peer import GrpcPeer, PeerSettings
from reservation_api.adapters.grpc_wire.channel import Address
from reservation_api.domain.errors import InventoryUnavailableError
from reservation_proto.reservation.v1 import inventory_pb2 as wire


async def peers_seen(ports: Sequence[int], connections: int, calls: int) -> set[str]:
    async def resolve(_host: str, _port: int) -> Sequence[Address]:
        return [("127.0.0.1", port) for port in ports]

    address = PeerAddress("inventory", 9090, is_tls=False)
    settings = PeerSettings(deadline_seconds=PATIENT_SECONDS, connections=connections, resolve=resolve)
    inventory = GrpcInventory(GrpcPeer(address, settings, Retries()))
    seen: set[str] = set()
    async with asyncio.timeout(PATIENT_SECONDS):
        while len(seen) < len(ports) * connections:  # those that are connected first are used at once
            seen |= {(await inventory.reserve(ASK)).seats[0].row for _ in range(calls)}
    await inventory.close()
    return seen


def naming(name: str | None = None) -> ScriptedPeer:
    """Answer with a seat whose row is a name, or the caller's own address."""

    async def script(_: bytes, context: Any) -> bytes:
        reply = wire.ReserveSeatResponse.FromString(HELD)
        reply.reserved_seats[0].row = name or context.peer()
        return reply.SerializeToString()

    return ScriptedPeer({"ReserveSeat": script})


async def test_calls_take_turns_on_as_many_connections_as_are_asked_for() -> None:
    async with listening(naming()) as port:
        assert len(await peers_seen([port], connections=3, calls=6)) == 3
        assert len(await peers_seen([port], connections=1, calls=6)) == 1


async def test_calls_take_turns_among_the_addresses_of_a_name() -> None:
    async with listening(naming("first")) as first, listening(naming("second")) as second:
        assert await peers_seen([first, second], connections=1, calls=20) == {"first", "second"}


async def reserve_over(address: str, root: bytes | None) -> None:
    settings = PeerSettings(deadline_seconds=5, root_certificates=root)
    inventory = GrpcInventory(GrpcPeer(parse_address(address), settings, Retries()))
    try:
        await inventory.reserve(ASK)
    finally:
        await inventory.close()


async def test_tls_is_spoken_to_whoever_proves_the_name_and_to_nobody_else() -> None:
    authority = Authority("ours")
    root, pair = authority.certificate, authority.issue("inventory", "localhost")
    credentials = grpc.ssl_server_credentials([(pair.key, pair.certificate)])
    async with listening(ScriptedPeer({"ReserveSeat": hold}), credentials) as port:
        await reserve_over(f"grpcs://localhost:{port}", root)
        await reserve_over(f"https://localhost:{port}", root)
        for address, believed in (
            (f"grpcs://localhost:{port}", None),
            (f"grpcs://localhost:{port}", Authority("ours").certificate),
            (f"grpcs://127.0.0.1:{port}", root),
            (f"localhost:{port}", root),
        ):
            with pytest.raises(InventoryUnavailableError):
                await reserve_over(address, believed)
    async with listening(ScriptedPeer({"ReserveSeat": hold})) as port:
        with pytest.raises(InventoryUnavailableError):
            await reserve_over(f"grpcs://localhost:{port}", root)
