"""One HTTP/2 connection to a peer: calls side by side, each a stream with a deadline of its own.

A call ends by its reply, by a reset of either side, by its deadline, by its caller, or with the connection.
Whatever ends it, the peer is told, and nothing that comes for it later reaches another call.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, cast

import grpc

from reservation_api.adapters.grpc_wire import frames
from reservation_api.adapters.grpc_wire.frames import Frame, FrameReader, ProtocolError, frame, frame_head
from reservation_api.adapters.grpc_wire.headers import MAX_HEADER_BYTES, NO_TABLE, HeaderReader
from reservation_api.adapters.grpc_wire.statuses import (
    MAX_MESSAGE_BYTES,
    PREFIX,
    UntouchedError,
    answer,
    failed,
    reset,
)

STREAM_WINDOW: Final = MAX_MESSAGE_BYTES + frames.DEFAULT_FRAME
"""The largest message fits, so that no stream's window ever has to grow."""
CONNECTION_WINDOW: Final = 4 * STREAM_WINDOW
LAST_STREAM: Final = 2**31 - 1
PROBE_SECONDS: Final = 5.0
"""How long a connection on which a call timed out in silence has to say anything."""
PROBE_PAUSE_SECONDS: Final = 30.0
"""Servers close the connection of a client that pings more often."""

_OUR_SETTINGS: Final = {frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW}
_HELLO: Final = (
    frames.PREFACE
    + frames.settings_frame(_OUR_SETTINGS)
    + frames.number_frame(frames.WINDOW_UPDATE, 0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW)
)


class _Stream:
    """A call under way."""

    __slots__ = ("body", "headers", "length", "reply", "unsent", "window")

    def __init__(self, reply: "asyncio.Future[bytes]", window: int) -> None:
        self.reply = reply
        self.window = window
        self.unsent = b""
        self.headers: dict[str, str] | None = None
        self.body: list[bytes] = []
        self.length = 0


class Connection(asyncio.Protocol):
    """Made by an event loop's `create_connection`; ready once the peer has said its settings."""

    def __init__(self, probe_seconds: float = PROBE_SECONDS) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.on_room: Callable[[int], None] | None = None
        """Called when there is room for so many more calls than before."""
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._header_reader = HeaderReader()
        self._streams: dict[int, _Stream] = {}
        self._next_id = 1
        self._first_block = NO_TABLE
        self._block: tuple[int, int, bytes] | None = None
        """Stream, flags and bytes of a header block that goes on in another frame."""
        self._max_streams = 100
        self._max_frame = frames.DEFAULT_FRAME
        self._stream_window = frames.DEFAULT_WINDOW
        self.window = frames.DEFAULT_WINDOW
        """How much may be sent, by all calls together, until the peer has read."""
        self._unread_window = 0
        self._is_leaving = False
        self._clog: asyncio.TimerHandle | None = None
        """The peer does not read: calls would only fill our memory."""
        self._probe_seconds = probe_seconds
        self._heard_at = 0.0
        self._probed_at = -PROBE_PAUSE_SECONDS

    @property
    def has_room(self) -> bool:
        """Whether one more call can be made on it now."""
        return not self._is_leaving and self._clog is None and len(self._streams) < self._max_streams

    @property
    def is_open(self) -> bool:
        """Whether calls can be made on it, if not now."""
        return self._transport is not None and not self._is_leaving and self.ready.done()

    async def call(self, head: bytes, message: bytes, seconds: float) -> bytes:
        """Send a message and return the reply's; raises grpc.aio.AioRpcError. There must be room."""
        stream_id, sent_at = self._next_id, self._loop.time()
        self._next_id += 2
        stream = self._streams[stream_id] = _Stream(self._loop.create_future(), self._stream_window)
        if self._next_id > LAST_STREAM:
            self.leave()
        self._send(stream_id, stream, head, message)
        timer = self._loop.call_later(seconds, self._expire, stream_id, sent_at)
        try:
            return await stream.reply
        finally:
            timer.cancel()
            if stream_id in self._streams:
                self._end(stream_id, tell=True)

    def leave(self) -> None:
        """Take no more calls; close when those under way have ended."""
        self._is_leaving = True
        if not self._streams:
            self._write(frames.goaway_frame(frames.NO_ERROR))
            self._close()

    def abort(self, error: Exception) -> None:
        """End what is under way with this error, and close at once; may be repeated."""
        self._is_leaving = True
        for stream_id in list(self._streams):
            self._fail(stream_id, error)
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello, from the event loop."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(_HELLO)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear that it is gone, from the event loop: nobody knows what became of the calls."""
        self._transport, self._is_leaving = None, True
        why = failed(grpc.StatusCode.UNAVAILABLE, f"the connection is gone: {exc or 'closed by the peer'}")
        for stream_id in list(self._streams):
            self._fail(stream_id, why)
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(str(exc or "closed before it was ready")))
        if not self.lost.done():
            self.lost.set_result(None)

    def eof_received(self) -> None:
        """Hear that the peer says no more: the event loop closes, and a call made meanwhile would be lost."""
        self._is_leaving = True

    def pause_writing(self) -> None:
        """Hear that the peer does not read; it is given some time to."""
        why = failed(grpc.StatusCode.UNAVAILABLE, "the peer does not read")
        self._clog = self._loop.call_later(self._probe_seconds, self.abort, why)

    def resume_writing(self) -> None:
        """Hear that it does."""
        if self._clog is not None:
            self._clog.cancel()
            self._clog = None
        self._tell_of_room(self._max_streams)

    def data_received(self, data: bytes) -> None:
        """Take frames, from the event loop."""
        self._heard_at = self._loop.time()
        try:
            for one in self._reader.feed(data):
                self._take(one)
        except ProtocolError as error:
            self._write(frames.goaway_frame(frames.PROTOCOL_ERROR))
            self.abort(failed(grpc.StatusCode.UNAVAILABLE, f"the peer does not speak HTTP/2: {error}"))

    def _take(self, one: Frame) -> None:
        if self._block is not None and one.kind != frames.CONTINUATION:
            raise ProtocolError("headers that do not go on")
        take = _TAKERS.get(one.kind)
        if take is not None:  # what is unknown is ignored (RFC 9113 section 4.1)
            take(self, one)

    def _take_opening(self, one: Frame) -> None:
        self._take_headers(one.stream_id, one.flags, one.content())

    def _take_continuation(self, one: Frame) -> None:
        if self._block is None or self._block[0] != one.stream_id:
            raise ProtocolError("headers go on that were not begun")
        (stream_id, flags, block), self._block = self._block, None
        self._take_headers(stream_id, flags | one.flags & frames.END_HEADERS, block + one.payload)

    def _take_reset(self, one: Frame) -> None:
        self._fail(one.stream_id, reset(frames.number_of(one.payload)))

    def _take_ping(self, one: Frame) -> None:
        if not one.flags & frames.ACK and self._clog is None:
            self._write(frame(frames.PING, frames.ACK, 0, one.payload))

    def _take_promise(self, _: Frame) -> None:
        raise ProtocolError("a promise that was declined")

    def _take_headers(self, stream_id: int, flags: int, block: bytes) -> None:
        if not flags & frames.END_HEADERS:
            if len(block) > MAX_HEADER_BYTES:
                raise ProtocolError("headers without an end")
            self._block = (stream_id, flags, block)
            return
        headers = self._header_reader.read(block)  # also those of a call that has ended: the next build on it
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if stream.headers is None:
            stream.headers = dict(headers)
            if stream.headers.get(":status", "").startswith("1"):
                stream.headers = None  # more are to come
                return
            if flags & frames.END_STREAM:
                self._finish(stream_id, stream, stream.headers)
        elif flags & frames.END_STREAM:
            self._finish(stream_id, stream, dict(headers))
        else:
            raise ProtocolError("headers in the middle")

    def _take_data(self, one: Frame) -> None:
        self._unread_window += len(one.payload)
        if self._unread_window > CONNECTION_WINDOW // 2:
            self._write(frames.number_frame(frames.WINDOW_UPDATE, 0, self._unread_window))
            self._unread_window = 0
        stream = self._streams.get(one.stream_id)
        if stream is None:
            return
        data = one.content()
        stream.length += len(data)
        if stream.length > MAX_MESSAGE_BYTES + PREFIX:
            why = failed(grpc.StatusCode.RESOURCE_EXHAUSTED, f"a reply above {MAX_MESSAGE_BYTES} bytes")
            self._fail(one.stream_id, why, tell=True)
            return
        stream.body.append(data)
        if one.flags & frames.END_STREAM:
            self._finish(one.stream_id, stream, {})

    def _finish(self, stream_id: int, stream: _Stream, trailers: dict[str, str]) -> None:
        body = stream.body[0] if len(stream.body) == 1 else b"".join(stream.body)
        try:
            reply = answer(stream.headers or {}, trailers, body)
        except grpc.aio.AioRpcError as error:
            self._fail(stream_id, error, tell=bool(stream.unsent))
            return
        self._end(stream_id, tell=bool(stream.unsent))
        if not stream.reply.done():
            stream.reply.set_result(reply)

    def _fail(self, stream_id: int, error: Exception, *, tell: bool = False) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        self._end(stream_id, tell=tell)
        if not stream.reply.done():
            stream.reply.set_exception(error)

    def _end(self, stream_id: int, *, tell: bool) -> None:
        """Forget a call; tell the peer unless it knows."""
        del self._streams[stream_id]
        if tell:
            self._write(frames.number_frame(frames.RST_STREAM, stream_id, frames.CANCEL))
        if self._is_leaving and not self._streams:
            self.leave()
        self._tell_of_room(1)

    def _tell_of_room(self, calls: int) -> None:
        if self.on_room is not None:
            self.on_room(calls)

    def _expire(self, stream_id: int, sent_at: float) -> None:
        self._fail(stream_id, failed(grpc.StatusCode.DEADLINE_EXCEEDED, "no reply in time"), tell=True)
        now = self._loop.time()
        # uvloop's time stands still within a turn: what was heard at the instant of sending came before.
        if self._heard_at <= sent_at and now - self._probed_at > PROBE_PAUSE_SECONDS:
            self._probed_at, self._heard_at = now, 0.0
            self._write(frame(frames.PING, 0, 0, bytes(8)))
            self._loop.call_later(self._probe_seconds, self._judge)

    def _judge(self) -> None:
        """Give up a connection that said nothing since: a balancer has forgotten it, or the peer is gone."""
        if not self._heard_at and self._transport is not None:
            self.abort(failed(grpc.StatusCode.UNAVAILABLE, "the connection is dead"))

    def _send(self, stream_id: int, stream: _Stream, head: bytes, message: bytes) -> None:
        block, self._first_block = self._first_block + head, b""
        opening = frame_head(len(block), frames.HEADERS, frames.END_HEADERS, stream_id) + block
        length = len(message) + PREFIX
        data = b"\x00" + len(message).to_bytes(4, "big") + message
        if length <= stream.window and length <= self.window and length <= self._max_frame:
            self.window -= length
            self._write(opening + frame_head(length, frames.DATA, frames.END_STREAM, stream_id) + data)
        else:
            stream.unsent = data
            self._write(opening)
            self._send_more(stream_id, stream)

    def _send_more(self, stream_id: int, stream: _Stream) -> None:
        while stream.unsent:
            length = min(len(stream.unsent), stream.window, self.window, self._max_frame)
            if length <= 0:
                return
            data, stream.unsent = stream.unsent[:length], stream.unsent[length:]
            stream.window -= length
            self.window -= length
            self._write(frame(frames.DATA, 0 if stream.unsent else frames.END_STREAM, stream_id, data))

    def _take_growth(self, one: Frame) -> None:
        growth = frames.number_of(one.payload)
        whose = self._streams.get(one.stream_id) if one.stream_id else self
        if whose is None:
            return  # a call that has ended
        if growth == 0 or whose.window + growth > frames.MAX_WINDOW:
            raise ProtocolError("a window that can not be")
        whose.window += growth
        if isinstance(whose, _Stream):
            self._send_more(one.stream_id, whose)
        else:
            self._send_all()

    def _take_settings(self, one: Frame) -> None:
        if one.flags & frames.ACK:
            return
        settings = frames.settings_of(one.payload)
        self._max_streams = settings.get(frames.MAX_CONCURRENT_STREAMS, self._max_streams)
        self._max_frame = settings.get(frames.MAX_FRAME_SIZE, self._max_frame)
        window = settings.get(frames.INITIAL_WINDOW_SIZE, self._stream_window)
        if window > frames.MAX_WINDOW or not frames.DEFAULT_FRAME <= self._max_frame <= frames.MAX_FRAME:
            raise ProtocolError("settings that can not be")
        growth, self._stream_window = window - self._stream_window, window
        self._write(frame(frames.SETTINGS, frames.ACK, 0, b""))
        for stream in self._streams.values():
            stream.window += growth
        self._send_all()
        if not self.ready.done():
            self.ready.set_result(None)
        self._tell_of_room(self._max_streams)

    def _take_goodbye(self, one: Frame) -> None:
        last_stream_id = frames.last_stream_of(one.payload)
        self._is_leaving = True
        why = UntouchedError(grpc.StatusCode.UNAVAILABLE, details="the peer closes the connection")
        for stream_id in [each for each in self._streams if each > last_stream_id]:
            self._fail(stream_id, why)
        if not self._streams:
            self._close()

    def _send_all(self) -> None:
        for stream_id, stream in self._streams.items():
            self._send_more(stream_id, stream)

    def _close(self) -> None:
        """Close once the peer has what was written, which a dead one never has."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            self._loop.call_later(self._probe_seconds, self._transport.abort)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


_TAKERS: Final[Mapping[int, Callable[[Connection, Frame], None]]] = {
    frames.DATA: Connection._take_data,  # noqa: SLF001 (a table of its own methods)
    frames.HEADERS: Connection._take_opening,  # noqa: SLF001
    frames.RST_STREAM: Connection._take_reset,  # noqa: SLF001
    frames.SETTINGS: Connection._take_settings,  # noqa: SLF001
    frames.PUSH_PROMISE: Connection._take_promise,  # noqa: SLF001
    frames.PING: Connection._take_ping,  # noqa: SLF001
    frames.GOAWAY: Connection._take_goodbye,  # noqa: SLF001
    frames.WINDOW_UPDATE: Connection._take_growth,  # noqa: SLF001
    frames.CONTINUATION: Connection._take_continuation,  # noqa: SLF001
}
