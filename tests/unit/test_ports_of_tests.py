"""Test runs beside one another get different ports, and none that a connection may take."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.support.ports import HOST, NoPortLeftError, PortLeases, free_port, is_free

ROOT = Path(__file__).parents[2]
ANOTHER_RUN = """
import sys
from pathlib import Path
from tests.support.ports import PortLeases
leases = PortLeases(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
print(leases.lease(), leases.lease(), flush=True)
sys.stdin.read()
"""


@contextmanager
def another_run(file: Path, first: int, last: int) -> Iterator[set[int]]:
    """Let another process lease two ports of a range; they are its own until the end of the block."""
    command = [sys.executable, "-c", ANOTHER_RUN, str(file), str(first), str(last)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        yield {int(port) for port in process.stdout.readline().split()}
        process.kill()


def range_of(count: int) -> tuple[int, int]:
    """Return the ends of a range of ports that nobody uses."""
    while True:
        first = free_port()
        if all(map(is_free, range(first, first + count))):
            return first, first + count - 1


def test_no_run_gets_a_port_of_another_until_that_has_ended(tmp_path: Path) -> None:
    file, (first, last) = tmp_path / "leases", range_of(4)
    with another_run(file, first, last) as theirs, closing(PortLeases(file, first, last)) as leases:
        ours = {leases.lease(), leases.lease()}
        assert ours | theirs == set(range(first, last + 1))
        with pytest.raises(NoPortLeftError):
            leases.lease()
    with closing(PortLeases(file, first, last)) as leases:
        assert {leases.lease() for _ in range(4)} == ours | theirs


@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_a_port_that_could_be_shared_with_whoever_has_it_is_not_free(option: int) -> None:
    with socket.socket() as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, option, 1)
        theirs.bind((HOST, free_port()))
        assert not is_free(theirs.getsockname()[1])
        theirs.listen()
        assert not is_free(theirs.getsockname()[1])


def test_a_port_whose_connections_are_still_remembered_is_not_free() -> None:
    """A server could have it (SO_REUSEADDR), and could be taken for the one that was there."""
    port = free_port()
    with socket.create_server((HOST, port)) as server, socket.create_connection((HOST, port)) as client:
        server.accept()[0].close()
        assert client.recv(1) == b""
    assert not is_free(port)
    socket.create_server((HOST, port)).close()


def test_no_connection_takes_a_port_that_is_leased_for_later() -> None:
    with socket.socket() as connection:
        connection.bind((HOST, 0))
        of_connections = connection.getsockname()[1]
    assert all(free_port() < of_connections for _ in range(100))
