"""TLS that can not be is said before anything starts: by a sentence, and never as a port's fault."""

import socket
from pathlib import Path

import pytest
from tests.support.certificates import Authority
from tests.support.cli import Cli
from tests.support.ports import HOST, free_port

CHECK = ("inventory", "check", "--event", "e", "--ca")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "data")


@pytest.fixture
def mismatched(tmp_path: Path) -> tuple[str, str]:
    """A certificate, and the key of another."""
    ours = Authority("ours")
    certificate, _ = ours.issue("server").write(tmp_path, "server")
    _, key = ours.issue("other").write(tmp_path, "other")
    return str(certificate), str(key)


@pytest.mark.parametrize("command", [("serve",), ("serve", "--workers", "2"), ("dev",)], ids=" ".join)
def test_serving_grpc_refuses_a_key_of_another_certificate(
    cli: Cli, mismatched: tuple[str, str], command: tuple[str, ...]
) -> None:
    certificate, key = mismatched
    tls = {"APP_GRPC_TLS_CERTIFICATE_FILE": certificate, "APP_GRPC_TLS_KEY_FILE": key}
    ports = {"APP_HTTP_HOST": HOST, "APP_HTTP_PORT": str(free_port()), "GRPC_PORT": str(free_port())}
    result = cli.run(*command, code=2, **ports, **tls)
    assert f"Configuration: {certificate} and {key} are no certificate and its key" in result.stderr
    assert "can not listen" not in result.stderr
    assert not cli.data_dir.exists()


def test_serving_grpc_refuses_gateways_authority_that_is_none(cli: Cli, tmp_path: Path) -> None:
    certificate, key = Authority("ours").issue("server").write(tmp_path, "server")
    tls = {"APP_GRPC_TLS_CERTIFICATE_FILE": str(certificate), "APP_GRPC_TLS_KEY_FILE": str(key)}
    ports = {"APP_HTTP_HOST": HOST, "APP_HTTP_PORT": str(free_port()), "GRPC_PORT": str(free_port())}
    result = cli.run("serve", code=2, **ports, **tls, APP_GRPC_TLS_CLIENT_CA_FILE=str(key))
    assert f"Configuration: {key} holds no certificates that can be used" in result.stderr


def test_serving_the_inventory_refuses_a_key_of_another_certificate(
    cli: Cli, mismatched: tuple[str, str]
) -> None:
    certificate, key = mismatched
    port = str(free_port())
    result = cli.run(
        *("inventory", "serve", "--port", port, "--tls-certificate", certificate, "--tls-key", key), code=2
    )
    assert f"Configuration: {certificate} and {key} are no certificate and its key" in result.stderr
    assert not cli.data_dir.exists()


@pytest.mark.parametrize("option", ["--tls-certificate", "--tls-key"])
def test_a_served_inventory_has_both_certificate_and_key_or_neither(
    cli: Cli, mismatched: tuple[str, str], option: str
) -> None:
    with socket.create_server((HOST, 0)) as taken:  # so that no server starts, whatever is broken
        port = str(taken.getsockname()[1])
        result = cli.run("inventory", "serve", "--port", port, option, mismatched[0], code=2)
    assert "--tls-certificate and --tls-key go together" in result.stderr


def test_an_authority_is_not_taken_for_a_check_in_plain_text(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(Authority("ours").certificate)
    result = cli.run(*CHECK, str(tmp_path / "ca.pem"), "inventory:9090", code=2)
    assert "--ca needs TLS, which the address does not ask for: grpcs://host:port does" in result.stderr


def test_a_check_refuses_an_authority_that_is_none(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    result = cli.run(*CHECK, str(tmp_path / "ca.pem"), "grpcs://inventory:9090", code=2)
    assert result.stderr == f"Configuration: {tmp_path / 'ca.pem'} holds no PEM\n"
