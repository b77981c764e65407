"""Nobody reads stderr or stdout, their disk is full, or they are not there: requests do not notice."""

import fcntl
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGTERM
from typing import Final

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.ports import HOST, free_port
from tests.support.processes import PROGRAM, READINESS, STOP_SECONDS, run_command, status_of, wait_until

pytestmark = pytest.mark.e2e

REQUESTS: Final = 60
PIPE_BYTES: Final = 4096
"""The least that a pipe keeps: a dozen lines."""
F_SETPIPE_SZ: Final = getattr(fcntl, "F_SETPIPE_SZ", None)

Opened = tuple[int, int | None]
"""What the process writes to, and the end that nobody reads."""


def blocked() -> Opened:
    reader, writer = os.pipe()
    if F_SETPIPE_SZ is not None:
        fcntl.fcntl(writer, F_SETPIPE_SZ, PIPE_BYTES)
    return writer, reader


def full() -> Opened:
    return os.open("/dev/full", os.O_WRONLY), None


def gone() -> Opened:
    reader, writer = os.pipe()
    os.close(reader)
    return writer, None


class Server:
    """A server whose streams are in trouble."""

    def __init__(self, process: "subprocess.Popen[bytes]", environment: dict[str, str]) -> None:
        self.process = process
        self.environment = environment
        self.url = f"http://{HOST}:{environment['APP_HTTP_PORT']}"
        self.management = f"http://{HOST}:{environment['APP_MANAGEMENT_PORT']}"

    def dropped(self, signal: str) -> float:
        text = httpx.get(f"{self.management}/actuator/prometheus", trust_env=False).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "telemetry_dropped_total" and sample.labels["signal"] == signal
        )

    def stop(self) -> int:
        self.process.send_signal(SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def serving(folder: Path, streams: Callable[[], Opened] | None) -> Iterator[Server]:
    """Start a server, both streams on the same trouble; None: without any."""
    environment = {
        "PATH": os.environ["PATH"],
        "APP_DATA_DIR": str(folder / "data"),
        "APP_HTTP_HOST": HOST,
        "APP_HTTP_PORT": str(free_port()),
        "APP_MANAGEMENT_PORT": str(free_port()),
        "APP_DRAIN_SECONDS": "0",
        "APP_METRICS_EMF": "true",
    }
    with ExitStack() as stack:
        if streams is None:
            command = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *PROGRAM, "serve"]
            out = None
        else:
            command = [*PROGRAM, "serve"]
            out, unread = streams()
            stack.callback(os.close, out)
            if unread is not None:
                stack.callback(os.close, unread)
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
        stack.callback(process.wait, STOP_SECONDS)
        stack.callback(process.kill)
        server = Server(process, environment)
        wait_until(lambda: status_of(server.url + READINESS) == 200)
        yield server


def look_at_orders(server: Server) -> set[int]:
    token = run_command("token", "--sub", "alice", environment=server.environment).strip()
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=10, trust_env=False) as client:
        return {client.get("/v1/orders").status_code for _ in range(REQUESTS)}


@pytest.mark.parametrize("streams", [blocked, full, gone, None], ids=["blocked", "full", "gone", "closed"])
def test_streams_in_trouble_neither_hold_requests_up_nor_the_end(
    tmp_path: Path, streams: Callable[[], Opened] | None
) -> None:
    with serving(tmp_path, streams) as server:
        assert look_at_orders(server) == {200}
        if streams in {full, gone}:
            wait_until(lambda: server.dropped("logs") >= REQUESTS)
        assert server.stop() == 0
    if streams is None:  # what is opened first did not become stderr
        assert not [
            path for path in (tmp_path / "data").iterdir() if b'"message":"request"' in path.read_bytes()
        ]


def test_a_log_that_is_read_again_goes_on_where_it_was(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    lines: list[bytes] = []

    def read() -> None:
        with os.fdopen(reader, "rb") as stream:
            lines.extend(stream)

    with serving(tmp_path, lambda: (os.dup(writer), None)) as server:
        os.close(writer)
        assert look_at_orders(server) == {200}
        reading = threading.Thread(target=read)
        reading.start()
        assert server.stop() == 0
    reading.join()
    assert sum(b'"message":"request"' in line for line in lines) == REQUESTS
    assert b'"message":"ended"' in lines[-1]
