"""Starts the servers that stand in for AWS, each on a free port of this machine."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.ministack import ministack
from tests.support.processes import HOST, free_port, status_of, wait_until

from testkit.backends import ACCOUNT

_STOP_SECONDS = 10.0


@contextmanager
def stand_ins(logs: Path) -> Iterator[dict[str, str]]:
    """Run ministack and moto; yield their addresses by name."""
    with ministack(MINISTACK_ACCOUNT_ID=ACCOUNT) as first, _moto(logs / "moto.log") as second:
        yield {"ministack": first.url, "moto": second}


@contextmanager
def _moto(log: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=os.environ | {"MOTO_ACCOUNT_ID": ACCOUNT},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            wait_until(lambda: status_of(f"http://{HOST}:{port}/moto-api/") is not None, log.read_text)
            yield f"http://{HOST}:{port}"
        finally:
            process.kill()  # it holds nothing that is kept, and takes its time over ending by itself
            process.wait(_STOP_SECONDS)
