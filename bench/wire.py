"""HTTP/1.1 as the load generator needs it: requests into bytes, and pieces of bytes into responses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_HEAD_BYTES = 65_536
MAX_BODY_BYTES = 16 * 1024 * 1024
"""A peer that sends more is broken, and a benchmark must not fill the machine's memory."""
MAX_CHUNK_SIZE_DIGITS = 8


class MalformedResponseError(Exception):
    """The peer sent something that is not an HTTP/1.1 response."""


class Request(NamedTuple):
    """One request as a workload makes it; `host` and `content-length` are added when it is sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """One whole response; `keep_alive` says whether the connection may be used again."""

    status: int
    body: bytes
    keep_alive: bool
    fields: Mapping[bytes, bytes] = field(default_factory=dict, compare=False)
    """Its headers, by their names in lower case."""


def render(request: Request, host: str) -> bytes:
    """Write a request as bytes.

    Raises ValueError for HEAD: its answer announces a body that never comes.
    """
    if request.method == "HEAD":
        raise ValueError("HEAD is not supported")
    fields = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
    length = f"content-length: {len(request.body)}\r\n" if request.body or request.method != "GET" else ""
    head = f"{request.method} {request.path} HTTP/1.1\r\nhost: {host}\r\n{fields}{length}\r\n"
    return head.encode("latin-1") + request.body


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    keep_alive: bool
    chunked: bool
    length: int | None
    """None without `chunked`: the body ends where the connection does (RFC 9112 section 6.3)."""
    fields: Mapping[bytes, bytes]


class ResponseReader:
    """Puts the responses of one connection together, one request at a time (no pipelining)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._body = bytearray()
        self._head: _Head | None = None

    @property
    def has_leftover(self) -> bool:
        """Whether there are bytes that belong to no response that was asked for."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Response | None:
        """Take the next bytes; return the response when they complete it, else None.

        Raises MalformedResponseError.
        """
        self._buffer += data
        if self._head is None:
            self._head = self._take_head()
        if self._head is None or not self._take_body(self._head):
            return None
        return self._complete(self._head)

    def end(self) -> Response | None:
        """Take the end of the stream; return the response if that is what ends it, else None."""
        head = self._head
        if head is None or head.chunked or head.length is not None:
            return None
        return self._complete(head)

    def _complete(self, head: _Head) -> Response:
        response = Response(head.status, bytes(self._body), head.keep_alive, head.fields)
        self._head = None
        self._body.clear()
        return response

    def _take_head(self) -> _Head | None:
        """Return the next final head; interim ones (1xx) are passed over."""
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = _parse_head(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            if head.status >= 200:
                return head
        if len(self._buffer) > MAX_HEAD_BYTES:
            raise MalformedResponseError("the head is too long")
        return None

    def _take_body(self, head: _Head) -> bool:
        if head.chunked:
            return self._take_chunks()
        if head.length is not None and len(self._buffer) < head.length:
            return False
        size = len(self._buffer) if head.length is None else head.length
        self._append(0, size)
        del self._buffer[:size]
        return head.length is not None

    def _take_chunks(self) -> bool:
        while (line_end := self._buffer.find(b"\r\n")) >= 0:
            size = _chunk_size(bytes(self._buffer[:line_end]))
            if size == 0:
                return self._take_trailers(line_end)
            end = line_end + 2 + size
            if len(self._buffer) < end + 2:
                return False
            if self._buffer[end : end + 2] != b"\r\n":
                raise MalformedResponseError("a chunk is longer than it says")
            self._append(line_end + 2, end)
            del self._buffer[: end + 2]
        if len(self._buffer) > MAX_HEAD_BYTES:
            raise MalformedResponseError("a chunk has no size")
        return False

    def _take_trailers(self, line_end: int) -> bool:
        """Drop the last chunk's line and what follows it, up to the empty line."""
        end = self._buffer.find(b"\r\n\r\n", line_end)
        if end < 0:
            return False
        del self._buffer[: end + 4]
        return True

    def _append(self, start: int, end: int) -> None:
        self._body += self._buffer[start:end]
        if len(self._body) > MAX_BODY_BYTES:
            raise MalformedResponseError("the body is too long")


def _parse_head(head: bytes) -> _Head:
    first, *lines = head.split(b"\r\n")
    version, _, rest = first.partition(b" ")
    code, _, _ = rest.partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(code) != 3 or not code.isdigit():
        raise MalformedResponseError(f"not a status line: {first[:80]!r}")
    status, fields = int(code), _parse_fields(lines)
    if _has_no_body(status):
        return _Head(status, _keeps_alive(version, fields), False, 0, fields)
    chunked = fields.get(b"transfer-encoding", b"").lower().endswith(b"chunked")
    length = _content_length(fields)
    delimited = chunked or length is not None
    return _Head(status, delimited and _keeps_alive(version, fields), chunked, length, fields)


def _keeps_alive(version: bytes, fields: dict[bytes, bytes]) -> bool:
    options = [option.strip() for option in fields.get(b"connection", b"").lower().split(b",")]
    return b"close" not in options if version == b"HTTP/1.1" else b"keep-alive" in options


def _parse_fields(lines: list[bytes]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise MalformedResponseError(f"not a header: {line[:80]!r}")
        name = name.lower()
        value = value.strip()
        if name == b"content-length" and fields.get(name, value) != value:
            raise MalformedResponseError("two different content-length headers")
        fields[name] = value
    return fields


def _content_length(fields: dict[bytes, bytes]) -> int | None:
    if b"transfer-encoding" in fields or b"content-length" not in fields:
        return None
    text = fields[b"content-length"]
    if not text.isdigit() or int(text) > MAX_BODY_BYTES:
        raise MalformedResponseError(f"not a content-length: {text[:80]!r}")
    return int(text)


def _has_no_body(status: int) -> bool:
    return status < 200 or status in (204, 304)


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not 0 < len(digits) <= MAX_CHUNK_SIZE_DIGITS or digits.strip(b"0123456789abcdefABCDEF"):
        raise MalformedResponseError(f"not a chunk size: {line[:80]!r}")
    return int(digits, 16)
