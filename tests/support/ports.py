"""Ports for servers that must be told one: nobody else gets it, in this test run or in another beside it."""

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

HOST = "127.0.0.1"
FIRST_PORT = 20_000
"""Fewer services are at home above it than below."""
LAST_PORT = 32_767
"""Above it is where kernels take the ports of outgoing connections from, unless told otherwise."""
_PORTS_OF_CONNECTIONS = Path("/proc/sys/net/ipv4/ip_local_port_range")


class NoPortLeftError(AssertionError):
    """Every port is leased or in use."""


class PortLeases:
    """Leases ports of a range, for as long as the process lives: a lease is a lock on one byte of a file.

    The kernel frees the locks of a process that ends, however it ends; a forked child has none of them.
    """

    def __init__(self, file: Path, first: int, last: int) -> None:
        self._file = file.open("wb")
        self._left = list(range(first, last + 1))
        random.shuffle(self._left)  # a process finds its first free one at once, beside any number of others

    def lease(self) -> int:
        """Return a port that nobody listens on and no lease has; raises NoPortLeftError."""
        while self._left:
            port = self._left.pop()
            if self._is_locked(port) and is_free(port):
                return port
        raise NoPortLeftError("every port is leased or in use")

    def close(self) -> None:
        """End all leases."""
        self._file.close()

    def _is_locked(self, port: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except BlockingIOError:
            return False
        return True


def free_port() -> int:
    """Lease a port of this machine to this process."""
    return _leases().lease()


def is_free(port: int) -> bool:
    """Tell whether nobody has the port, nor had it a moment ago: SO_REUSEADDR would not see the latter."""
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


@cache
def _leases() -> PortLeases:
    file = Path(tempfile.gettempdir(), f"reservation-test-ports-{os.getuid()}")
    return PortLeases(file, FIRST_PORT, _last_port())


def _last_port() -> int:
    """Return the last port that the kernel gives to no connection; if it gives all, the usual one."""
    if not _PORTS_OF_CONNECTIONS.exists():
        return LAST_PORT
    first_of_connections = int(_PORTS_OF_CONNECTIONS.read_text().split()[0])
    return min(LAST_PORT, first_of_connections - 1) if first_of_connections > FIRST_PORT else LAST_PORT
