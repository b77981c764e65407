"""Real `reservation-api` processes, each with a port and a data directory of its own, and ended for sure.

with running(["serve"]) as server:
    httpx.get(server.url + "/v1/orders", headers=server.bearer("alice"))
    server.kill()                     # or server.stop(), which returns the exit code
server.logs()                         # all lines, as objects
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from tests.support.ports import HOST, free_port

from reservation_api.adapters.system_clock import SystemClock
from reservation_api.bootstrap import open_issuer
from reservation_api.config import load

PROGRAM = (sys.executable, "-m", "reservation_api")
START_SECONDS = 20.0
STOP_SECONDS = 40.0
"""Longer than the service's own 30: it is to end by itself, if it can."""
POLL_SECONDS = 0.02
TOKEN_SECONDS = 3600
READINESS = "/actuator/health/readiness"
NO_OVERLOAD = {"APP_OVERLOAD_TARGET_WAIT_MILLISECONDS": "10000", "APP_RATE_LIMIT_REQUESTS_PER_SECOND": "0"}
"""A busy machine must not pass for an overload, nor a test for somebody who asks too often."""
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
_opener = build_opener(ProxyHandler({}))


class ProcessFailedError(AssertionError):
    """A process did not do what it was started for; the message holds what it wrote."""


@dataclass
class Running:
    """A process, and what one needs to talk to it."""

    process: "subprocess.Popen[bytes]"
    environment: Mapping[str, str]
    port: int
    data_dir: Path
    log_file: Path
    output_file: Path
    last_log: str = ""
    """What it had written when it was gone, and its files with it."""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL: no warning, no clean-up."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def signal(self, number: Signals) -> None:
        self.process.send_signal(number)

    def stop(self, number: Signals = SIGTERM) -> int:
        """Ask it to end; return its exit code (negative: ended by that signal)."""
        self.signal(number)
        return self.wait()

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProcessFailedError(f"still there after {seconds} s:\n{self.log_text()}") from None

    def command(self, *arguments: str) -> str:
        """Run another command of the program on the same data; return what it prints."""
        return run_command(*arguments, environment=self.environment)

    def bearer(self, subject: str, scope: str = "") -> dict[str, str]:
        """Return the header of a token such as `token` prints, without starting a process for it."""
        config = load(self.environment)
        lasts = (TOKEN_SECONDS, SystemClock().now())
        token = open_issuer(config).issue(subject, scope.split(), *lasts, config.identity.audience)
        return {"Authorization": f"Bearer {token}"}

    def log_text(self) -> str:
        return self.last_log or self.log_file.read_text(errors="replace")

    def logs(self) -> list[dict[str, Any]]:
        """What it has logged so far; raises ValueError for a whole line that is no JSON object."""
        lines = self.log_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def output(self) -> str:
        return self.output_file.read_text()

    def wait_for_log(self, message: str, seconds: float = START_SECONDS) -> dict[str, Any]:
        """Return the first line whose message begins so."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = [line for line in self.logs() if line["message"].startswith(message)]
            return bool(found)

        wait_until(look, lambda: f"no log line {message!r} in\n{self.log_text()}", seconds)
        return found[0]


@contextmanager
def running(
    arguments: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    data_dir: Path | None = None,
    port: int | None = None,
    until_ready: bool = True,
) -> Iterator[Running]:
    """Start a process; at the end of the block it is gone, with all its children.

    It has only the variables given here: no APP_* of the tester's own. Without `until_ready` it may end
    by itself at once: see `wait`.
    """
    with tempfile.TemporaryDirectory(prefix="reservation-test-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        started = _start(arguments, env or {}, home, data_dir or home / "data", port or free_port())
        try:
            if until_ready:
                wait_until_ready(started, arguments)
            yield started
        finally:
            _end(started)


def wait_until_ready(server: Running, arguments: Sequence[str], seconds: float = START_SECONDS) -> None:
    """Return once all of it is ready; raises ProcessFailedError if it ends instead, or takes too long."""
    count = int(arguments[arguments.index("--workers") + 1]) if "--workers" in arguments else 1
    serves_http = arguments[0] in {"serve", "dev"}

    def look() -> bool:
        if not server.is_alive():
            raise ProcessFailedError(f"ended with {server.process.returncode}:\n{server.log_text()}")
        if serves_http and status_of(server.url + READINESS) != HTTPStatus.OK:
            return False
        return [line["message"] for line in server.logs()].count("ready") >= count

    wait_until(look, lambda: f"not ready:\n{server.log_text()}", seconds)


def run_command(*arguments: str, environment: Mapping[str, str], code: int = 0) -> str:
    """Run a command that ends by itself; return its output, stderr after stdout."""
    finished = subprocess.run(
        [*PROGRAM, *arguments], env=dict(environment), capture_output=True, text=True, timeout=60, check=False
    )
    if finished.returncode != code:
        written = finished.stdout + finished.stderr
        raise ProcessFailedError(f"{arguments} ended with {finished.returncode}:\n{written}")
    return finished.stdout + finished.stderr


def wait_until(
    condition: Callable[[], bool], otherwise: Callable[[], str] = str, seconds: float = START_SECONDS
) -> None:
    """Poll until the condition holds; after so many seconds raises ProcessFailedError with `otherwise`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ProcessFailedError(f"after {seconds} s: {otherwise()}")
        time.sleep(POLL_SECONDS)


def status_of(url: str) -> int | None:
    """Return the status of a GET on a connection of its own; None if nobody answers."""
    try:
        with _opener.open(url, timeout=5) as response:
            return int(response.status)
    except URLError as error:
        return getattr(error, "code", None)
    except OSError:
        return None


def children_of(pid: int) -> list[int]:
    """Return the process ids of a process's living children."""
    return [child for child, parent in _living_processes() if parent == pid]


def is_alive(pid: int) -> bool:
    """Tell whether a process, ours or not, is there and not just waiting to be collected."""
    return any(pid == living for living, _ in _living_processes())


def _living_processes() -> list[tuple[int, int]]:
    """List process and parent ids."""
    if not Path("/proc/self/stat").exists():
        ps = subprocess.run(["ps", "-axo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
        rows = [line.split() for line in ps.stdout.splitlines()]
    else:
        rows = [row for row in map(_proc_row, Path("/proc").glob("[0-9]*/stat")) if row]
    return [(int(pid), int(parent)) for pid, parent, state in rows if not state.startswith("Z")]


def _proc_row(stat: Path) -> list[str]:
    try:
        state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
    except OSError:  # it has just ended
        return []
    return [stat.parent.name, parent, state]


def _start(
    arguments: Sequence[str], env: Mapping[str, str], home: Path, data_dir: Path, port: int
) -> Running:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    ours = {"APP_DATA_DIR": str(data_dir), "APP_HTTP_HOST": HOST, "APP_HTTP_PORT": str(port)}
    environment = {**kept, **ours, **NO_OVERLOAD, "APP_DRAIN_SECONDS": "0", **env}
    log_file, output_file = home / "log", home / "output"
    with log_file.open("wb") as log, output_file.open("wb") as output:
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
            start_new_session=True,
        )
    return Running(process, environment, port, data_dir, log_file, output_file)


def _end(started: Running) -> None:
    """Kill what is left; children first, since only their parent knows them."""
    for child in children_of(started.pid):
        with suppress(ProcessLookupError):
            os.kill(child, SIGKILL)
    if started.is_alive():
        started.kill()
    started.last_log = started.log_text()
