"""Starts the servers that stand in for AWS, each on a free port of this machine."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.ministack import ministack
from tests.support.ports import HOST, free_port
from tests.support.processes import status_of, wait_until

from testkit.backends import ACCOUNT

_START_SECONDS = 90.0
"""moto imports for a second or two, and a busy machine has others to serve."""
_STOP_SECONDS = 30.0
_FORGET: Final = {"ministack": "/_ministack/reset", "moto": "/moto-api/reset"}


@contextmanager
def stand_ins(logs: Path) -> Iterator[dict[str, str]]:
    """Run ministack and moto; yield their addresses by name."""
    with ministack(MINISTACK_ACCOUNT_ID=ACCOUNT) as first, _moto(logs / "moto.log") as second:
        yield {"ministack": first.url, "moto": second}


def forget_all(servers: Mapping[str, str]) -> None:
    """Leave stand-ins as if they had just been started, which takes longer: moto reads all of EC2 then."""
    for name, path in _FORGET.items():
        request = urllib.request.Request(servers[name] + path, method="POST")
        with urllib.request.urlopen(request, timeout=_STOP_SECONDS):
            pass


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
            wait_until(
                lambda: status_of(f"http://{HOST}:{port}/moto-api/") is not None,
                log.read_text,
                _START_SECONDS,
            )
            yield f"http://{HOST}:{port}"
        finally:
            process.kill()  # it holds nothing that is kept, and takes its time over ending by itself
            process.wait(_STOP_SECONDS)
