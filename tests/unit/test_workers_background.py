import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.clock import FakeClock

from reservation_api.adapters.sqlite.event_log import SqliteEventLog
from reservation_api.adapters.sqlite.venues import demo_plan, load_event
from reservation_api.application.command import Answer, Command
from reservation_api.application.hold import SeatsWanted
from reservation_api.bootstrap import Service, build
from reservation_api.config import load
from reservation_api.domain.reservation import Status
from reservation_api.domain.values import EventId, UserId
from reservation_api.entrypoints.workers.background import EXPIRY_PAUSE_SECONDS, run_background, works_of
from reservation_api.entrypoints.workers.loops import run_loop
from reservation_api.ports.outbox import OutboxStatus, OutboxType
from reservation_api.telemetry import names

ALICE = UserId("alice")
DEMO = EventId("evt_demo")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def service(tmp_path: Path, clock: FakeClock) -> Iterator[Service]:
    built = build(load({"APP_DATA_DIR": str(tmp_path)}), clock)
    yield built
    built.database.close()


async def hold(service: Service, key: str, qty: int = 1) -> Answer:
    command = Command(ALICE, key, "hash", "trace")
    return await service.use_cases.hold(command, SeatsWanted(DEMO, qty))


async def do_each_work_until_it_pauses(service: Service) -> None:
    for work in works_of(service):
        stopping = asyncio.Event()

        async def pause(seconds: float, stopping: asyncio.Event = stopping) -> None:
            stopping.set()

        await asyncio.wait_for(run_loop(work, stopping, pause), timeout=30)


def test_every_type_of_outbox_row_has_a_loop(service: Service) -> None:
    names = [work.name for work in works_of(service)]
    assert [name for name in names if name.startswith("relay")] == [
        f"relay of {kind.value}" for kind in OutboxType
    ]


def test_loops_look_as_often_as_the_design_says(service: Service) -> None:
    for work in works_of(service):
        longest = 60 if work.name.startswith(("purge", "measure")) else 1
        assert 0 < work.pause_seconds <= longest, work.name
    assert {work.name for work in works_of(service)} >= {"expiry", "purge of records", "purge of holds"}


async def test_a_worker_expires_holds_releases_their_seats_and_publishes_both_events(
    service: Service, clock: FakeClock
) -> None:
    await load_event(service.database, demo_plan())
    answer = await hold(service, "k1", qty=2)
    assert answer.reservation is not None
    clock.advance(61)

    await do_each_work_until_it_pauses(
        service
    )  # expires; the rows are young: the fast path's, which does not run here
    clock.advance(6)
    await do_each_work_until_it_pauses(service)

    after = await service.store.get_reservation(answer.reservation.reservation_id)
    assert after is not None
    assert after.status is Status.EXPIRED
    published = await SqliteEventLog(service.database).read(0, 10)
    assert sorted(event.detail_type for event in published) == [
        "Reservation Created",
        "Reservation Status Changed",
    ]
    assert not await service.outbox.list(OutboxStatus.PENDING, 10)
    status = await service.inventory.status(DEMO)
    assert sum(section.held for section in status.sections) == 0


async def test_more_due_holds_than_a_batch_all_expire(service: Service, clock: FakeClock) -> None:
    await load_event(service.database, demo_plan())
    await asyncio.gather(*(hold(service, f"k{n}") for n in range(250)))
    clock.advance(61)

    await do_each_work_until_it_pauses(service)

    assert not await service.store.due_holds(clock.now(), 10)


async def test_a_worker_measures_how_long_the_oldest_row_waits(service: Service, clock: FakeClock) -> None:
    await load_event(service.database, demo_plan())
    await hold(service, "k1")
    clock.advance(7)
    await hold(service, "k2")
    (measure,) = [work for work in works_of(service) if work.name == "measure of the outbox"]

    assert await measure.run_once() == 0
    assert service.metrics.gauge(names.OUTBOX_OLDEST_PENDING_AGE).value == 7

    rows = await service.outbox.list(OutboxStatus.PENDING, 10)
    await service.outbox.remove([row.outbox_id for row in rows])
    await measure.run_once()
    assert service.metrics.gauge(names.OUTBOX_OLDEST_PENDING_AGE).value == 0


async def test_a_worker_counts_rows_that_were_given_up(service: Service) -> None:
    await load_event(service.database, demo_plan())
    await hold(service, "k1")
    (measure,) = [work for work in works_of(service) if work.name == "measure of the outbox"]
    await measure.run_once()
    assert service.metrics.gauge(names.OUTBOX_FAILED).value == 0

    (row,) = await service.outbox.list(OutboxStatus.PENDING, 10)
    assert await service.outbox.update(row, replace(row, status=OutboxStatus.FAILED, attempts=10))
    await measure.run_once()
    assert service.metrics.gauge(names.OUTBOX_FAILED).value == 1


async def test_a_process_that_does_not_look_at_the_outbox_says_nothing_of_its_age(service: Service) -> None:
    """The alarm goes off when nobody reports: a server that reports nothing waits would keep it quiet."""
    assert names.OUTBOX_OLDEST_PENDING_AGE.name not in service.metrics.names()


async def test_a_worker_deletes_records_that_are_over(service: Service, clock: FakeClock) -> None:
    await load_event(service.database, demo_plan())
    await asyncio.gather(*(hold(service, f"k{n}") for n in range(3)))
    clock.advance(311)

    await do_each_work_until_it_pauses(service)

    rows = await service.database.read(lambda db: db.execute("SELECT count(*) FROM idempotency").fetchone())
    assert rows == (0,)


async def test_a_loop_that_fails_keeps_no_other_waiting(service: Service, clock: FakeClock) -> None:
    await load_event(service.database, demo_plan())
    await hold(service, "k1")
    clock.advance(61)
    stopping = asyncio.Event()
    failures = []

    async def fail(now: object, limit: int) -> int:
        failures.append(now)
        raise RuntimeError("bug")

    async def pause(seconds: float) -> None:
        if seconds == EXPIRY_PAUSE_SECONDS:
            stopping.set()
        await asyncio.sleep(0)

    broken = replace(service, purges={"records": fail})
    await asyncio.wait_for(run_background(broken, stopping, pause), timeout=30)

    assert failures
    assert not await service.store.due_holds(clock.now(), 10)
