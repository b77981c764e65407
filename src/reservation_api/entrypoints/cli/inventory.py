"""`inventory`: the built-in inventory for other processes, and what any inventory must keep."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import click
import uvloop

from reservation_api.bootstrap import read_key_pair
from reservation_api.bootstrap.grpc_peers import connect_inventory
from reservation_api.config import load_environment
from reservation_api.config.kinds import plain_text_host
from reservation_api.domain.values import EventId
from reservation_api.entrypoints.cli.run import configure_process_logs
from reservation_api.entrypoints.grpc.inventory_check import Finding, check_inventory
from reservation_api.entrypoints.processes.inventory import run_inventory
from reservation_api.entrypoints.processes.port import check_port

PORT = 9090
"""Where the services of Traffic Tacos listen for gRPC."""
MAX_TIMEOUT_MILLISECONDS = 60_000
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _check_host(context: click.Context, parameter: click.Parameter, value: str) -> str:
    del context, parameter
    try:
        return str(ip_address(value))
    except ValueError:
        raise click.BadParameter("must be an IP address such as 127.0.0.1") from None


@click.group()
def inventory() -> None:
    """Serve the built-in inventory over gRPC; check what an inventory must keep."""


@inventory.command()
@click.option("--host", default="127.0.0.1", show_default=True, callback=_check_host, help="Where to listen.")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
@click.option("--tls-certificate", type=_FILE, help="Certificate chain (PEM): serve TLS.")
@click.option("--tls-key", type=_FILE, help="Its key (PEM).")
def serve(host: str, port: int, tls_certificate: Path | None, tls_key: Path | None) -> None:
    """Serve the inventory of APP_DATA_DIR over gRPC; whoever reaches the port is served.

    `events create` and `events import` on the same directory put events on sale.
    """
    config = load_environment()
    tls = _tls(tls_certificate, tls_key)
    configure_process_logs(config, "inventory")
    check_port(host, port)
    uvloop.run(run_inventory(config, host, port, tls))


def _tls(certificate: Path | None, key: Path | None) -> tuple[bytes, bytes] | None:
    if certificate is None or key is None:
        if certificate is not key:
            raise click.UsageError("--tls-certificate and --tls-key go together")
        return None
    return read_key_pair(certificate, key)


@inventory.command()
@click.argument("address")
@click.option("--event", "event_id", required=True, help="An event for tests: one of its seats is sold.")
@click.option(
    "--timeout",
    type=click.IntRange(1, MAX_TIMEOUT_MILLISECONDS),
    default=250,
    show_default=True,
    metavar="MILLISECONDS",
    help="How long it may take to answer.",
)
@click.option("--ca", type=_FILE, help="Who signs its certificate (PEM); public authorities if not given.")
def check(address: str, event_id: str, timeout: int, ca: Path | None) -> None:
    """Try each obligation on the inventory at ADDRESS, with seats of an event; fail if one is broken.

    It takes a quarter of a minute and four seats, and other buyers would disturb it.
    """
    if ca is not None and plain_text_host(address) is not None:
        raise click.UsageError("--ca needs TLS, which the address does not ask for: grpcs://host:port does")
    findings = asyncio.run(_check(address, EventId(event_id), timeout / 1000, ca))
    for finding in findings:
        click.echo(_line(finding))
    broken = sum(not finding.ok for finding in findings)
    if broken:
        raise click.ClickException(f"{broken} of {len(findings)} obligations are broken")


async def _check(
    address: str, event_id: EventId, timeout_seconds: float, ca: Path | None
) -> Sequence[Finding]:
    peer, clock = connect_inventory(address, timeout_seconds, ca)
    try:
        return await check_inventory(peer, event_id, clock)
    finally:
        await peer.close()


def _line(finding: Finding) -> str:
    return (
        f"kept    {finding.obligation}" if finding.ok else f"BROKEN  {finding.obligation}: {finding.detail}"
    )
