from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.inventories import INVENTORIES, InventoryUnderTest
from tests.support.clock import FakeClock

from reservation_api.ports.inventory import Inventory


@pytest.fixture(params=sorted(INVENTORIES))
async def under_test(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[InventoryUnderTest]:
    async with INVENTORIES[request.param](tmp_path) as under_test:
        yield under_test


@pytest.fixture
def inventory(under_test: InventoryUnderTest) -> Inventory:
    return under_test.inventory


@pytest.fixture
def clock(under_test: InventoryUnderTest) -> FakeClock:
    return under_test.clock
