"""Any registered inventory once more, behind a real server on a real socket."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.grpc_peers import connected, served

if TYPE_CHECKING:
    from tests.contract.inventories import InventoryUnderTest

    Opened = Callable[[Path], AbstractAsyncContextManager[InventoryUnderTest]]


def over_grpc(opened: "Opened") -> "Opened":
    """Put the wire between the suite and an inventory: client, socket, server, and the same clock."""

    @asynccontextmanager
    async def opened_over_grpc(directory: Path) -> "AsyncIterator[InventoryUnderTest]":
        async with (
            opened(directory) as local,
            served(local.inventory, local.clock) as address,
            connected(address) as client,
        ):
            yield replace(local, inventory=client)

    return opened_over_grpc
