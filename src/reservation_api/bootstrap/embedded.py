"""The embedded runtime: store, outbox, event log and inventory in one SQLite file."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.event_log import SqliteEventLog
from reservation_api.adapters.sqlite.inventory import SqliteInventory
from reservation_api.adapters.sqlite.outbox import SqliteOutbox
from reservation_api.adapters.sqlite.read_model import SqliteReadModel
from reservation_api.adapters.sqlite.store import SqliteReservationStore
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.application.health import Component, ComponentStatus
from reservation_api.bootstrap.checks import check_inventory, check_outbox
from reservation_api.bootstrap.database import open_database
from reservation_api.bootstrap.runtime import Purge, Runtime
from reservation_api.bootstrap.traced_bus import traced_bus
from reservation_api.bootstrap.traced_ports import TracedInventory, TracedReadModel, TracedStore
from reservation_api.bootstrap.tracing import open_tracer
from reservation_api.config.tree import Config
from reservation_api.ports.clock import Clock
from reservation_api.ports.inventory import Inventory
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.spans import Tracer

LOW_DISK_BYTES = 10 * 1024 * 1024
"""As Spring Boot's disk space check has it: below, SQLite is about to refuse writes."""


@dataclass(frozen=True, slots=True)
class InventoryService:
    """The built-in inventory by itself, for other processes to call."""

    clock: Clock
    inventory: Inventory
    metrics: Metrics
    tracer: Tracer | None
    purge: Purge
    close: Callable[[], None]
    """May be repeated."""


def open_inventory(config: Config) -> InventoryService:
    """Open the built-in inventory by itself; raises StoreUnavailableError."""
    clock = SystemClock()
    database = open_database(config)
    inventory, metrics = SqliteInventory(database, clock), Metrics()
    tracer = open_tracer(config.telemetry, metrics, clock)
    return InventoryService(
        clock=clock,
        inventory=inventory if tracer is None else TracedInventory(inventory, tracer),
        metrics=metrics,
        tracer=tracer,
        purge=inventory.purge_ended_holds,
        close=database.close,
    )


def open_embedded(config: Config, clock: Clock, tracer: Tracer | None) -> Runtime:
    """Open the file and what is in it; raises StoreUnavailableError."""
    database = open_database(config)
    store = SqliteReservationStore(database)
    inventory = SqliteInventory(database, clock)

    async def close() -> None:
        database.close()

    outbox, read_model = SqliteOutbox(database), SqliteReadModel(database)
    traced_store = store if tracer is None else TracedStore(store, tracer)
    return Runtime(
        store=traced_store,
        unguarded_store=traced_store,
        outbox=outbox,
        read_model=read_model if tracer is None else TracedReadModel(read_model, tracer),
        event_bus=traced_bus(SqliteEventLog(database), tracer, "sqlite", "event_log"),
        inventory=inventory if tracer is None else TracedInventory(inventory, tracer),
        database=database,
        checks={
            "store": partial(_check_store, database, config.store.database_file),
            "inventory": partial(check_inventory, inventory, "built in"),
            "outbox": partial(check_outbox, outbox, clock),
            "diskSpace": partial(_check_disk, config.store.data_dir),
        },
        purges={"records": store.purge_records, "holds": inventory.purge_ended_holds},
        close=close,
        waited_seconds=lambda: database.waited_seconds,
    )


async def _check_store(database: Database, file: Path) -> Component:
    """Read something; a file that can not be read raises, which is DOWN."""
    await database.read(
        lambda connection: connection.execute("SELECT 1 FROM reservations LIMIT 1").fetchone()
    )
    return Component(ComponentStatus.UP, {"file": str(file)})


async def _check_disk(data_dir: Path) -> Component:
    usage = shutil.disk_usage(data_dir)
    status = ComponentStatus.DOWN if usage.free < LOW_DISK_BYTES else ComponentStatus.UP
    return Component(status, {"total": usage.total, "free": usage.free, "threshold": LOW_DISK_BYTES})
