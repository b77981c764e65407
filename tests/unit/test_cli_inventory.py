"""`inventory`: what an operator sees of a check, and what is refused before anything is tried."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.cli import Cli

from reservation_api.entrypoints.cli.inventory import _line
from reservation_api.entrypoints.grpc.inventory_check import OBLIGATIONS, Finding

SECTION = ("--section", "A:1x2:1000")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "data")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_an_inventory_that_nobody_serves_keeps_nothing_and_the_check_fails(cli: Cli) -> None:
    with socket.socket() as bound:  # and not listening: whoever connects is refused
        bound.bind(("127.0.0.1", 0))
        result = cli.run("inventory", "check", f"127.0.0.1:{bound.getsockname()[1]}", "--event", "e", code=1)
    for obligation, line in zip(OBLIGATIONS, result.stdout.splitlines(), strict=True):
        assert line.startswith(f"BROKEN  {obligation}: InventoryUnavailableError")
    assert result.stderr == f"Error: {len(OBLIGATIONS)} of {len(OBLIGATIONS)} obligations are broken\n"


def test_each_obligation_is_a_line_that_says_what_was_seen_if_it_is_broken() -> None:
    assert _line(Finding("seats have prices", ok=True, detail="")) == "kept    seats have prices"
    broken = Finding("seats have prices", ok=False, detail="A-1-1 has none")
    assert _line(broken) == "BROKEN  seats have prices: A-1-1 has none"


@pytest.mark.parametrize("address", ["inventory", "ftp://inventory:9090", "inventory:0"])
def test_what_is_no_address_is_said_in_a_line(cli: Cli, address: str) -> None:
    result = cli.run("inventory", "check", address, "--event", "e", code=2)
    assert result.stderr.startswith("Configuration: ")


def test_a_port_that_is_taken_is_said_in_a_line(cli: Cli, taken_port: int) -> None:
    result = cli.run("inventory", "serve", "--port", str(taken_port), code=1)
    assert f"Error: can not listen on 127.0.0.1 port {taken_port}" in result.stderr


def test_a_host_is_an_address_of_this_machine(cli: Cli) -> None:
    cli.run("inventory", "serve", "--host", "localhost", code=2)


def test_serving_refuses_settings_that_are_wrong(cli: Cli) -> None:
    result = cli.run("inventory", "serve", code=2, APP_SQLITE_SYNCHRONOUS="OFF")
    assert result.stderr.startswith("Configuration: APP_SQLITE_SYNCHRONOUS must be")


def test_events_do_not_go_on_sale_where_no_inventory_looks(cli: Cli) -> None:
    elsewhere = {"INVENTORY_GRPC_ADDRESS": "inventory:9090"}
    result = cli.run("events", "create", "evt_1", *SECTION, code=2, **elsewhere)
    assert result.stderr.startswith("Configuration: INVENTORY_GRPC_ADDRESS is set: events go on sale where")
    cli.run("events", "create", "evt_1", *SECTION)


def test_a_grpc_port_that_is_taken_is_said_before_anything_starts(cli: Cli, taken_port: int) -> None:
    result = cli.run("serve", code=1, APP_HTTP_HOST="127.0.0.1", GRPC_PORT=str(taken_port))
    assert f"Error: can not listen on 127.0.0.1 port {taken_port}" in result.stderr
    assert not cli.data_dir.exists()
