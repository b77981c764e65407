"""A collector that is not ours: rotel (PyPI), an OTLP receiver in Rust, which passes on what it takes.

with sink() as arrived, rotel(arrived) as endpoint:
    …  # send to endpoint; look into `arrived`
"""

import importlib.util
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.otlp_sink import Sink
from tests.support.ports import HOST, free_port
from tests.support.processes import status_of, wait_until

BATCH = "100ms"
STOP_SECONDS = 10.0


def _program() -> Path:
    spec = importlib.util.find_spec("rotel")
    if spec is None or spec.origin is None:
        pytest.skip("rotel has wheels for Linux and Python up to 3.13 only")
    return Path(spec.origin).parent / "rotel-agent"


@contextmanager
def rotel(arrived: Sink) -> Iterator[str]:
    """Start it; it passes on over HTTP. Yields the URL for OTLP_ENDPOINT."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rotel-") as folder, (Path(folder) / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(_program(), "start", "--pid-file", f"{folder}/pid", "--log-file", f"{folder}/agent.log"),
                *("--otlp-http-endpoint", f"{HOST}:{port}", "--otlp-grpc-endpoint", f"{HOST}:{free_port()}"),
                *("--exporter", "otlp", "--otlp-exporter-protocol", "http", "--batch-timeout", BATCH),
                *("--otlp-exporter-endpoint", f"http://{HOST}:{arrived.port}"),
            ],
            env={"PATH": os.environ["PATH"], "HOME": folder},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            wait_until(lambda: status_of(f"http://{HOST}:{port}/") is not None)
            yield f"http://{HOST}:{port}/v1/metrics"
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)
