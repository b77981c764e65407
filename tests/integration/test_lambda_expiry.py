"""The expiry function in a container of its own, beside other processes on one store."""

import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from tests.support.aws_environment import PATIENCE, TABLES, aws_environment
from tests.support.clock import FakeClock
from tests.support.databases import opened_database
from tests.support.dynamodb import shared_ministack
from tests.support.eventbridge import open_bus
from tests.support.lambda_container import Container, FunctionFailedError, container
from tests.support.process import EVENT, Process
from tests.support.runtimes import Ports, dynamodb, sqlite_ports

from reservation_api.adapters.sqlite.inventory_plan import Grid, grid_plan
from reservation_api.application.expire import BATCH_SIZE
from reservation_api.domain.reservation import Status
from reservation_api.entrypoints.lambdas.expiry import LAST_SECONDS

HANDLER: Final = "reservation_api.entrypoints.lambdas.expiry.handler"
LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
IN_A_CENTURY: Final = LONG_AGO + timedelta(days=36_500)
SEATS: Final = 3 * BATCH_SIZE


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Container]:
    with container(HANDLER, tmp_path, {"APP_DATA_DIR": str(tmp_path)}) as started:
        yield started


@pytest.fixture
async def ports(tmp_path: Path) -> AsyncIterator[Ports]:
    """Those of another process, whose clock stands still."""
    database = opened_database(tmp_path / "reservation.db")
    ports = sqlite_ports(database, FakeClock(LONG_AGO))
    await ports.load_event(grid_plan(EVENT, "Test", "KRW", Grid({"A": 1000}, 1, SEATS)))
    yield ports
    database.close()


async def hold(ports: Ports, count: int, at: datetime = LONG_AGO) -> None:
    process = Process(ports, FakeClock(at))
    for _ in range(count):
        await process.hold("alice", secrets.token_hex(8), qty=1)


def statuses(ports: Ports) -> list[Status]:
    return sorted(one.status for one in ports.look().reservations)


def left(ports: Ports) -> set[str]:
    """The types of what is still to be done."""
    return {entry.type.value for entry in ports.look().outbox}


async def test_what_is_due_expires_and_is_published_and_its_seats_are_free_when_it_answers(
    ports: Ports, function: Container
) -> None:
    await hold(ports, 2)
    await hold(ports, 1, IN_A_CENTURY)
    assert function.invoke({}) == {"due": 2, "done": True}
    assert statuses(ports) == [Status.EXPIRED, Status.EXPIRED, Status.HOLD]
    published = [event.id for event in ports.look().published if event.id.endswith(".2")]
    assert len(published) == 2
    assert left(ports) == {"Reservation Created"}, "that of the holds, which their own process never sent"
    assert (await ports.inventory.availability(EVENT)).remaining == SEATS - 1


async def test_a_container_goes_on_from_one_invocation_to_the_next(ports: Ports, function: Container) -> None:
    for _ in range(3):
        await hold(ports, 1)
        assert function.invoke({})["due"] == 1
        assert function.invoke({}) == {"due": 0, "done": True}


def test_the_service_is_built_once_for_a_container(tmp_path: Path, function: Container) -> None:
    function.invoke({})
    key_file = tmp_path / "issuer-key.pem"
    assert key_file.exists()
    key_file.write_text("no key: whoever reads it again fails")
    assert function.invoke({}) == {"due": 0, "done": True}
    cold = container(HANDLER, tmp_path, {"APP_DATA_DIR": str(tmp_path)})
    with cold as another, pytest.raises(FunctionFailedError):
        another.invoke({})


async def test_it_takes_as_many_batches_as_there_are(ports: Ports, function: Container) -> None:
    await hold(ports, SEATS)
    answer = function.invoke({})
    assert answer["done"] is True
    assert answer["due"] >= SEATS
    assert set(statuses(ports)) == {Status.EXPIRED}
    assert left(ports) == {"Reservation Created"}, "it does not answer before the rest is carried out"


async def test_without_time_it_leaves_all_to_the_next_invocation(ports: Ports, function: Container) -> None:
    await hold(ports, 1)
    assert function.invoke({}, seconds=LAST_SECONDS) == {"due": 0, "done": False}
    assert statuses(ports) == [Status.HOLD]
    assert function.invoke({}) == {"due": 1, "done": True}


async def test_a_store_that_hangs_costs_an_invocation_and_no_hold(
    tmp_path: Path, ports: Ports, function: Container
) -> None:
    await hold(ports, 1)
    assert function.invoke({}, seconds=LAST_SECONDS)["due"] == 0
    with closing(sqlite3.connect(tmp_path / "reservation.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert function.invoke({}, seconds=LAST_SECONDS + 0.5)["done"] is False
    answer = function.invoke({})
    assert answer["done"] is True
    assert statuses(ports) == [Status.EXPIRED]


async def test_on_aws_it_does_the_same(tmp_path: Path) -> None:
    url = shared_ministack().url
    async with open_bus(url) as bus, dynamodb(tmp_path) as open_process:
        ports = open_process(FakeClock(LONG_AGO))
        await ports.load_event(grid_plan(EVENT, "Test", "KRW", Grid({"A": 1000}, 1, 2)))
        await hold(ports, 2)
        tables = {f"APP_DYNAMODB_TABLES_{kind.upper()}": f"test-{kind}" for kind in TABLES}
        environment = {**aws_environment(url, bus.name), **tables, **PATIENCE}
        with container(HANDLER, tmp_path, environment) as function:
            assert function.invoke({}) == {"due": 2, "done": True}
            assert function.invoke({}) == {"due": 0, "done": True}
        assert statuses(ports) == [Status.EXPIRED, Status.EXPIRED]
        assert {one["detail"]["status"] for one in bus.envelopes()} == {"EXPIRED"}
        assert len(bus.envelopes()) == 2
        assert left(ports) == {"Reservation Created", "Release Seats"}, "no inventory is at that address"


def test_a_wrong_environment_fails_every_invocation(tmp_path: Path) -> None:
    with container(
        HANDLER, tmp_path, {"APP_DATA_DIR": str(tmp_path), "APP_HOLD_SECONDS": "soon"}
    ) as function:
        for _ in range(2):
            with pytest.raises(FunctionFailedError, match="APP_HOLD_SECONDS") as caught:
                function.invoke({})
            assert caught.value.kind == "ConfigError"
