"""The service on a stand-in for AWS, for development: all of it on this machine, and nothing left behind."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from importlib.util import find_spec

from reservation_api.bootstrap.embedded import open_inventory
from reservation_api.config import Config, ConfigError
from reservation_api.config.development import stand_in_process_variables
from reservation_api.config.tree import TelemetryConfig
from reservation_api.entrypoints.grpc.inventory_server import InventoryServer

LOOPBACK = "127.0.0.1"
START_SECONDS = 20.0
STOP_SECONDS = 5.0
_POLL_SECONDS = 0.1


@contextmanager
def run_stand_in() -> Iterator[str]:
    """Run ministack, for this machine only, until the end of the block; yields its URL.

    Raises ConfigError if it is not installed or does not start.
    """
    if find_spec("ministack") is None:
        raise ConfigError(["ministack is not installed: pip install ministack, or give --endpoint URL"])
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "ministack"],
        env=dict(stand_in_process_variables(LOOPBACK, port)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://{LOOPBACK}:{port}"
        _wait_until_it_answers(process, url)
        yield url
    finally:
        _end(process)


@asynccontextmanager
async def serve_inventory(config: Config) -> AsyncIterator[str]:
    """Serve the built-in inventory over gRPC until the end of the block, unrecorded; yields its address."""
    service = open_inventory(replace(config, telemetry=TelemetryConfig()))
    server = InventoryServer(service.inventory, service.clock)
    try:
        yield f"{LOOPBACK}:{await server.start(f'{LOOPBACK}:0')}"
    finally:
        await server.stop(STOP_SECONDS)
        service.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", url: str) -> None:
    ends_at = time.monotonic() + START_SECONDS
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > ends_at:
            raise ConfigError([f"ministack does not start: `{sys.executable} -m ministack` says why"])
        time.sleep(_POLL_SECONDS)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_ministack/ready", timeout=1):  # noqa: S310 (our own child)
            return True
    except (urllib.error.URLError, OSError):
        return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
