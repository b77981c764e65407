"""Metrics and traces that are sent to a collector, by OTLP."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from reservation_api.config.tree import TelemetryConfig
from reservation_api.entrypoints.processes.shutdown import Shutdown
from reservation_api.ports.clock import Clock
from reservation_api.telemetry import names
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.otlp_export import Exporter, Signal
from reservation_api.telemetry.otlp_http import OtlpSender
from reservation_api.telemetry.otlp_metrics import MetricsSignal
from reservation_api.telemetry.otlp_traces import TracesSignal
from reservation_api.telemetry.spans import Tracer


class Teller(Protocol):
    """A process that has something to tell."""

    @property
    def clock(self) -> Clock:
        """Its clock."""
        ...

    @property
    def metrics(self) -> Metrics:
        """What it has counted; and where it counts what could not be told."""
        ...

    @property
    def tracer(self) -> Tracer | None:
        """What it has recorded, if it does."""
        ...


def senders(
    teller: Teller, config: TelemetryConfig, stopping: asyncio.Event
) -> Iterator[Coroutine[Any, Any, None]]:
    """Say what is sent; each ends by itself when the process does, within a bounded time."""
    if config.otlp is not None:
        signal = MetricsSignal(teller.metrics, teller.clock.now, config.otlp.interval_seconds)
        yield _send(signal, config.otlp.endpoint, teller, stopping)
    if config.traces is not None and teller.tracer is not None:
        yield _send(TracesSignal(teller.tracer), config.traces.endpoint, teller, stopping)


async def _send(signal: Signal, endpoint: str, teller: Teller, stopping: asyncio.Event) -> None:
    sender = OtlpSender(endpoint, teller.clock.now)
    dropped = teller.metrics.counter(names.TELEMETRY_DROPPED, signal.name)
    try:
        await Exporter(signal, sender, dropped).run(stopping)
    finally:
        await sender.close()


@asynccontextmanager
async def telling_traces(teller: Teller, config: TelemetryConfig, shutdown: Shutdown) -> AsyncIterator[None]:
    """Tell what calls of the inventory are part of; callers have the metrics of the calls themselves."""
    if config.traces is None or teller.tracer is None:
        yield
        return
    stopping = asyncio.Event()
    sending = asyncio.create_task(
        _send(TracesSignal(teller.tracer), config.traces.endpoint, teller, stopping)
    )
    try:
        yield
    finally:
        shutdown.enter("telling the last of the traces")
        stopping.set()
        await sending
