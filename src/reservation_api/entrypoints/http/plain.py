"""A request that came whole in one packet and is as plain as most are: to know it takes a look, not a parser.

Who is turned away must cost next to nothing, and parsing is most of what is left. Whatever is not plain is no
fault: it is left to the parser. What is plain the parser reads alike (tests/unit/test_http_plain.py), so that
nobody can hide a request behind the difference.
"""

import re
from typing import Final, NamedTuple

MAX_PLAIN_BYTES: Final = 8 * 1024
_HEAD: Final = re.compile(
    rb"(GET|POST) (/[A-Za-z0-9/_.~?=&%,:@-]*+) HTTP/1\.1\r\n(?:[A-Za-z0-9_-]++:[\t -~]*+\r\n)++\r\n"
)
_SPECIAL: Final = re.compile(
    rb"\r\n(?:transfer-encoding|expect|upgrade|proxy-connection|connection(?!: keep-alive\r\n))"
)
"""Names, in lower case, with which bodies end elsewhere, or connections do."""
_LENGTH: Final = re.compile(rb"\r\ncontent-length: ?([0-9]{1,4})\r\n")
_ANY_LENGTH: Final = b"\r\ncontent-length"
_HOST: Final = b"\r\nhost:"


class PlainHeaders:
    """Of a packet; implements request.Headers for those that are asked for once."""

    __slots__ = ("_lower", "_packet")

    def __init__(self, packet: bytes, lower: bytes) -> None:
        self._packet = packet
        self._lower = lower

    def get(self, key: str, /) -> str | None:
        """Return the first value, or None."""
        name = b"\r\n%b:" % key.encode("latin-1")
        at = self._lower.find(name)
        if at < 0:
            return None
        begin = at + len(name)
        return self._packet[begin : self._packet.index(b"\r\n", begin)].decode("latin-1").strip()


class PlainRequest(NamedTuple):
    """What the packet asks for."""

    method: str
    target: bytes
    headers: PlainHeaders


def plain_request(packet: bytes) -> PlainRequest | None:
    """Return the request that the packet is, to its last byte; None if a parser must tell.

    It is of HTTP/1.1, names one host, and the connection stays.
    """
    head = _HEAD.match(packet) if len(packet) <= MAX_PLAIN_BYTES else None
    if head is None:
        return None
    lower = head[0].lower()
    if _SPECIAL.search(lower) or lower.count(_HOST) != 1:
        return None
    length = 0
    if _ANY_LENGTH in lower:
        told = _LENGTH.search(lower)
        if told is None or lower.count(_ANY_LENGTH) != 1:
            return None
        length = int(told[1])
    if head.end() + length != len(packet):
        return None
    return PlainRequest(head[1].decode("ascii"), head[2], PlainHeaders(packet, lower))
