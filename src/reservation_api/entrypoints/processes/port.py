"""Is the port free?

Servers share it by SO_REUSEPORT: a second service would start without a word, and get half the requests.
"""

import socket

from reservation_api.config import ConfigError

_CERTIFICATE_REFUSED = (
    "gRPC does not take the certificate, its key or the authority, though they are sound:"
    " it takes RSA, P-256, P-384, P-521 and Ed25519 keys, in PEM without a byte order mark"
)


class PortUnavailableError(Exception):
    """Nobody can listen there; the message says why."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(f"can not listen on {host} port {port}: {error.strerror or error}")


def check_port(host: str, port: int) -> None:
    """Raise PortUnavailableError unless this process may listen there and nobody does yet."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            # Without SO_REUSEPORT this is refused while anybody listens; with SO_REUSEADDR the
            # connections that the last service has left in TIME_WAIT do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise PortUnavailableError(host, port, error) from error


def why_grpc_does_not_listen(address: tuple[str, int], error: RuntimeError, *, by_tls: bool) -> Exception:
    """Return what to raise: gRPC blames the port for a certificate that it does not take, too."""
    unavailable = PortUnavailableError(*address, OSError(str(error)))
    if not by_tls:
        return unavailable
    try:
        check_port(*address)
    except PortUnavailableError:
        return unavailable
    return ConfigError([_CERTIFICATE_REFUSED])
