"""ministack, a stand-in for AWS in a process of its own: about half a second to start, and ended for sure.

@pytest.fixture(scope="module")
def aws() -> Iterator[Ministack]:
    with ministack() as started:
        yield started

Tests share it: name tables, buses and queues with `unique`. A key of 12 digits is an account of its own.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from tests.support.ports import HOST, free_port
from tests.support.processes import ProcessFailedError, status_of, wait_until

REGION = "ap-northeast-2"
_KEPT_VARIABLES = ("PATH", "HOME", "LANG")
_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Ministack:
    """A ministack that answers."""

    process: "subprocess.Popen[bytes]"
    port: int
    log_file: Path

    @property
    def url(self) -> str:
        """The endpoint of every service."""
        return f"http://{HOST}:{self.port}"

    @property
    def credentials(self) -> Mapping[str, str]:
        """What the AWS tools read from the environment; any key is taken, unless it started with AUTH."""
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
        }

    def log_text(self) -> str:
        """What it has written."""
        return self.log_file.read_text(errors="replace")


def unique(name: str) -> str:
    """Return a name that no other test has."""
    return f"{name}-{secrets.token_hex(4)}"


@contextmanager
def ministack(**variables: str) -> Iterator[Ministack]:
    """Start one with these environment variables on a free port; it is gone at the end of the block.

    Raises ProcessFailedError, with what it wrote.
    """
    with tempfile.TemporaryDirectory(prefix="ministack-test-", ignore_cleanup_errors=True) as folder:
        started = _start(Path(folder), variables)
        try:
            _wait_until_it_answers(started)
            yield started
        finally:
            _end(started.process)


def _start(folder: Path, variables: Mapping[str, str]) -> Ministack:
    port, log_file = free_port(), folder / "log"
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    ours = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,  # it would listen on every interface
        "TMPDIR": str(folder),  # for the file with its process id
        "IOT_MTLS_ENABLED": "0",  # two of them would want the same port
        "MINISTACK_REGION": REGION,
    }
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env={**kept, **ours, **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return Ministack(process, port, log_file)


def _wait_until_it_answers(started: Ministack) -> None:
    def look() -> bool:
        if started.process.poll() is not None:
            raise ProcessFailedError(f"ended with {started.process.returncode}:\n{started.log_text()}")
        return status_of(f"{started.url}/_ministack/ready") == HTTPStatus.OK

    wait_until(look, started.log_text)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end by its process id, and see that it did."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_SECONDS)
