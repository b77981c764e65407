"""What every outbox must do: rows stay until removed, and a claim has one winner."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from tests.support.examples import START, outbox_entry, recovery
from tests.support.runtimes import Ports

from reservation_api.domain.values import OutboxId
from reservation_api.ports.outbox import OutboxEntry, OutboxStatus, OutboxType
from reservation_api.ports.store import AddOutboxEntry

CREATED = OutboxType.RESERVATION_CREATED
DUE = outbox_entry().next_retry_at


async def _add(ports: Ports, entries: Sequence[OutboxEntry]) -> None:
    assert await ports.store.transact([AddOutboxEntry(entry) for entry in entries]) is None


async def test_a_row_reads_back_as_it_was_written(ports: Ports) -> None:
    row = outbox_entry(attempts=3, last_error="no", updated_at=START + timedelta(milliseconds=1))
    await _add(ports, [row])
    assert await ports.outbox.get(row.outbox_id) == row
    assert await ports.outbox.get(OutboxId("none")) is None


async def test_rows_are_due_by_type_status_and_time(ports: Ports) -> None:
    later = outbox_entry("rsv_later", next_retry_at=DUE + timedelta(milliseconds=1))
    failed = outbox_entry("rsv_failed", status=OutboxStatus.FAILED)
    rows = [
        outbox_entry("rsv_due"),
        outbox_entry("rsv_sooner", next_retry_at=START),
        later,
        failed,
        recovery(),
    ]
    await _add(ports, rows)
    due = await ports.outbox.due(CREATED, DUE, 10)
    assert {row.aggregate_id for row in due} == {"rsv_due", "rsv_sooner"}
    assert list(await ports.outbox.due(OutboxType.RECOVER_CONFIRM, DUE, 10)) == [recovery()]
    assert await ports.outbox.due(OutboxType.RELEASE_SEATS, DUE, 10) == []
    assert len(await ports.outbox.due(CREATED, DUE, 1)) == 1


async def test_of_many_due_rows_two_workers_are_given_different_ones(
    ports: Ports, other_ports: Ports
) -> None:
    await _add(ports, [outbox_entry(f"rsv_{n}") for n in range(100)])
    given = [await each.outbox.due(CREATED, DUE, 16) for each in (ports, other_ports)]
    ids = [row.outbox_id for rows in given for row in rows]
    assert len(ids) == 32
    assert len(set(ids)) > 20


async def test_an_update_needs_the_row_as_it_was(ports: Ports) -> None:
    row = outbox_entry()
    await _add(ports, [row])
    claimed = replace(row, next_retry_at=DUE + timedelta(seconds=30), attempts=1, last_error="x")
    assert await ports.outbox.update(row, claimed)
    assert not await ports.outbox.update(row, claimed)
    assert await ports.outbox.get(row.outbox_id) == claimed
    failed = replace(claimed, status=OutboxStatus.FAILED)
    assert await ports.outbox.update(claimed, failed)
    assert not await ports.outbox.update(claimed, claimed)


async def test_an_update_never_brings_a_removed_row_back(ports: Ports) -> None:
    row = outbox_entry()
    await _add(ports, [row])
    await ports.outbox.remove([row.outbox_id])
    assert not await ports.outbox.update(row, replace(row, attempts=1))
    assert ports.look().outbox == []


async def test_of_many_claims_one_wins(ports: Ports, other_ports: Ports) -> None:
    row = outbox_entry()
    await _add(ports, [row])
    claims = [replace(row, next_retry_at=DUE + timedelta(seconds=n + 1)) for n in range(20)]
    boxes = (ports.outbox, other_ports.outbox)
    won = await asyncio.gather(*(boxes[n % 2].update(row, claim) for n, claim in enumerate(claims)))
    assert won.count(True) == 1
    assert await ports.outbox.get(row.outbox_id) == claims[won.index(True)]


async def test_removal_takes_the_named_rows_and_forgives_absent_ones(ports: Ports) -> None:
    rows = [outbox_entry(f"rsv_{n}") for n in range(3)]
    await _add(ports, rows)
    await ports.outbox.remove([rows[0].outbox_id, OutboxId("absent"), rows[2].outbox_id])
    assert ports.look().outbox == [rows[1]]
    await ports.outbox.remove([])


async def test_rows_are_listed_by_status_oldest_first(ports: Ports) -> None:
    rows = [
        outbox_entry(f"rsv_{n}", status=OutboxStatus.FAILED, created_at=START + timedelta(seconds=n))
        for n in (2, 0, 1)
    ]
    await _add(ports, [*rows, outbox_entry("rsv_pending")])
    listed = await ports.outbox.list(OutboxStatus.FAILED, 2)
    assert [row.aggregate_id for row in listed] == ["rsv_0", "rsv_1"]
