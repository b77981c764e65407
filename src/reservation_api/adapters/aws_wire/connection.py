"""One connection: one request at a time, and the whole of its reply.

A connection is good for another request only after a reply that was whole, said nothing of closing, and had
nothing after it. Bytes that nobody asked for, a time-out, a cancelled caller: it is closed, so that no reply
can reach the wrong call.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import httptools

_HTTP_OK = 200


class NotSentError(Exception):
    """No byte of the request has left."""


class ReplyLostError(Exception):
    """The request, or a part of it, may have left, and no usable reply came."""


class Reply(NamedTuple):
    """A whole reply."""

    status: int
    body: bytes
    headers: Mapping[bytes, bytes]
    """Names in lower case. Empty with 200: nobody looks at them."""


class Connection(asyncio.Protocol):
    """Made by an event loop's `create_connection`; `on_lost` is called once when it is gone."""

    def __init__(self, max_reply_bytes: int, on_lost: "Callable[[Connection], None]") -> None:
        self.is_usable = False
        """Open, and no reply is owed on it once `exchange` has returned."""
        self.retires_at = 0.0
        self.idle_since = 0.0
        self._max_reply_bytes = max_reply_bytes
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()  # kept: Python 3.11 asks the system for each look at it
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Reply] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received_bytes = 0
        self._body: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        # The parser looks callbacks up when it is made; this one costs no frame of ours for each header.
        self.on_header = self._headers.__setitem__
        self._parser = httptools.HttpResponseParser(self)

    def exchange(self, request: bytes, seconds: float) -> "asyncio.Future[Reply]":
        """Send a request and return its reply to come; who is left without one must `abort` the connection.

        Raises NotSentError; the future has ReplyLostError.
        """
        if not self.is_usable or self._transport is None:
            raise NotSentError("the connection was closed before the request was sent")
        self._received_bytes = 0
        self._reply = reply = self._loop.create_future()
        self._transport.write(request)
        self._timer = self._loop.call_later(seconds, self._time_out, seconds)
        return reply

    def abort(self) -> None:
        """Close it at once; may be repeated."""
        self.is_usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, from the event loop."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not of that class
        self.is_usable = True

    def data_received(self, data: bytes) -> None:
        """Parse what came, from the event loop."""
        self._received_bytes += len(data)
        if self._received_bytes > self._max_reply_bytes:
            self._fail(f"the reply has more than {self._max_reply_bytes} bytes")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"the reply is no HTTP: {error}")

    def eof_received(self) -> None:
        """Hear that the service sends no more, from the event loop, which closes the transport then."""
        self._fail("the service closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear that the connection is gone, from the event loop."""
        self._fail(f"the connection broke: {exc!r}" if exc else "the connection was closed")
        self._transport = None
        self._on_lost(self)

    def on_message_begin(self) -> None:
        """Begin a reply, from the parser; one that nobody waits for spoils the connection."""
        self._headers.clear()
        self._body.clear()
        if self._reply is None:
            self.abort()

    def on_body(self, data: bytes) -> None:
        """Take a part of the body, from the parser."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Hand the reply over, from the parser."""
        status = self._parser.get_status_code()
        if status < _HTTP_OK:
            return  # 100 Continue and its like come before the reply (RFC 9110 section 15.2)
        reply = self._end_wait()
        if not self._parser.should_keep_alive():
            self.abort()
        if reply is not None:
            headers = {} if status == _HTTP_OK else {k.lower(): v for k, v in self._headers.items()}
            reply.set_result(Reply(status, b"".join(self._body), headers))

    def _time_out(self, seconds: float) -> None:
        self._fail(f"no reply within {seconds:.3g} s")

    def _fail(self, why: str) -> None:
        reply = self._end_wait()
        self.abort()
        if reply is not None:
            reply.set_exception(ReplyLostError(why))

    def _end_wait(self) -> "asyncio.Future[Reply] | None":
        """Return whom to tell, if somebody still waits."""
        reply, self._reply = self._reply, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return None if reply is None or reply.done() else reply
