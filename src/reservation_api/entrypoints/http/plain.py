"""A request that came whole in one packet and is as plain as most are: to know it takes a look, not a parser.

Who is turned away must cost next to nothing, and parsing is most of what is left. Whatever is not plain is no
fault: it is left to the parser. What is plain the parser reads alike (tests/unit/test_http_plain.py), so that
nobody can hide a request behind the difference.
"""

import re
import string
from typing import Final, NamedTuple

MAX_PLAIN_BYTES: Final = 8 * 1024
_METHODS: Final = {b"GET": "GET", b"POST": "POST"}
_TARGET: Final = re.compile(rb"/[A-Za-z0-9/_.~?=&%,:@-]*")
_TEXT: Final = bytes(range(0x20, 0x7F)) + b"\t"
_NAME: Final = (string.ascii_lowercase + string.digits + "-_").encode("ascii")
_SPECIAL: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"proxy-connection", b""})
"""With these, bodies end elsewhere, or connections do; and what is no name at all."""


class PlainHeaders:
    """Implements the part of request.Headers that tells of a trace."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[bytes, bytes]) -> None:
        self._fields = fields

    def get(self, key: str, /) -> str | None:
        """Return the value, or None."""
        value = self._fields.get(key.encode("latin-1"))
        return None if value is None else value.strip().decode("latin-1")


class PlainRequest(NamedTuple):
    """What the packet asks for."""

    method: str
    target: bytes
    headers: PlainHeaders


def plain_request(packet: bytes) -> PlainRequest | None:
    """Return the request that the packet is, to its last byte; None if a parser must tell.

    It is of HTTP/1.1, has no header twice and names its host, and the connection stays.
    """
    lines = packet.split(b"\r\n") if len(packet) <= MAX_PLAIN_BYTES else []
    # The only empty line is the one before the body, and a line break is never half a one.
    if b"" not in lines or lines.index(b"") != len(lines) - 2:
        return None
    if packet.translate(None, _TEXT) != b"\r\n" * (len(lines) - 1):
        return None
    method, _, rest = lines[0].partition(b" ")
    target, _, version = rest.partition(b" ")
    if method not in _METHODS or version != b"HTTP/1.1" or not _TARGET.fullmatch(target):
        return None
    fields = _fields(lines[1:-2])
    if fields is None or fields.get(b"content-length", b"0").strip() != b"%d" % len(lines[-1]):
        return None
    return PlainRequest(_METHODS[method], target, PlainHeaders(fields))


def _fields(lines: list[bytes]) -> dict[bytes, bytes] | None:
    """Return the headers by their names in lower case; None if one is special, or none."""
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        fields[name.lower() if colon else b""] = value
    if len(fields) != len(lines) or b"host" not in fields or not _SPECIAL.isdisjoint(fields):
        return None
    if b"".join(fields).translate(None, _NAME):
        return None
    return fields if fields.get(b"connection", b"keep-alive").strip() == b"keep-alive" else None
