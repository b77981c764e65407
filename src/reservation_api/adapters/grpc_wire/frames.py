"""HTTP/2 frames, as far as unary calls need them (RFC 9113 section 4 and 6)."""

from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Final, NamedTuple

DATA: Final = 0
HEADERS: Final = 1
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITY: Final = 0x20

ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5

NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
REFUSED_STREAM: Final = 7
CANCEL: Final = 8

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DEFAULT_WINDOW: Final = 65_535
DEFAULT_FRAME: Final = 16_384
"""The longest payload, unless the other side allows more; we do not."""
MAX_FRAME: Final = 2**24 - 1
MAX_WINDOW: Final = 2**31 - 1
_PADDED_OR_PRIORITY: Final = PADDED | PRIORITY
_HEAD: Final = 9
_FRAME_HEAD: Final = Struct(">HBBBI")
"""The length in two parts, since it has three bytes; kind, flags, stream."""
_STREAM_MASK: Final = 0x7FFF_FFFF
_SETTING: Final = Struct(">HI")
_NUMBER: Final = Struct(">I")
_GOODBYE: Final = Struct(">II")


class ProtocolError(Exception):
    """What came is not HTTP/2."""


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes

    def content(self) -> bytes:
        """Return the payload without padding and priority; raises ProtocolError."""
        payload, padding = self.payload, 0
        if not self.flags & _PADDED_OR_PRIORITY:
            return payload
        if self.flags & PADDED:
            if not payload:
                raise ProtocolError("a padded frame without a length")
            padding, payload = payload[0], payload[1:]
        if self.kind == HEADERS and self.flags & PRIORITY:
            payload = payload[5:]
        if padding > len(payload):
            raise ProtocolError("a frame of nothing but padding")
        return payload[: len(payload) - padding] if padding else payload


class FrameReader:
    """Takes bytes as they come, gives frames when they are whole."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield what is whole now; raises ProtocolError for a frame longer than is allowed."""
        data = self._rest + data if self._rest else data
        at, end = 0, len(data)
        while end - at >= _HEAD:
            high, low, kind, flags, stream_id = _FRAME_HEAD.unpack_from(data, at)
            length = high << 8 | low
            if length > DEFAULT_FRAME:
                raise ProtocolError("a frame that is too long")
            after = at + _HEAD + length
            if after > end:
                break
            yield Frame(kind, flags, stream_id & _STREAM_MASK, data[at + _HEAD : after])
            at = after
        self._rest = data[at:]


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Return a frame as it goes over the wire."""
    return frame_head(len(payload), kind, flags, stream_id) + payload


def frame_head(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    """Return what comes before a payload of this length."""
    return (((length << 8 | kind) << 8 | flags) << 32 | stream_id).to_bytes(_HEAD, "big")


def settings_frame(settings: Mapping[int, int]) -> bytes:
    """Return our settings."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in settings.items()))


def settings_of(payload: bytes) -> dict[int, int]:
    """Return the other side's; raises ProtocolError."""
    if len(payload) % _SETTING.size:
        raise ProtocolError("settings that are cut off")
    return dict(_SETTING.iter_unpack(payload))


def number_frame(kind: int, stream_id: int, number: int) -> bytes:
    """Return a frame of one number: a window's growth, or the reason of a reset."""
    return frame(kind, 0, stream_id, _NUMBER.pack(number))


def number_of(payload: bytes) -> int:
    """Return the number of such a frame; raises ProtocolError."""
    if len(payload) != _NUMBER.size:
        raise ProtocolError("a frame of another length")
    number: int = _NUMBER.unpack(payload)[0]
    return number & _STREAM_MASK


def goaway_frame(error: int) -> bytes:
    """Return our last word."""
    return frame(GOAWAY, 0, 0, _GOODBYE.pack(0, error))


def last_stream_of(payload: bytes) -> int:
    """Return the last stream that the other side has looked at; raises ProtocolError."""
    if len(payload) < _GOODBYE.size:
        raise ProtocolError("a good-bye that is cut off")
    return number_of(payload[: _NUMBER.size])
