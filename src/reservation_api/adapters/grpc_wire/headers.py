"""Header blocks (HPACK, RFC 7541): ours without compression, theirs by the hpack library."""

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

import hpack

from reservation_api.adapters.grpc_wire.frames import ProtocolError

MAX_HEADER_BYTES: Final = 16_384
"""Of one block, decoded; gRPC's own bound is 16 KiB."""
MAX_KNOWN: Final = 64
"""Blocks that are remembered: replies have two, refusals a few more."""
NO_TABLE: Final = b"\x20"
"""Before a connection's first block: we keep no table, so none has to be kept for us."""
_POST: Final = b"\x83"
_HTTP: Final = b"\x86"
_HTTPS: Final = b"\x87"
_PATH, _AUTHORITY = b"\x04", b"\x01"
_NEW_NAME: Final = b"\x00"
_ONE_BYTE: Final = 127
_INDEXED: Final = 0x80
_RESIZING, _ADDING = b"\x20", b"\x40"
"""From the one to the other a block begins that changes the table's size."""
_MAX_TIMEOUT: Final = 99_999_999
USER_AGENT: Final = b"grpc-python-reservation-api/1"

Header = tuple[str, str]


def request_head(path: str, authority: str, *, is_tls: bool) -> bytes:
    """Return the headers that all calls of a method have in common."""
    return b"".join(
        [
            _POST,
            _HTTPS if is_tls else _HTTP,
            _PATH + _text(path.encode("ascii")),
            _AUTHORITY + _text(authority.encode("ascii")),
            field(b"te", b"trailers"),
            field(b"content-type", b"application/grpc"),
            field(b"user-agent", USER_AGENT),
        ]
    )


def timeout_field(seconds: float) -> bytes:
    """Say how long the caller waits: in milliseconds, rounded up, or in seconds if that is too long."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds > _MAX_TIMEOUT:
        return _TIMEOUT + _text(b"%dS" % min(math.ceil(seconds), _MAX_TIMEOUT))
    return _TIMEOUT + _text(b"%dm" % milliseconds)


def metadata_fields(metadata: Iterable[tuple[str, str]]) -> bytes:
    """Return a call's own headers."""
    return b"".join([_name(name) + _text(value.encode("ascii")) for name, value in metadata])


def field(name: bytes, value: bytes) -> bytes:
    """Return a header that is not to be remembered."""
    return _NEW_NAME + _text(name) + _text(value)


@cache  # of a handful
def _name(name: str) -> bytes:
    return _NEW_NAME + _text(name.encode("ascii"))


def _text(text: bytes) -> bytes:
    length = len(text)
    if length < _ONE_BYTE:
        return bytes((length,)) + text
    head, length = bytearray((_ONE_BYTE,)), length - _ONE_BYTE
    while length >= _INDEXED:
        head.append(length & _ONE_BYTE | _INDEXED)
        length >>= 7
    head.append(length)
    return bytes(head) + text


_TIMEOUT: Final = _name("grpc-timeout")


class HeaderReader:
    """Decodes the blocks of one connection, in order: each may refer to those before."""

    __slots__ = ("_decoder", "_known", "_table")

    def __init__(self) -> None:
        self._decoder = hpack.Decoder(max_header_list_size=MAX_HEADER_BYTES)
        self._table = self._decoder.header_table.dynamic_entries
        # A server says the same again and again. What a block means changes only with the table that blocks
        # add to and refer to, and only those that leave it alone are kept.
        self._known: dict[bytes, Sequence[Header]] = {}

    def read(self, block: bytes) -> Sequence[Header]:
        """Return a block's headers; raises ProtocolError."""
        known = self._known.get(block)
        if known is not None:
            return known
        length, newest = len(self._table), self._table[0] if self._table else None
        try:
            told = self._decoder.decode(block, raw=True)
        except hpack.HPACKError as error:
            raise ProtocolError(f"headers that can not be read: {error!r}") from error
        headers = [(str(name, "latin-1"), str(value, "latin-1")) for name, value in told]
        # What is added comes first, and what goes leaves the table shorter.
        is_same = length == len(self._table) and (not length or self._table[0] is newest)
        if not is_same or len(self._known) >= MAX_KNOWN or _RESIZING <= block[:1] < _ADDING:
            self._known.clear()
        else:
            self._known[block] = headers
        return headers
