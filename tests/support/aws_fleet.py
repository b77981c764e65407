"""A fleet on the stand-in for AWS: servers and workers on one set of tables and one bus, and an inventory.

with open_fleet(folder, SETTINGS, servers=2, workers=2) as fleet:
    fleet.servers[0].kill()
    fleet.servers[0].start()
    fleet.servers[0].wait_until_ready()
world = fleet.look()                  # the tables, and what came to the queue behind the bus's rule
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from tests.support.aws_environment import PATIENCE, aws_environment
from tests.support.dynamodb import Tables, empty_tables, shared_ministack
from tests.support.eventbridge import Bus, create_bus
from tests.support.invariants import check_settled
from tests.support.ministack import unique
from tests.support.ports import HOST, free_port
from tests.support.processes import Running, running, wait_until, wait_until_ready
from tests.support.runtimes import Published, World
from tests.support.shops import inventory_on
from tests.support.tokens import AUDIENCE, ISSUER, jwks, make_claims, make_key, mint

from reservation_api.adapters.sqlite.inventory import SqliteInventory
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.bootstrap import open_database
from reservation_api.config import load
from reservation_api.domain.reservation import Reservation, Status
from reservation_api.domain.values import EventId
from reservation_api.ports.outbox import OutboxEntry, OutboxStatus

EVENT = "evt_fleet"
TOKEN_SECONDS = 600
KEPT_HIDDEN_SECONDS = 3600
"""What has been read from the queue does not come again: quicker than to delete it."""
LIMITS = {
    **PATIENCE,
    "APP_INVENTORY_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS": "5000",
}
"""Long: a machine that is busy must not pass for an outage."""


class Member:
    """A process of the fleet, and those that had its place before."""

    def __init__(self, stack: ExitStack, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.port = free_port()
        self.management_port = free_port()
        self.lives: list[Running] = []
        self._stack = stack
        self._arguments = arguments
        self._environment = {**environment, "APP_MANAGEMENT_PORT": str(self.management_port)}

    @property
    def process(self) -> Running:
        """The one that has its place now, or had it last."""
        return self.lives[-1]

    def start(self) -> None:
        """Start, and wait for nothing."""
        started = running(self._arguments, self._environment, port=self.port, until_ready=False)
        self.lives.append(self._stack.enter_context(started))

    def wait_until_ready(self) -> None:
        wait_until_ready(self.process, self._arguments)

    def kill(self) -> None:
        self.process.kill()

    def logs(self) -> list[dict[str, Any]]:
        """What they all have logged."""
        return [line for life in self.lives for line in life.logs()]


@dataclass
class AwsFleet:
    """The processes, and a look at what they work on."""

    tables: Tables
    bus: Bus
    inventory: Running
    servers: list[Member]
    workers: list[Member]
    _delivered: list[Published] = field(default_factory=list)

    @property
    def members(self) -> list[Member]:
        return [*self.servers, *self.workers]

    def look(self) -> World:
        """Read everything durable: what is written meanwhile is there in part."""
        tables = self.tables
        return World(tables.reservations(), tables.orders(), tables.outbox(), self.delivered())

    def delivered(self) -> Sequence[Published]:
        """Return each event that has come to the queue, as often as it came."""
        while messages := self.bus.sqs.receive_message(
            QueueUrl=self.bus.queue_url, MaxNumberOfMessages=10, VisibilityTimeout=KEPT_HIDDEN_SECONDS
        ).get("Messages"):
            self._delivered += [_published(message["Body"]) for message in messages]
        return list(self._delivered)

    def wait_until_settled(self, seconds: float) -> None:
        """Return once workers have no more to do, and no hold will give them any; nothing may have FAILED."""

        def left() -> Sequence[OutboxEntry | Reservation]:
            rows = self.tables.outbox()
            assert [row for row in rows if row.status is OutboxStatus.FAILED] == []
            return rows or [r for r in self.tables.reservations() if r.status is Status.HOLD]

        wait_until(lambda: not left(), lambda: f"left: {left()}", seconds)

    async def check_settled(self) -> World:
        """Check all invariants now that nothing happens any more; return what there is."""
        world, clock = self.look(), SystemClock()
        database = open_database(load(self.inventory.environment))
        try:
            inventory = SqliteInventory(database, clock)
            await check_settled(world, clock.now(), inventory, EVENT)
            counted = await inventory.status(EventId(EVENT))
        finally:
            database.close()
        live = sum(r.qty for r in world.reservations if r.status is Status.HOLD)
        assert sum(section.held for section in counted.sections) == live, "seats held for nobody"
        return world


def _published(body: str) -> Published:
    envelope = msgspec.json.decode(body)
    detail = envelope["detail"]
    return Published(
        detail["id"], envelope["source"], envelope["detail-type"], msgspec.json.encode(detail).decode()
    )


@contextmanager
def open_fleet(
    folder: Path, settings: Mapping[str, str], *, servers: int, workers: int, seats: str = "A:60x40:1000"
) -> Iterator[AwsFleet]:
    """Start all of it on new tables, a new bus and a new inventory with one event."""
    aws, name, inventory_port = shared_ministack(), unique("fleet"), free_port()
    bus = create_bus(aws.url)
    with ExitStack() as stack:
        stack.callback(bus.sqs.close)
        stack.callback(bus.events.close)
        environment = {
            **aws_environment(aws.url, bus.name, name),
            "INVENTORY_GRPC_ADDRESS": f"{HOST}:{inventory_port}",
            "JWT_ISSUER_URI": ISSUER,
            "JWT_JWKS": jwks(make_key()),
            "APP_JWT_AUDIENCE": AUDIENCE,
            **LIMITS,
            **settings,
        }
        tables = empty_tables(f"{name}-reservation")
        inventory = stack.enter_context(inventory_on(inventory_port, folder / "inventory"))
        inventory.command("events", "create", EVENT, "--section", seats)
        fleet = AwsFleet(
            tables,
            bus,
            inventory,
            [Member(stack, ["serve"], environment) for _ in range(servers)],
            [Member(stack, ["worker"], environment) for _ in range(workers)],
        )
        for member in fleet.members:
            member.start()
        for member in fleet.members:
            member.wait_until_ready()
        yield fleet


def tokens(number: int) -> dict[str, str]:
    """Return so many subjects, each with a token that the fleet takes."""
    now = datetime.now(UTC)
    until = int(now.timestamp()) + TOKEN_SECONDS
    subjects = [f"shopper-{n}" for n in range(number)]
    return {subject: mint(make_key(), make_claims(now, sub=subject, exp=until)) for subject in subjects}
