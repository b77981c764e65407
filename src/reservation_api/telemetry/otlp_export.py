"""Metrics sent to a collector, again and again, beside everything else a process does.

interval   the differences since the last batch become a batch
taken      the next interval makes the next batch
not now    the very same batch is sent again after a while, and the instruments go on counting; so there is
           one batch at most, and the next one covers all the time that the collector was away
refused    the batch is dropped, and counted in TelemetryDropped
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Final

from google.protobuf.message import DecodeError

from reservation_api.telemetry import names
from reservation_api.telemetry.deltas import Deltas, FamilyDelta
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.otlp_http import Accepted, Later, OtlpSender, Refused, Verdict
from reservation_api.telemetry.otlp_metrics import Window, encode_metrics, rejected_of
from reservation_api.telemetry.resource import resource_of_process

FLUSH_SECONDS: Final = 3.0
"""For the last batches; other stages of a shutdown want time, too."""
BACKOFF_CAP_SECONDS: Final = 60.0
GIVE_UP_SECONDS: Final = 900.0
"""A batch that is the reason why the collector fails must not keep all later ones back for ever."""
TELL_SECONDS: Final = 60.0
"""A collector that is away is told of so often."""
SIGNAL: Final = "metrics"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Batch:
    body: bytes
    points: int
    made_at: float
    """By the monotonic clock."""


class MetricsExporter:
    """Sends the metrics of one process."""

    def __init__(
        self, metrics: Metrics, sender: OtlpSender, now: Callable[[], datetime], interval_seconds: float
    ) -> None:
        self._sender = sender
        self._now = now
        self._interval_seconds = interval_seconds
        self._deltas = Deltas(metrics)
        self._dropped = metrics.counter(names.TELEMETRY_DROPPED, SIGNAL)
        self._batch: _Batch | None = None
        self._failures = 0
        self._began_at = now()
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
            self._drop("the collector did not take the last of them in time")

    async def _send_until(self, stopping: asyncio.Event) -> None:
        wait = random.uniform(0, self._interval_seconds)  # noqa: S311 (not all processes at the same moment)
        while not await _is_set_within(stopping, wait):
            wait = await self.send_once()

    async def send_once(self) -> float:
        """Send the batch that waits, or the next; return after how many seconds to go on."""
        try:
            batch = self._batch = self._batch or await self._next_batch()
            if batch is None:
                return self._interval_seconds
            return self._settle(batch, await self._sender.send(batch.body))
        except Exception:  # noqa: BLE001 (whatever is wrong with telemetry, the service goes on)
            _log.exception("metrics can not be sent")
            self._drop("they can not be sent")
            return self._interval_seconds

    async def _flush(self) -> None:
        """Send what waits and what has been counted since, for as long as the caller lets it."""
        self._failures = 0
        while True:
            was_waiting = self._batch is not None
            wait = await self.send_once()
            if self._batch is not None:
                await asyncio.sleep(wait)
            elif not was_waiting:
                return

    async def _next_batch(self) -> _Batch | None:
        families = self._deltas.take()
        began_at, self._began_at = self._began_at, self._now()
        if not families:
            return None
        window = Window(began_at, self._began_at)
        body = await asyncio.to_thread(encode_metrics, families, resource_of_process(), window)
        return _Batch(body, _count(families), monotonic())

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
                self._tell(lambda: _log.warning("metrics wait for the collector: %s", reason))
                return self._backoff_seconds() if wait_seconds is None else wait_seconds
        return self._interval_seconds

    def _note_rejected(self, body: bytes) -> None:
        try:
            rejected, reason = rejected_of(body)
        except DecodeError:
            return  # taken all the same
        if rejected:
            self._dropped.inc(rejected)
            self._tell(lambda: _log.warning("the collector rejected %d points: %s", rejected, reason))

    def _drop(self, why: str) -> None:
        if self._batch is not None:
            points, self._batch, self._failures = self._batch.points, None, 0
            self._dropped.inc(points)
            self._tell(lambda: _log.warning("%d points of metrics are dropped: %s", points, why))

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


def _count(families: list[FamilyDelta]) -> int:
    return sum(len(family.points) for family in families)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
