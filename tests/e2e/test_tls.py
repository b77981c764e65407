"""gRPC by TLS between real processes: who is believed gets seats, who is not gets nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import grpc.aio
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ed448
from tests.support.certificates import HOST, Authority, Pair
from tests.support.grpc_reservations import Client
from tests.support.ports import free_port
from tests.support.processes import run_command, running

pytestmark = pytest.mark.e2e

EVENT, CHECKED = "evt_1", "evt_2"
SEATS = 20
PATIENT = {"APP_INVENTORY_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "5000"}
"""This machine may be busy."""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("ours")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def ca_file(authority: Authority, folder: Path) -> Path:
    file = folder / "ca.pem"
    file.write_bytes(authority.certificate)
    return file


@pytest.fixture(scope="module")
def inventory(authority: Authority, folder: Path) -> Iterator[str]:
    """An inventory that is served by TLS; its address."""
    data, port = folder / "inventory", free_port()
    put_on_sale(data)
    certificate, key = authority.issue("inventory").write(folder, "inventory")
    options = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    with running(["inventory", "serve", "--host", HOST, "--port", str(port), *options], data_dir=data):
        yield f"grpcs://{HOST}:{port}"


def put_on_sale(data: Path) -> None:
    for event in (EVENT, CHECKED):
        section, environment = f"A:1x{SEATS}:1000", {"APP_DATA_DIR": str(data)}
        run_command("events", "create", event, "--section", section, environment=environment)


@contextmanager
def asking(inventory: str, ca_file: Path) -> Iterator[httpx.Client]:
    """Serve HTTP with this inventory, and connect as alice."""
    settings = {"INVENTORY_GRPC_ADDRESS": inventory, "APP_INVENTORY_TLS_CA_FILE": str(ca_file), **PATIENT}
    with (
        running(["serve"], settings) as server,
        httpx.Client(base_url=server.url, headers=server.bearer("alice"), timeout=20) as client,
    ):
        yield client


def hold(client: httpx.Client, key: str) -> httpx.Response:
    body = {"event_id": EVENT, "qty": 1}
    return client.post("/v1/reservations", json=body, headers={"Idempotency-Key": key})


def free_seats(client: httpx.Client) -> int:
    free: int = client.get(f"/v1/events/{EVENT}/availability").json()["available"]
    return free


def test_an_inventory_that_our_authority_has_signed_for_holds_a_seat_and_no_other_is_asked(
    inventory: str, ca_file: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs.pem"
    theirs.write_bytes(Authority("ours").certificate)
    with asking(inventory, ca_file) as believing, asking(inventory, theirs) as doubting:
        assert hold(believing, "k1").status_code == 201
        assert free_seats(believing) == SEATS - 1

        refused = hold(doubting, "k2")
        assert (refused.status_code, refused.json()["code"]) == (503, "inventory_unavailable")
        assert doubting.get("/v1/reservations").json()["items"] == []
        assert free_seats(believing) == SEATS - 1


def test_a_check_believes_the_authority_that_it_is_given_and_no_public_one(
    inventory: str, ca_file: Path
) -> None:
    check = ("inventory", "check", inventory, "--event", CHECKED, "--timeout", "5000")
    written = run_command(*check, "--ca", str(ca_file), environment={})
    assert "BROKEN" not in written
    assert written.count("kept") == 11
    assert run_command(*check, environment={}, code=1).count("BROKEN") == 11


@pytest.fixture(scope="module")
def served(authority: Authority, folder: Path, ca_file: Path) -> Iterator[int]:
    """The service by mutual TLS; its port of gRPC."""
    data, port = folder / "service", free_port()
    put_on_sale(data)
    with running(["serve"], mutual(authority.issue("server"), folder, ca_file, port), data_dir=data):
        yield port


def mutual(pair: Pair, folder: Path, ca_file: Path, port: int) -> dict[str, str]:
    """Settings of a server that shows this certificate to gateways of our authority."""
    certificate, key = pair.write(folder, "server")
    return {
        "GRPC_PORT": str(port),
        "APP_GRPC_TLS_CERTIFICATE_FILE": str(certificate),
        "APP_GRPC_TLS_KEY_FILE": str(key),
        "APP_GRPC_TLS_CLIENT_CA_FILE": str(ca_file),
    }


def gateway(port: int, authority: Authority, shown: Pair | None) -> grpc.aio.Channel:
    pair = (None, None) if shown is None else (shown.key, shown.certificate)
    return grpc.aio.secure_channel(
        f"{HOST}:{port}", grpc.ssl_channel_credentials(authority.certificate, *pair)
    )


async def test_a_gateway_with_a_certificate_of_our_authority_gets_in_and_speaks_for_its_users(
    served: int, authority: Authority
) -> None:
    async with gateway(served, authority, authority.issue("gateway")) as channel:
        held = await Client(channel, token=None).create(key="", user_id="kim")
    assert not held.HasField("error")


@pytest.mark.parametrize("shown", [None, Authority("ours").issue("gateway")], ids=["none", "another's"])
async def test_a_gateway_without_one_does_not_get_in(
    served: int, authority: Authority, shown: Pair | None
) -> None:
    async with gateway(served, authority, shown) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Client(channel, token=None).create(key="", user_id="kim")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_children_of_one_server_share_port_and_certificate(
    authority: Authority, ca_file: Path, tmp_path: Path
) -> None:
    port = free_port()
    put_on_sale(tmp_path)
    settings = mutual(authority.issue("server"), tmp_path, ca_file, port)
    with running(["serve", "--workers", "2"], settings, data_dir=tmp_path):
        for key in ("k1", "k2", "k3", "k4"):
            async with gateway(port, authority, authority.issue("gateway")) as channel:
                held = await Client(channel, token=None).create(key=key, user_id="kim")
                assert not held.HasField("error")


def test_a_sound_certificate_that_grpc_does_not_take_is_not_a_ports_fault(
    authority: Authority, ca_file: Path, tmp_path: Path
) -> None:
    """OpenSSL knows Ed448; the library that gRPC brings along does not."""
    pair = authority.issue("server", key=ed448.Ed448PrivateKey.generate())
    settings = mutual(pair, tmp_path, ca_file, free_port())
    tls = ("--tls-certificate", str(tmp_path / "server.crt"), "--tls-key", str(tmp_path / "server.key"))
    for arguments, environment in (
        (["serve"], settings),
        (["inventory", "serve", "--port", str(free_port()), *tls], {}),
    ):
        with running(arguments, environment, until_ready=False) as server:
            assert server.wait() == 2
            written = server.log_text()
        assert "Configuration: gRPC does not take the certificate, its key or the authority" in written
        assert "can not listen" not in written
