"""The event buses that the contract suite runs over.

An adapter registers itself by one more entry in BUSES: a function of an empty directory that gives an async
context manager.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.clock import FakeClock
from tests.support.eventbridge import open_bus
from tests.support.ministack import ministack
from tests.support.moto import moto
from tests.support.runtimes import Published, sqlite_on_disk

from reservation_api.adapters.eventbridge.bus import EventBridgeBus
from reservation_api.ports.event_bus import EventBus


@dataclass(frozen=True, slots=True)
class BusUnderTest:
    bus: EventBus
    other: EventBus
    """The same one, as another process has it."""
    published: Callable[[], Sequence[Published]]


@asynccontextmanager
async def sqlite(directory: Path) -> AsyncIterator[BusUnderTest]:
    async with sqlite_on_disk(directory) as open_process:
        one, other = open_process(FakeClock()), open_process(FakeClock())
        yield BusUnderTest(one.bus, other.bus, lambda: one.look().published)


@asynccontextmanager
async def eventbridge_at(url: str) -> AsyncIterator[BusUnderTest]:
    async with open_bus(url) as bus:
        one, other = (EventBridgeBus(bus.caller(), bus.name) for _ in range(2))
        yield BusUnderTest(one, other, bus.published)


@asynccontextmanager
async def eventbridge_of_ministack(directory: Path) -> AsyncIterator[BusUnderTest]:
    del directory
    with ministack() as aws:
        async with eventbridge_at(aws.url) as bus:
            yield bus


@asynccontextmanager
async def eventbridge_of_moto(directory: Path) -> AsyncIterator[BusUnderTest]:
    del directory
    with moto() as url:
        async with eventbridge_at(url) as bus:
            yield bus


BUSES: dict[str, Callable[[Path], AbstractAsyncContextManager[BusUnderTest]]] = {
    "sqlite": sqlite,
    "eventbridge": eventbridge_of_ministack,
    "eventbridge-moto": eventbridge_of_moto,
}
