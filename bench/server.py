"""Real processes of the service, each in a directory of its own, for as long as a block lasts."""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.identity import Identity
from bench.quota import Place

PROGRAM = Path(sys.executable).parent / "reservation-api"
HOST = "127.0.0.1"
EVENT_ID = "evt_bench"
SECTIONS = ("A", "B")
QTY = 2
"""Seats of a hold."""
ROWS, SEATS_PER_ROW, PRICE = 1000, 50, 50_000
"""Of each section; in won."""
STADIUM = f"{ROWS}x{SEATS_PER_ROW}:{PRICE}"
SEATS = len(SECTIONS) * ROWS * SEATS_PER_ROW
SMALL_EVENT_ID = "evt_bench_small"
HALL = f"5x{SEATS_PER_ROW}:{PRICE}"
"""500 seats in two sections: what everybody wants."""
START_SECONDS = 30.0
STOP_SECONDS = 35.0
"""The service promises to end within 30 s of SIGTERM."""
TOOL_SECONDS = 60.0
POLL_SECONDS = 0.05
START_POLL_SECONDS = 0.005
QUICK_END = {"APP_DRAIN_SECONDS": "0"}
"""Nobody balances load here who must be told."""
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
"""Everything else in the environment could configure the server, and the figures would not compare."""


class ServerFailedError(Exception):
    """The server or one of its tools did not do what was asked; the text is the end of its output."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready, and whom it believes."""

    pid: int
    port: int
    tokens: Sequence[str]
    """Of the subjects, by their numbers."""
    event_id: str = EVENT_ID
    beside: tuple[int, ...] = ()
    """Other processes that belong to it."""

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the roots of all that is measured."""
        return (self.pid, *self.beside)


@dataclass(frozen=True, slots=True)
class Inventory:
    """An inventory that answers gRPC, its event loaded."""

    pid: int
    address: str
    event_id: str = EVENT_ID


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start: a program with these arguments and settings."""

    settings: Mapping[str, str]
    identity: Identity
    arguments: Sequence[str] = ("serve",)
    program: Path = PROGRAM
    events: Mapping[str, str] = field(default_factory=dict)
    """Put on sale at the built-in inventory before it starts, by their shapes."""
    address: Callable[[Path, int], Sequence[str]] = lambda _, __: ()
    """Arguments that tell it where to listen; ours reads its environment. It may write into the folder."""


def host_and_port(_: Path, port: int) -> Sequence[str]:
    """Tell a port as most programs want it."""
    return ("--host", HOST, "--port", str(port))


def embedded(identity: Identity, program: Path = PROGRAM, **settings: str) -> Launch:
    """Describe the service with everything built in, a stadium and a hall on sale."""
    events = {EVENT_ID: STADIUM, SMALL_EVENT_ID: HALL}
    return Launch({**QUICK_END, **identity.settings, **settings}, identity, program=program, events=events)


def event_command(event_id: str, shape: str = STADIUM) -> list[str]:
    """Say how the service is told of an event: the only place that knows these options."""
    sections = [option for name in SECTIONS for option in ("--section", f"{name}:{shape}")]
    return ["events", "create", event_id, "--name", "Benchmark", "--currency", "KRW", *sections]


@contextmanager
def running(place: Place, launch: Launch, *, with_worker: bool = False) -> Iterator[Server]:
    """Start a service that answers HTTP, wait until it is ready, and end it; raises ServerFailedError."""
    with _home(launch.program, launch.settings) as home, ExitStack() as stack:
        for event_id, shape in launch.events.items():
            home.run_tool(*event_command(event_id, shape))
        address = launch.address(home.folder, home.port)
        process = stack.enter_context(home.running(place, *launch.arguments, *address))
        is_ready = _listens if address else _is_ready
        home.wait_until(process, lambda: is_ready(home.port))
        beside = (stack.enter_context(home.running(place, "worker")).pid,) if with_worker else ()
        yield Server(process.pid, home.port, launch.identity.tokens, beside=beside)


def seconds_to_ready(place: Place, launch: Launch) -> float:
    """Start a service, and return how long it took until it said that it is ready."""
    with _home(launch.program, launch.settings) as home:
        began = time.perf_counter()
        with home.running(place, *launch.arguments) as process:
            home.wait_until(process, lambda: _is_ready(home.port), pause=START_POLL_SECONDS)
            return time.perf_counter() - began


@contextmanager
def running_inventory(place: Place, program: Path = PROGRAM) -> Iterator[Inventory]:
    """Start `inventory serve`, and end it; raises ServerFailedError."""
    with _home(program, {}) as home:
        address = host_and_port(home.folder, home.port)
        with home.running(place, "inventory", "serve", *address) as process:
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
    def running(self, place: Place, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Start a command that goes on, and end it."""
        with place.entered(), self.log_file.open("ab") as log:
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

    def wait_until(
        self, process: "subprocess.Popen[bytes]", is_ready: Callable[[], bool], pause: float = POLL_SECONDS
    ) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerFailedError(f"the server is not ready: {self.log_file.read_text()[-2000:]}")
            time.sleep(pause)


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
