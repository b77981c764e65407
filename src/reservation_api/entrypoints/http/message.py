"""A request as it comes in, and the head of a response as it goes out (RFC 9110, RFC 9112)."""

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from time import monotonic, time
from typing import Final
from urllib.parse import unquote_to_bytes

from reservation_api.entrypoints.http.refusals import (
    HttpRefusedError,
    IncompleteBodyError,
    PayloadTooLargeError,
    SlowBodyError,
)
from reservation_api.entrypoints.http.request import MAX_BODY_BYTES, HeaderList, Response

INTERNAL_ERROR: Final = Response(500, [], b"")
"""What is answered where no handler can."""
_FIRST_WITH_BODY: Final = 200
_WITHOUT_BODY: Final = frozenset({204, 304})
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\ndate: ".encode("ascii")
    for status in HTTPStatus
    if status >= _FIRST_WITH_BODY
}


class RequestHeaders:
    """Implements request.Headers; names are kept in lower case, and decoded when they are asked for."""

    __slots__ = ("_first", "_more")

    def __init__(self) -> None:
        self._first: dict[bytes, bytes] = {}
        self._more: list[tuple[bytes, bytes]] = []

    def add(self, name: bytes, value: bytes) -> None:
        """Add one, by its lower-case name."""
        if name in self._first:
            self._more.append((name, value))
        else:
            self._first[name] = value

    def raw(self, name: bytes) -> bytes | None:
        """Return the first value as it was sent."""
        return self._first.get(name)

    def get(self, key: str, /) -> str | None:
        """Return the first value, or None."""
        value = self._first.get(key.encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    def get_all(self, key: str, /) -> list[str]:
        """Return every value, one per header line."""
        name = key.encode("latin-1")
        first = self._first.get(name)
        if first is None:
            return []
        values = [first.decode("latin-1")]
        if self._more:
            values += [value.decode("latin-1") for other, value in self._more if other == name]
        return values


class Message:
    """One request while it comes in; implements request.Body."""

    __slots__ = (
        "_chunks",
        "_fault",
        "_invite",
        "_length",
        "_reader",
        "_reads_since",
        "head_bytes",
        "headers",
        "is_headed",
        "is_old",
        "is_whole",
        "keeps_alive",
        "method",
        "target",
    )

    def __init__(self, invite: Callable[[], None]) -> None:
        self.method = ""
        self.target = b""
        self.headers = RequestHeaders()
        self.head_bytes = 0
        self.is_headed = False
        """Whether the headers are whole."""
        self.is_old = False
        """HTTP/1.0: the connection is closed unless the answer says otherwise."""
        self.keeps_alive = False
        """Whether the client would like another request to follow."""
        self.is_whole = False
        self._invite = invite
        self._chunks: list[bytes] = []
        self._length = 0
        self._fault: HttpRefusedError | None = None
        self._reader: asyncio.Future[None] | None = None
        self._reads_since = 0.0

    @property
    def has_body(self) -> bool:
        """Whether the headers tell of one."""
        length = self.headers.raw(b"content-length")
        return self.headers.raw(b"transfer-encoding") is not None or length not in {None, b"0"}

    @property
    def is_on_its_way(self) -> bool:
        """Whether what is left of the body will come without being asked for, and be short."""
        length = self.headers.raw(b"content-length")
        is_short = length is not None and int(length) <= MAX_BODY_BYTES and self._fault is None
        return is_short and not self._waits_to_be_asked

    @property
    def _waits_to_be_asked(self) -> bool:
        return (self.headers.raw(b"expect") or b"").lower() == b"100-continue" and not self.is_old

    @property
    def is_plain(self) -> bool:
        """Whether all on the way read it alike.

        It names the host it is meant for, once, as all but HTTP/1.0 must (RFC 9112 section 3.2), and has no
        chunks in HTTP/1.0, which a proxy of that age takes for the body's bytes (section 6.1).
        """
        hosts = len(self.headers.get_all("host"))
        if self.is_old:
            return hosts <= 1 and self.headers.raw(b"transfer-encoding") is None
        return hosts == 1

    async def read(self) -> bytes:
        """Return the whole body; see request.Body."""
        if not self.is_whole and self._fault is None:
            # A decimal number below 2**64: the parser refuses any other.
            if int(self.headers.raw(b"content-length") or 0) > MAX_BODY_BYTES:
                raise _too_large()
            if self._waits_to_be_asked:
                self._invite()
            self._reader = asyncio.get_running_loop().create_future()
            self._reads_since = monotonic()
            await self._reader
        if self._fault is not None:
            raise self._fault
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    def take(self, data: bytes) -> None:
        """Add to the body, no further than its bound."""
        self._length += len(data)
        if self._length > MAX_BODY_BYTES:
            self.overflow()
        elif self._fault is None:
            self._chunks.append(data)

    def complete(self) -> None:
        """Hear that all of it has come."""
        self.is_whole = True
        self._wake()

    def overflow(self) -> None:
        """Hear that it is longer than any may be."""
        self._chunks.clear()
        self._fail(_too_large())

    def break_off(self) -> None:
        """Hear that no more of it will come."""
        self._fail(IncompleteBodyError("the body ended before it was complete"))

    def give_up(self, reading_since: float) -> None:
        """Wait for the body no longer if it has been waited for since then."""
        if self._reader is not None and not self._reader.done() and self._reads_since <= reading_since:
            self._fail(SlowBodyError("the body took too long to arrive"))

    def _fail(self, fault: HttpRefusedError) -> None:
        if not self.is_whole and self._fault is None:
            self._fault = fault
            self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def target_of(target: bytes) -> tuple[str, str]:
    """Return path, decoded, and query, as sent, of a target in origin or absolute form."""
    if not target.startswith(b"/"):
        _, scheme, rest = target.partition(b"://")
        target = b"/" + rest.partition(b"/")[2] if scheme else target
    path, _, query = target.partition(b"#")[0].partition(b"?")
    if b"%" in path:
        path = unquote_to_bytes(path)
    return path.decode("utf-8", "replace"), query.decode("latin-1")


def head_of(
    status: int,
    headers: HeaderList,
    length: int,
    *,
    is_last: bool,
    is_old: bool = False,
) -> bytes:
    """Return status line and headers, to the empty line; raises ValueError for a header that is none."""
    return begin_of(status) + fields_of(status, headers, length, is_last=is_last, is_old=is_old)


def begin_of(status: int) -> bytes:
    """Return the status line and the date: what is the same at one time."""
    return b"%b%b\r\n" % (_STATUS_LINES[status], _date(int(time())))


def fields_of(
    status: int, headers: HeaderList, length: int, *, is_last: bool = False, is_old: bool = False
) -> bytes:
    """Return the other headers, to the empty line: what is the same at all times; raises ValueError."""
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    if status not in _WITHOUT_BODY:
        lines.append(f"content-length: {length}\r\n")
    if is_last:
        lines.append("connection: close\r\n")
    elif is_old:
        lines.append("connection: keep-alive\r\n")
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        raise ValueError("a header has a line break in it")
    return b"%b\r\n" % text.encode("latin-1")


def _date(second: int) -> bytes:
    """Return the date, which is written anew each second."""
    if second != _LAST.second:
        _LAST.second = second
        _LAST.text = formatdate(second, usegmt=True).encode("ascii")
    return _LAST.text


class _LastDate:
    second = 0
    text = b""


_LAST: Final = _LastDate()


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(f"a body is at most {MAX_BODY_BYTES} bytes")
