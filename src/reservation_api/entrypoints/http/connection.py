"""One client's connection: requests one after another, each answered before the next is begun.

bytes ─▶ llhttp ─▶ headers whole ─▶ api ─┬─▶ refused at once ─────▶ response
                   the rest of the packet │
                   is a body, as a rule   └─▶ a task: reads the body ─▶ response

What can not be understood is answered with 400 or 431, and ends the connection: what follows it could be
anything. So does an answer that was given before the body had come, unless that was refused at once, and the
rest of it is short and on its way: closing connections in an overload would make it worse.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Final, Protocol, cast

import httptools

from reservation_api.entrypoints.http.message import (
    INTERNAL_ERROR,
    Message,
    head_of,
    target_of,
)
from reservation_api.entrypoints.http.request import MAX_BODY_BYTES, Answer, Request, Response

MAX_HEADER_BYTES: Final = 16 * 1024
"""Request line and headers together; a token is 1 to 2 KB. Above: 431."""
MAX_MESSAGE_BYTES: Final = MAX_HEADER_BYTES + 8 * MAX_BODY_BYTES
"""With the framing of chunks, and trailers, which nobody needs. Above: the body is too large."""
LINGER_SECONDS: Final = 2.0
"""For a client to read an answer while it still sends: a socket closed on unread bytes would take it back."""
_BAD_REQUEST: Final = 400
_HEADERS_TOO_LARGE: Final = 431
_OLD: Final = "1.0"
_VERSIONS: Final = frozenset({_OLD, "1.1"})

Api = Callable[[Request], Answer]

log = logging.getLogger("reservation_api.http")


class Listener(Protocol):
    """Whoever accepted the connection."""

    in_flight: int
    is_stopping: bool
    """After the request under way, no other."""

    def opened(self, connection: "Connection") -> bool:
        """Count it in; False: there is no room for it."""
        ...

    def closed(self, connection: "Connection") -> None:
        """Count it out."""
        ...


TurnAway = Callable[[bytes], bytes | None]
"""Answers a packet without looking closer, or does not."""


def nobody(_packet: bytes) -> None:
    """Turn nobody away."""


class Connection(asyncio.Protocol):
    """Made by an event loop's `create_server`."""

    def __init__(self, api: Api, listener: Listener, turn_away: TurnAway = nobody) -> None:
        self.quiet_since = monotonic()
        """When the last answer was written: of a request that has not wholly come there is no other time."""
        self._api = api
        self._listener = listener
        self._turn_away = turn_away
        self._loop = asyncio.get_running_loop()  # kept: Python 3.11 asks the system for each look at it
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._unparsed = b""
        """What came behind requests that are still waiting: they are bounded, so it is read no further."""
        self._waiting: deque[Message] = deque()
        self._receiving: Message | None = None
        self._serving: Message | None = None
        self._task: asyncio.Task[None] | None = None
        self._received_bytes = 0
        """Of the message that is being received."""
        self._refusal: int | None = None
        """Why nothing more is understood: what is answered once all before it is."""
        self._is_deaf = False
        """Nothing that comes is looked at any more."""
        self._has_ended = False
        """Nor is anything written: the last answer is on its way."""
        self._takes_no_more = False
        """The client reads too slowly: its answers are already waiting for it."""

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way."""
        return self._serving is not None

    @property
    def _is_idle(self) -> bool:
        """Whether what comes now is a request's first byte, and the connection will be kept.

        Whoever waits does so behind one that is served, or for the client to read.
        """
        is_answering = self._serving is not None or self._takes_no_more
        is_reading = self._receiving is not None or self._is_deaf
        return not (is_answering or is_reading or self._listener.is_stopping)

    @property
    def _has_no_more(self) -> bool:
        return self._is_deaf and not self._waiting and self._refusal is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, from the event loop."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not of that class
        if not self._listener.opened(self):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (why it went changes nothing)
        """Hear that the connection is gone; what is under way goes on to its end."""
        self._transport = None
        self._is_deaf = True
        self._waiting.clear()
        if self._receiving is not None:
            self._receiving.break_off()
        self._listener.closed(self)

    def eof_received(self) -> bool:
        """Hear that the client sends no more; keep the connection while an answer is owed."""
        self._is_deaf = True
        if self._receiving is not None:
            self._receiving.break_off()
        return self.is_busy or not (self._has_ended or self._has_no_more)

    def pause_writing(self) -> None:
        """Hear that the client does not read."""
        self._takes_no_more = True

    def resume_writing(self) -> None:
        """Hear that it does."""
        self._takes_no_more = False
        self._next()

    def data_received(self, data: bytes) -> None:
        """Parse what came, from the event loop, unless it is turned away at the door."""
        if self._is_idle and (refusal := self._turn_away(data)) is not None and self._transport is not None:
            self._transport.write(refusal)
            self.quiet_since = monotonic()
            return
        if self._unparsed:
            self._unparsed += data
            return
        at = 0
        while at < len(data) and not self._is_deaf:
            if self._waiting:
                self._unparsed = data[at:]
                if self._transport is not None:
                    self._transport.pause_reading()
                return
            self._parse(data[at : at + MAX_HEADER_BYTES] if len(data) > MAX_HEADER_BYTES else data)
            at += MAX_HEADER_BYTES

    def _parse(self, data: bytes) -> None:
        before = self._receiving
        self._received_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._is_deaf = True  # nothing else is spoken here: the request is answered as any other
        except httptools.HttpParserError:
            self._give_up(_BAD_REQUEST)
        # Another began in this slice: of that one no more than a slice has come.
        if self._receiving is not None and self._receiving is before:
            self._check_size(before)
        self._next()

    def _check_size(self, receiving: Message) -> None:
        if not receiving.is_headed and self._received_bytes > MAX_HEADER_BYTES:
            self._give_up(_HEADERS_TOO_LARGE)
        elif receiving.is_headed and self._received_bytes > MAX_MESSAGE_BYTES:
            receiving.overflow()
            self._is_deaf = True

    def _give_up(self, status: int) -> None:
        """Look at nothing that comes from now on; say so when it is this message's turn."""
        if self._is_deaf:
            return
        self._is_deaf = True
        receiving = self._receiving
        if receiving is not None and receiving.is_headed:
            receiving.break_off()  # its handler answers
            return
        self._refusal = status

    def on_message_begin(self) -> None:
        """Begin a request, from the parser."""
        self._receiving = Message(self._invite)
        self._received_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the target, from the parser."""
        if self._receiving is not None:
            self._receiving.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, from the parser; what comes after a body is no header."""
        receiving = self._receiving
        if receiving is not None and not receiving.is_headed:
            receiving.head_bytes += len(name) + len(value)
            receiving.headers.add(name.lower(), value)

    def on_headers_complete(self) -> None:
        """Put the request in line, from the parser; its turn comes when all of the packet has been parsed."""
        receiving = self._receiving
        if receiving is None or self._is_deaf:
            return
        if receiving.head_bytes + len(receiving.target) > MAX_HEADER_BYTES:
            self._give_up(_HEADERS_TOO_LARGE)
            return
        receiving.is_headed = True
        receiving.method = self._parser.get_method().decode("latin-1")
        version = self._parser.get_http_version()
        receiving.is_old = version == _OLD
        is_spoken = version in _VERSIONS and receiving.is_plain
        # The parser would take the body of an upgrade for another protocol's.
        if not is_spoken or (self._parser.should_upgrade() and receiving.has_body):
            receiving.is_headed = False
            self._give_up(_BAD_REQUEST)
            return
        receiving.keeps_alive = self._parser.should_keep_alive()
        self._waiting.append(receiving)

    def on_body(self, data: bytes) -> None:
        """Take a part of the body, from the parser."""
        if self._receiving is not None:
            self._receiving.take(data)

    def on_message_complete(self) -> None:
        """End a request, from the parser."""
        receiving, self._receiving = self._receiving, None
        if receiving is not None:
            receiving.complete()

    def _next(self) -> None:
        """Take the next requests, if some have come and the client takes its answers, until one is served."""
        while self._waiting and self._is_free:
            message = self._waiting.popleft()
            path, query = target_of(message.target)
            answer = self._api(Request(message.method, path, query, message.headers, message))
            if isinstance(answer, Response):
                self._answer(message, answer, is_whole=message.is_whole or message.is_on_its_way)
                continue
            self._serving = message
            self._listener.in_flight += 1
            self._task = self._loop.create_task(self._serve(message, answer))
        if not self._waiting and self._unparsed and not self._is_deaf:
            self._read_on()
        elif not self._waiting and self._is_free:
            self._end_if_deaf()

    @property
    def _is_free(self) -> bool:
        return self._serving is None and not (self._takes_no_more or self._has_ended)

    def _read_on(self) -> None:
        """Look at what else has come: the rest of a body that is being waited for may be in it."""
        unparsed, self._unparsed = self._unparsed, b""
        if self._transport is not None:
            self._transport.resume_reading()
        self.data_received(unparsed)

    def _end_if_deaf(self) -> None:
        if self._transport is None or not self._is_deaf:
            return
        if self._refusal is not None:
            self._transport.write(head_of(self._refusal, [], 0, is_last=True))
        self._end()

    async def _serve(self, message: Message, answer: Awaitable[Response]) -> None:
        response = INTERNAL_ERROR
        try:
            response = await answer
        finally:  # an API that raises is told of by the event loop
            self._listener.in_flight -= 1
            self._serving = self._task = None
            self._answer(message, response, is_whole=message.is_whole)
            self._next()

    def _answer(self, message: Message, response: Response, *, is_whole: bool) -> None:
        """Write it; another request can only follow if this one is whole, or will be."""
        transport = self._transport
        if transport is None:
            return
        keeps_alive = message.keeps_alive and is_whole and not self._has_no_more
        is_last = self._listener.is_stopping or not keeps_alive
        status, headers, length = response.status, response.headers, len(response.body)
        try:
            head = head_of(status, headers, length, is_last=is_last, is_old=message.is_old)
        except ValueError:
            log.exception("a response has a header that is none")
            response, is_last = INTERNAL_ERROR, True
            head = head_of(response.status, response.headers, len(response.body), is_last=True)
        transport.write(head if message.method == "HEAD" else head + response.body)
        self.quiet_since = monotonic()
        if is_last:
            self._end()

    def _invite(self) -> None:
        """Ask for the body of a client that waits to be asked (RFC 9110 section 10.1.1)."""
        if self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _end(self) -> None:
        """Close, once the client has what was written; `sweep` ends what outlasts its patience."""
        self._is_deaf = self._has_ended = True
        self._waiting.clear()
        self.quiet_since = monotonic()
        transport = self._transport
        if transport is None:
            return
        if self._receiving is None and self._refusal is None:
            transport.close()
        elif transport.can_write_eof():
            self._receiving = None
            with suppress(OSError):  # it has hung up, and we are yet to hear of it
                transport.write_eof()

    def close_if_idle(self) -> None:
        """Close a connection on which no answer is owed, being read, or being asked for."""
        if not self.is_busy and not self._waiting and self._receiving is None and not self._has_ended:
            self.close()

    def close(self) -> None:
        """Close, once the client has what was written."""
        self._is_deaf = self._has_ended = True
        if self._transport is not None:
            self._transport.close()

    def sweep(self, now: float, idle_since: float, reading_since: float) -> None:
        """End what takes too long: a request's body, its headers, or the reading of an answer."""
        if self._serving is not None:
            self._serving.give_up(reading_since)
        elif self._transport is not None:
            has_ended = self._is_deaf and now - self.quiet_since > LINGER_SECONDS
            if self.quiet_since <= idle_since or (has_ended and not self._takes_no_more):
                self._transport.abort()
