"""What the end of a call means, as a gRPC status (gRPC over HTTP/2, and its mapping of HTTP statuses)."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

import grpc
import grpc.aio

from reservation_api.adapters.grpc_wire import frames

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""gRPC's own bound for what is received."""
PREFIX: Final = 5
"""One byte that says whether a message is compressed, four of its length."""
_BY_NUMBER: Final = {str(status.value[0]): status for status in grpc.StatusCode}
_HTTP: Final = {
    "400": grpc.StatusCode.INTERNAL,
    "401": grpc.StatusCode.UNAUTHENTICATED,
    "403": grpc.StatusCode.PERMISSION_DENIED,
    "404": grpc.StatusCode.UNIMPLEMENTED,
    "429": grpc.StatusCode.UNAVAILABLE,
    "502": grpc.StatusCode.UNAVAILABLE,
    "503": grpc.StatusCode.UNAVAILABLE,
    "504": grpc.StatusCode.UNAVAILABLE,
}
_RESETS: Final = {
    frames.CANCEL: grpc.StatusCode.CANCELLED,
    0xB: grpc.StatusCode.RESOURCE_EXHAUSTED,
    0xC: grpc.StatusCode.PERMISSION_DENIED,
}


class UntouchedError(grpc.aio.AioRpcError):
    """The peer said that it did not look at the call: to send it again is safe, whatever it is."""


def failed(status: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    """Return the error of a call."""
    return grpc.aio.AioRpcError(status, details=details)


def reset(error: int) -> grpc.aio.AioRpcError:
    """Return what a stream that the peer has reset means."""
    if error == frames.REFUSED_STREAM:
        return UntouchedError(grpc.StatusCode.UNAVAILABLE, details="the peer refused the call")
    return failed(_RESETS.get(error, grpc.StatusCode.INTERNAL), f"the peer reset the call: {error}")


def answer(headers: Mapping[str, str], trailers: Mapping[str, str], body: bytes) -> bytes:
    """Return the one message of a call that has ended; raises grpc.aio.AioRpcError."""
    told = trailers.get("grpc-status")
    if told is None:
        http = headers.get(":status", "")
        status = grpc.StatusCode.UNKNOWN if http == "200" else _HTTP.get(http, grpc.StatusCode.UNKNOWN)
        raise failed(status, f"HTTP {http} without a gRPC status")
    if told != "0":
        status = _BY_NUMBER.get(told, grpc.StatusCode.UNKNOWN)
        raise failed(status, unquote(trailers.get("grpc-message", "")))
    if len(body) < PREFIX or int.from_bytes(body[1:PREFIX], "big") != len(body) - PREFIX:
        raise failed(grpc.StatusCode.INTERNAL, "a reply that is not one message")
    if body[0]:
        raise failed(grpc.StatusCode.UNIMPLEMENTED, "a compressed reply, which was not asked for")
    return body[PREFIX:]
