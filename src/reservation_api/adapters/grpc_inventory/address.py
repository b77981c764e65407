"""Where a peer is: `host:port` as plain text, `grpcs://host:port` or `https://host` over TLS."""

import re
from dataclasses import dataclass

PLAIN_SCHEMES = frozenset({"grpc", "http", "dns"})
TLS_SCHEMES = frozenset({"grpcs", "https"})
HTTPS_PORT = 443
MAX_PORT = 65_535

_ADDRESS = re.compile(
    r"(?:(?P<scheme>[a-z]+)://(?:/(?=.))?)?"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a peer listens."""

    host: str
    """A name, of which every address is used, or an address; IPv6 without brackets."""
    port: int
    is_tls: bool


def parse_address(text: str) -> PeerAddress:
    """Read an address; raises ValueError with a sentence for the operator."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError(f"not an address: {text!r}; give host:port, or grpcs://host:port for TLS")
    scheme = match["scheme"] or "grpc"
    if scheme not in PLAIN_SCHEMES | TLS_SCHEMES:
        raise ValueError(f"not a scheme for gRPC: {scheme!r}; grpcs:// is TLS, no scheme is plain text")
    is_tls = scheme in TLS_SCHEMES
    return PeerAddress(match["host"].strip("[]"), _port(match["port"], scheme, text), is_tls)


def _port(digits: str | None, scheme: str, text: str) -> int:
    if digits is None and scheme == "https":
        return HTTPS_PORT
    if digits is None or not 1 <= int(digits) <= MAX_PORT:
        raise ValueError(f"no port from 1 to {MAX_PORT} in {text!r}")
    return int(digits)
