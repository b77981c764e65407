"""Real processes of the service, each in a directory of its own, for as long as a block lasts."""

import http.client
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cpu import pinned_to

PROGRAM = Path(sys.executable).parent / "reservation-api"
HOST = "127.0.0.1"
EVENT_ID = "evt_bench"
SECTIONS = ("A", "B")
ROWS = 1000
SEATS_PER_ROW = 50
PRICE = 50_000
"""In won. 100,000 seats: a stadium."""
START_SECONDS = 30.0
STOP_SECONDS = 35.0
"""The service promises to end within 30 s of SIGTERM."""
TOOL_SECONDS = 60.0
POLL_SECONDS = 0.05
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
"""Everything else in the environment could configure the server, and the figures would not compare."""


class ServerFailedError(Exception):
    """The server or one of its tools did not do what was asked; the text is the end of its output."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready, its event loaded."""

    pid: int
    port: int
    token: str
    event_id: str = EVENT_ID


@dataclass(frozen=True, slots=True)
class Inventory:
    """An inventory that answers gRPC, its event loaded."""

    pid: int
    address: str
    event_id: str = EVENT_ID


def event_command(event_id: str) -> list[str]:
    """Say how the service is told of an event: the only place that knows these options."""
    shape = f"{ROWS}x{SEATS_PER_ROW}:{PRICE}"
    sections = [option for name in SECTIONS for option in ("--section", f"{name}:{shape}")]
    return ["events", "create", event_id, "--name", "Benchmark", "--currency", "KRW", *sections]


@contextmanager
def running_server(
    core: int | None, program: Path = PROGRAM, inventory: Inventory | None = None
) -> Iterator[Server]:
    """Start `serve` on one core, and end it; the built-in inventory unless there is another.

    Raises ServerFailedError.
    """
    settings = {} if inventory is None else {"INVENTORY_GRPC_ADDRESS": inventory.address}
    with _home(program, settings) as home, home.running(core, "serve") as process:
        home.wait_until(process, lambda: _is_ready(home.port))
        if inventory is None:
            home.run_tool(*event_command(EVENT_ID))
        token = home.run_tool("token", "--sub", f"bench-{secrets.token_hex(4)}").split()[-1]
        yield Server(process.pid, home.port, token)


@contextmanager
def running_configured(
    core: int | None, program: Path, arguments: Sequence[str], settings: Mapping[str, str], token: str
) -> Iterator[Server]:
    """Start a service that answers HTTP on one core, with these settings besides its address, and end it.

    Raises ServerFailedError.
    """
    with _home(program, settings) as home:
        address = () if program == PROGRAM else ("--host", HOST, "--port", str(home.port))
        with home.running(core, *arguments, *address) as process:
            home.wait_until(process, lambda: _listens(home.port))
            yield Server(process.pid, home.port, token)


@contextmanager
def running_inventory(core: int | None, program: Path = PROGRAM) -> Iterator[Inventory]:
    """Start `inventory serve` on one core, and end it; raises ServerFailedError."""
    with _home(program, {}) as home:
        address = ("--host", HOST, "--port", str(home.port))
        with home.running(core, "inventory", "serve", *address) as process:
            home.wait_until(process, lambda: _listens(home.port))
            home.run_tool(*event_command(EVENT_ID))
            yield Inventory(process.pid, f"{HOST}:{home.port}")


@contextmanager
def _home(program: Path, settings: Mapping[str, str]) -> Iterator["_Home"]:
    with tempfile.TemporaryDirectory(prefix="reservation-bench-") as folder:
        yield _Home(Path(folder), program, _free_port(), settings)


@dataclass(frozen=True, slots=True)
class _Home:
    """The directory in which a process and its tools run."""

    folder: Path
    program: Path
    port: int
    settings: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        address = {"APP_HTTP_HOST": HOST, "APP_HTTP_PORT": str(self.port)}
        return {**kept, **address, "APP_DATA_DIR": str(self.folder / "data"), **self.settings}

    @property
    def log_file(self) -> Path:
        return self.folder / "server.log"

    @contextmanager
    def running(self, core: int | None, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Start a command that goes on, and end it."""
        with pinned_to(core), self.log_file.open("wb") as log:
            process = subprocess.Popen(
                [str(self.program), *arguments],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            _stop(process)

    def run_tool(self, *arguments: str) -> str:
        """Run a command of the service and return what it prints."""
        command = [str(self.program), *arguments]
        finished = subprocess.run(
            command,
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=TOOL_SECONDS,
            check=False,
        )
        if finished.returncode != 0 or not finished.stdout.strip():
            raise ServerFailedError(f"{' '.join(arguments)}: {finished.stdout}{finished.stderr}")
        return finished.stdout

    def wait_until(self, process: "subprocess.Popen[bytes]", is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerFailedError(f"the server is not ready: {self.log_file.read_text()[-2000:]}")
            time.sleep(POLL_SECONDS)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/actuator/health/readiness")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
