"""Which local server stands in for which service of AWS, and why; and how they are started."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ACCOUNT: Final = "123456789012"
REGION: Final = "ap-northeast-2"
START_SECONDS: Final = 30.0
"""Both start within two seconds on an idle machine."""

DEFAULT: Final = "moto"
SERVICES: Final[Mapping[str, tuple[str, str]]] = {
    "dynamodb": ("ministack", "keeps point-in-time recovery and deletion protection, and sweeps TTL"),
}
"""Service, server, reason. Whatever is not named is answered by DEFAULT."""


def backend_of(service: str) -> str:
    """Name the server that answers for a service."""
    return SERVICES.get(service, (DEFAULT, ""))[0]


def free_port() -> int:
    """Ask the system for a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(logs: Path) -> Iterator[dict[str, str]]:
    """Run both servers, each on a free port of this machine; yield their addresses by name."""
    ports = {"ministack": free_port(), "moto": free_port()}
    with contextlib.ExitStack() as stack:
        for name, port in ports.items():
            stack.enter_context(_server(name, port, logs / f"{name}.log"))
        for name, port in ports.items():
            _wait(name, port)
        yield {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}


@contextlib.contextmanager
def _server(name: str, port: int, log: Path) -> Iterator[None]:
    scripts = Path(sys.executable).parent
    if name == "moto":
        command = [str(scripts / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
        settings = {"MOTO_ACCOUNT_ID": ACCOUNT}
    else:
        command = [str(scripts / "ministack")]
        settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "MINISTACK_ACCOUNT_ID": ACCOUNT}
        settings["MINISTACK_REGION"] = REGION
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | settings, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=START_SECONDS)


def _wait(name: str, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"{name} does not answer on port {port}")
