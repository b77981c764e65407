"""Just enough HTTP/2 (RFC 9113) and gRPC to answer unary calls some milliseconds later, cheaply.

A grpc.aio server costs more a call than the service that asks, and shares its core with the load generator:
this one costs a fraction of it. It reads no header (what is asked is seen in the message), and so needs no
HPACK decoder; its own headers are literals that need no table (RFC 7541 section 6.2.2).
"""

import asyncio
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, cast

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0x0, 0x1, 0x4, 0x6, 0x8
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 0x1, 0x1, 0x4, 0x8
_FRAME_HEAD: Final = 9
_GRPC_HEAD: Final = 5
_WINDOW: Final = 2**30
"""What a peer may send on a connection before it hears of us: renewed long before that is used up."""
_MAX_MESSAGE_BYTES: Final = 1 << 20

Reply = Callable[[bytes], bytes]
"""From a message to its answer."""


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """Write a header field without indexing; names and values here are shorter than 127 bytes."""
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


_STATUS_200: Final = b"\x88"
_HEAD: Final = _STATUS_200 + _literal(b"content-type", b"application/grpc")
_TRAILER: Final = _literal(b"grpc-status", b"0")
_OPENING: Final = _frame(_SETTINGS, 0, 0, b"") + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WINDOW))


def _answer(stream: int, message: bytes) -> bytes:
    body = struct.pack(">BI", 0, len(message)) + message
    return (
        _frame(_HEADERS, _END_HEADERS, stream, _HEAD)
        + _frame(_DATA, 0, stream, body)
        + _frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, _TRAILER)
    )


class CannedGrpc(asyncio.Protocol):
    """One connection: each call is answered by `reply`, after the next of the `delays` in seconds."""

    def __init__(self, reply: Reply, delays: Iterator[float]) -> None:
        self._reply = reply
        self._delays = delays
        self._buffer = b""
        self._has_greeted = False
        self._messages: dict[int, bytes] = {}
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what HTTP/2 wants to hear first."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it
        self._loop = asyncio.get_running_loop()
        self._transport.write(_OPENING)

    def data_received(self, data: bytes) -> None:
        """Take whole frames off what has come."""
        buffer = self._buffer + data
        if not self._has_greeted:
            if len(buffer) < len(_PREFACE):
                self._buffer = buffer
                return
            self._has_greeted, buffer = True, buffer[len(_PREFACE) :]
        at, end = 0, len(buffer)
        while end - at >= _FRAME_HEAD:
            length = int.from_bytes(buffer[at : at + 3], "big")
            until = at + _FRAME_HEAD + length
            if until > end:
                break
            stream = int.from_bytes(buffer[at + 5 : at + _FRAME_HEAD], "big")
            self._take(buffer[at + 3], buffer[at + 4], stream, buffer[at + _FRAME_HEAD : until])
            at = until
        self._buffer = buffer[at:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._take_data(flags, stream, payload)
        elif kind == _SETTINGS and not flags & _ACK:
            self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, payload))

    def _take_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._renew_window(len(payload))
        if flags & _PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        message = self._messages.pop(stream, b"") + payload
        if not flags & _END_STREAM:
            if len(message) > _MAX_MESSAGE_BYTES:
                self._transport.abort()
                return
            self._messages[stream] = message
            return
        answer = _answer(stream, self._reply(message[_GRPC_HEAD:]))
        self._loop.call_later(next(self._delays), partial(self._write, answer))

    def _renew_window(self, received: int) -> None:
        self._received += received
        if self._received > _WINDOW // 2:
            update = struct.pack(">I", self._received)
            self._transport.write(_frame(_WINDOW_UPDATE, 0, 0, update))
            self._received = 0

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)
