"""OTLP over HTTP: one body sent once, and what the collector made of it (OTLP specification, "OTLP/HTTP")."""

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

SEND_SECONDS: Final = 10.0
"""From the first byte to the last: a collector that takes longer is as good as none."""
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_WAIT_SECONDS: Final = 300.0
"""However long a collector asks us to wait."""
_LATER: Final = frozenset({429, 502, 503, 504})
"""What the specification lets be sent again; anything else would be refused again."""
_HEADERS: Final = {
    "content-type": "application/x-protobuf",
    "content-encoding": "gzip",
    "accept-encoding": "identity",  # what is counted is what there is: nothing unfolds in our memory
}
_OK: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Taken; `body` is the collector's answer."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """Not taken, and never will be."""

    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """Not taken now, or nobody knows; to be sent again."""

    reason: str
    wait_seconds: float | None = None
    """As the collector asked."""


Verdict = Accepted | Refused | Later


class OtlpSender:
    """Sends to one address. It believes no proxy of the environment and follows nobody elsewhere."""

    def __init__(self, url: str, now: Callable[[], datetime], send_seconds: float = SEND_SECONDS) -> None:
        self._url = url
        self._now = now
        self._send_seconds = send_seconds
        self._client = httpx.AsyncClient(
            timeout=send_seconds, trust_env=False, limits=httpx.Limits(max_connections=1)
        )

    async def send(self, body: bytes) -> Verdict:
        """Send once, compressed beside the event loop; never raises but for cancellation."""
        packed = await asyncio.to_thread(gzip.compress, body, 5, mtime=0)
        try:
            async with asyncio.timeout(self._send_seconds):
                return await self._post(packed)
        except TimeoutError:
            return Later(f"no answer within {self._send_seconds:g} s")
        except httpx.HTTPError as error:
            return Later(f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Give back the connection; may be repeated."""
        await self._client.aclose()

    async def _post(self, packed: bytes) -> Verdict:
        async with self._client.stream("POST", self._url, content=packed, headers=_HEADERS) as response:
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    break
        if response.status_code in _OK:
            return Accepted(body)
        if response.status_code in _LATER:
            wait = _wait_of(response.headers.get("retry-after"), self._now())
            return Later(f"status {response.status_code}", wait)
        return Refused(f"status {response.status_code}")


def _wait_of(header: str | None, now: datetime) -> float | None:
    """Read Retry-After (RFC 9110 section 10.2.3), seconds or a date; None if it is neither."""
    if header is None:
        return None
    try:
        seconds = float(header) if header.isdigit() else _seconds(now, parsedate_to_datetime(header))
    except ValueError:
        return None
    return min(max(seconds, 0.0), MAX_WAIT_SECONDS)


def _seconds(now: datetime, then: datetime) -> float:
    return (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds()
