"""moto's server, a second stand-in for AWS: it refuses malformed events one by one, which ministack does not.

Never for races or load (its transactions are not atomic, and it is slow).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer
from tests.support.ports import HOST


@contextmanager
def moto() -> Iterator[str]:
    """Serve on a free port until the end of the block; yields the URL of every service."""
    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
