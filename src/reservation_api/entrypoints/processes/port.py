"""Is the port free?

Servers share it by SO_REUSEPORT: a second service would start without a word, and get half the requests.
"""

import os
import socket


class PortUnavailableError(Exception):
    """Nobody can listen there; the message says why."""


def check_port(host: str, port: int) -> None:
    """Raise PortUnavailableError unless this process may listen there and nobody does yet."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # Without SO_REUSEPORT this is refused while anybody listens; with SO_REUSEADDR the
            # connections that the last service has left in TIME_WAIT do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise PortUnavailableError(f"can not listen on {host} port {port}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "there is no such host"
    return os.strerror(error.errno).lower() if error.errno else str(error)
