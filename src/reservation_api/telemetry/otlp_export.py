"""A signal sent to a collector, again and again, beside everything else a process does.

interval   what has come up since the last batch becomes a batch
taken      the next interval makes the next batch
not now    the very same batch is sent again after a while, and what comes up meanwhile waits where it is:
           there is one batch at most. Instruments go on counting, so the next one covers all the time that
           the collector was away; spans wait in a queue that has an end
refused    the batch is dropped, and counted in TelemetryDropped
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol

from google.protobuf.message import DecodeError

from reservation_api.telemetry.instruments import Counter
from reservation_api.telemetry.otlp_http import Accepted, Later, OtlpSender, Refused, Verdict

FLUSH_SECONDS: Final = 3.0
"""For the last batches; other stages of a shutdown want time, too."""
BACKOFF_CAP_SECONDS: Final = 60.0
GIVE_UP_SECONDS: Final = 900.0
"""A batch that is the reason why the collector fails must not keep all later ones back for ever."""
TELL_SECONDS: Final = 60.0
"""A collector that is away is told of so often."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """So many items, and how they are written: that is done beside the event loop."""

    count: int
    encode: Callable[[], bytes]


class Signal(Protocol):
    """What there is to send of one kind."""

    @property
    def name(self) -> str:
        """Its name: `metrics`, `traces`."""
        ...

    @property
    def items(self) -> str:
        """What it consists of, in the plural."""
        ...

    @property
    def interval_seconds(self) -> float:
        """How often it is sent."""
        ...

    def take(self) -> Taken | None:
        """Return the next batch, which is the caller's from now on; None: there is nothing to tell."""
        ...

    def waiting(self) -> int:
        """Return how many items are lost if the process ends without another `take`."""
        ...

    def is_pressing(self) -> bool:
        """Tell whether the next batch should not wait for the interval."""
        ...

    def rejected(self, body: bytes) -> tuple[int, str]:
        """Return how many items an answer says were rejected, and why; raises DecodeError."""
        ...


@dataclass(frozen=True, slots=True)
class _Batch:
    body: bytes
    count: int
    made_at: float
    """By the monotonic clock."""


class Exporter:
    """Sends one signal of one process."""

    def __init__(self, signal: Signal, sender: OtlpSender, dropped: Counter) -> None:
        self._signal = signal
        self._sender = sender
        self._dropped = dropped
        self._batch: _Batch | None = None
        self._failures = 0
        self._tell = Seldom(TELL_SECONDS)

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until asked to stop, and then what there still is: that takes FLUSH_SECONDS at most."""
        sending = asyncio.create_task(self._send_until(stopping))
        await stopping.wait()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await sending
                await self._flush()
        except TimeoutError:
            self._dropped.inc(self._signal.waiting())
            self._drop("the collector did not take the last of them in time")

    async def _send_until(self, stopping: asyncio.Event) -> None:
        wait = random.uniform(0, self._signal.interval_seconds)  # noqa: S311 (not all processes at the same moment)
        while not await _is_set_within(stopping, wait):
            wait = await self.send_once()

    async def send_once(self) -> float:
        """Send the batch that waits, or the next; return after how many seconds to go on."""
        try:
            batch = self._batch = self._batch or await self._next_batch()
            if batch is None:
                return self._signal.interval_seconds
            return self._settle(batch, await self._sender.send(batch.body))
        except Exception:  # noqa: BLE001 (whatever is wrong with telemetry, the service goes on)
            _log.exception("%s can not be sent", self._signal.name)
            self._drop("they can not be sent")
            return self._signal.interval_seconds

    async def _flush(self) -> None:
        """Send what waits and what has come up since, for as long as the caller lets it."""
        self._failures = 0
        while True:
            was_waiting = self._batch is not None
            wait = await self.send_once()
            if self._batch is not None:
                await asyncio.sleep(wait)
            elif not was_waiting and not self._signal.waiting():
                return

    async def _next_batch(self) -> _Batch | None:
        taken = self._signal.take()
        if taken is None:
            return None
        try:
            return _Batch(await asyncio.to_thread(taken.encode), taken.count, monotonic())
        except BaseException:
            self._dropped.inc(taken.count)  # it is nobody's any more
            raise

    def _settle(self, batch: _Batch, verdict: Verdict) -> float:
        """Do what follows from a verdict; return how long to wait."""
        match verdict:
            case Accepted(body):
                self._batch, self._failures = None, 0
                self._note_rejected(body)
            case Refused(reason):
                self._drop(f"the collector refuses them: {reason}")
            case Later(reason, wait_seconds):
                self._failures += 1
                if monotonic() - batch.made_at > GIVE_UP_SECONDS:
                    self._drop(f"the collector does not take them: {reason}")
                self._tell(lambda: _log.warning("%s wait for the collector: %s", self._signal.name, reason))
                return self._backoff_seconds() if wait_seconds is None else wait_seconds
        return 0.0 if self._signal.is_pressing() else self._signal.interval_seconds

    def _note_rejected(self, body: bytes) -> None:
        try:
            rejected, reason = self._signal.rejected(body)
        except DecodeError:
            return  # taken all the same
        if rejected:
            self._dropped.inc(rejected)
            told = ("the collector rejected %d %s: %s", rejected, self._signal.items, reason)
            self._tell(lambda: _log.warning(*told))

    def _drop(self, why: str) -> None:
        if self._batch is not None:
            count, self._batch, self._failures = self._batch.count, None, 0
            self._dropped.inc(count)
            self._tell(lambda: _log.warning("%d %s are dropped: %s", count, self._signal.items, why))

    def _backoff_seconds(self) -> float:
        longest = min(BACKOFF_CAP_SECONDS, 2.0 ** min(self._failures - 1, 10))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load)


class Seldom:
    """Lets something be said once in a while."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._said_at: float | None = None

    def __call__(self, say: Callable[[], None]) -> None:
        """Say it, unless something was said a moment ago."""
        now = monotonic()
        if self._said_at is None or now - self._said_at >= self._seconds:
            self._said_at = now
            say()


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
