"""Fixtures that open each registered runtime as one process, or as two on the same data."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.clock import FakeClock
from tests.support.runtimes import RUNTIMES, OpenProcess, Ports


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=RUNTIMES)
async def open_process(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenProcess]:
    async with RUNTIMES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def ports(open_process: OpenProcess, clock: FakeClock) -> Ports:
    return open_process(clock)


@pytest.fixture
def other_ports(open_process: OpenProcess, clock: FakeClock) -> Ports:
    """Another process on the same data."""
    return open_process(clock)
