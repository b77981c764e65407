import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from tests.support.cli import Cli

from reservation_api.adapters.sqlite.database import Database
from reservation_api.adapters.sqlite.event_log import SqliteEventLog
from reservation_api.adapters.sqlite.outbox import SqliteOutbox
from reservation_api.adapters.sqlite.rows import OUTBOX_COLUMNS, outbox_row
from reservation_api.application.outbox_entries import event_entry
from reservation_api.domain.reservation import NewHold, Reservation, held
from reservation_api.domain.values import (
    EventId,
    Money,
    OutboxId,
    RecordKey,
    ReservationId,
    Seat,
    SeatId,
    UserId,
)
from reservation_api.entrypoints.cli.event_schemas import schema_files
from reservation_api.ports.event_bus import OutgoingEvent
from reservation_api.ports.outbox import OutboxEntry, OutboxStatus

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "data")


def reservation(number: int = 1) -> Reservation:
    hold = NewHold(ReservationId(f"rsv_{number}"), EventId("evt_1"), UserId("alice"), RecordKey("key"))
    seat = Seat(SeatId("A-1-1"), "A", "1", "1", Money(120_000, "KRW"))
    return held(hold, (seat,), NOON, NOON + timedelta(seconds=60))


def database_of(cli: Cli) -> Database:
    return Database(cli.data_dir / "reservation.db")


def publish(cli: Cli, count: int) -> None:
    async def run() -> None:
        database = database_of(cli)
        entries = [event_entry(reservation(number), "trace") for number in range(1, count + 1)]
        await SqliteEventLog(database).publish(
            [
                OutgoingEvent(
                    entry.outbox_id, "reservation.service", entry.type, entry.payload, NOON, "trace"
                )
                for entry in entries
            ]
        )
        database.close()

    asyncio.run(run())


def add_rows(cli: Cli, *entries: OutboxEntry) -> None:
    async def run() -> None:
        database = database_of(cli)
        marks = ", ".join("?" * (OUTBOX_COLUMNS.count(",") + 1))
        rows = [outbox_row(entry) for entry in entries]
        await database.write(
            lambda db: db.executemany(f"INSERT INTO outbox ({OUTBOX_COLUMNS}) VALUES ({marks})", rows)
        )
        database.close()

    asyncio.run(run())


def rows_in(cli: Cli, status: OutboxStatus) -> Sequence[OutboxEntry]:
    async def run() -> Sequence[OutboxEntry]:
        database = database_of(cli)
        found = await SqliteOutbox(database).list(status, 10_000)
        database.close()
        return found

    return asyncio.run(run())


def failed(number: int) -> OutboxEntry:
    entry = event_entry(reservation(number), "trace")
    return replace(entry, status=OutboxStatus.FAILED, attempts=10, last_error="the bus\nsays no")


@pytest.mark.parametrize(
    "command", [["events", "list"], ["events", "tail"], ["outbox", "list"], ["outbox", "retry", "x"]]
)
def test_a_slip_in_the_data_directory_is_no_empty_store(cli: Cli, command: list[str]) -> None:
    assert "there is no store in" in cli.run(*command, code=2).stderr
    assert not cli.data_dir.exists()


def test_an_event_goes_on_sale_with_sections_of_any_shape(cli: Cli) -> None:
    create = (
        "events",
        "create",
        "evt_1",
        "--name",
        "Tacos live",
        "--section",
        "A:2x10:120000",
        "--section",
        "B:1x5:0",
    )
    assert cli.run(*create).output == "evt_1 is on sale: 25 seats\n"
    assert cli.run(*create).output == "evt_1 was on sale already, with these very seats: 25 seats\n"
    assert cli.run("events", "list").output == "evt_1  25 seats  KRW  Tacos live\n"


def test_an_event_that_is_on_sale_is_not_changed(cli: Cli) -> None:
    cli.run("events", "create", "evt_1", "--section", "A:2x10:120000")
    result = cli.run("events", "create", "evt_1", "--section", "A:2x10:1", code=1)
    assert result.stderr == "Error: event evt_1 exists, and differs\n"


@pytest.mark.parametrize("section", ["A", "A:2x10", "A:2x:1", "A:-1x2:1", "A:2x10:1.5", ":1x1:1"])
def test_a_section_of_another_form_is_misuse(cli: Cli, section: str) -> None:
    assert "NAME:ROWSxSEATS:PRICE" in cli.run("events", "create", "e", "--section", section, code=2).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["evt 1", "--section", "A:1x1:1"],
        ["evt_1", "--section", "A:1x1:1", "--section", "A:1x1:1"],
        ["evt_1", "--section", "A:0x1:1"],
        ["evt_1", "--section", "A:999999x999999:1"],
        ["evt_1", "--section", "A:1x1:1", "--currency", "won"],
    ],
)
def test_a_venue_that_can_not_be_is_an_error_in_lines(cli: Cli, arguments: list[str]) -> None:
    result = cli.run("events", "create", *arguments, code=1)
    assert all(line.startswith("Error: ") for line in result.stderr.splitlines())


def test_an_event_is_imported_from_a_file(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "evt_csv.csv"
    file.write_text("section,row,number,price\nA,1,1,1000\nA,1,2,1000\n")
    assert cli.run("events", "import", str(file)).output == "evt_csv is on sale: 2 seats\n"
    renamed = ("--event-id", "evt_2", "--name", "Two", "--currency", "USD")
    cli.run("events", "import", str(file), *renamed)
    assert "evt_2  2 seats  USD  Two" in cli.run("events", "list").output


def test_a_file_that_can_not_be_read_is_told_line_by_line(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "venue.csv"
    file.write_text("section,row,number,price\nA,1,1,dear\nA,1,2,dearer\n")
    result = cli.run("events", "import", str(file), code=1)
    assert len(result.stderr.splitlines()) == 2
    assert cli.run("events", "import", str(tmp_path / "none.csv"), code=1).stderr.startswith(
        "Error: none.csv: "
    )


def test_published_events_are_printed_oldest_first_as_the_bus_has_them(cli: Cli) -> None:
    publish(cli, 3)
    lines = [json.loads(line) for line in cli.run("events", "tail").stdout.splitlines()]

    assert [line["id"] for line in lines] == ["rsv_1.1", "rsv_2.1", "rsv_3.1"]
    assert {key: value for key, value in lines[0].items() if key not in {"detail", "id"}} == {
        "source": "reservation.service",
        "detail-type": "Reservation Created",
        "time": "2026-11-23T12:00:00.000Z",
    }
    schema = json.loads(schema_files()["reservation-created.schema.json"])
    jsonschema.Draft202012Validator(schema).validate(lines[0]["detail"])


def test_the_newest_events_are_printed_up_to_the_limit(cli: Cli) -> None:
    publish(cli, 12)
    assert len(cli.run("events", "tail").stdout.splitlines()) == 10
    assert [json.loads(cli.run("events", "tail", "--limit", "1").stdout)["id"]] == ["rsv_12.1"]
    assert cli.run("events", "tail", "--limit", "0").stdout == ""
    assert len(cli.run("events", "tail", "--limit", "1000").stdout.splitlines()) == 12


def test_rows_that_are_not_delivered_are_listed_and_those_first_that_wait_for_a_person(cli: Cli) -> None:
    add_rows(cli, event_entry(reservation(1), "trace"), failed(2))

    head, row, waiting = cli.run("outbox", "list").stdout.splitlines()
    assert head.split() == ["outbox_id", "status", "type", "attempts", "created_at", "last_error"]
    assert row.split()[:2] == ["rsv_2.1", "FAILED"]
    assert row.endswith("the bus says no")
    assert waiting.split()[:2] == ["rsv_1.1", "PENDING"]
    for status, expected in (("FAILED", row), ("PENDING", waiting)):
        _, only = cli.run("outbox", "list", "--status", status).stdout.splitlines()
        assert only.split() == expected.split()


def test_rows_are_listed_as_json_with_their_payload(cli: Cli) -> None:
    add_rows(cli, failed(1), failed(2))
    lines = [
        json.loads(line) for line in cli.run("outbox", "list", "--json", "--limit", "1").stdout.splitlines()
    ]
    assert len(lines) == 1
    assert json.loads(lines[0]["payload"])["reservation_id"] == lines[0]["aggregate_id"]


def test_one_row_is_tried_again(cli: Cli) -> None:
    add_rows(cli, failed(1), failed(2))
    assert cli.run("outbox", "retry", "rsv_1.1").output == "rsv_1.1 will be tried again\n"

    (again,) = rows_in(cli, OutboxStatus.PENDING)
    assert (again.outbox_id, again.attempts) == (OutboxId("rsv_1.1"), 0)
    assert again.next_retry_at <= datetime.now(UTC)
    assert [entry.outbox_id for entry in rows_in(cli, OutboxStatus.FAILED)] == ["rsv_2.1"]


def test_all_failed_rows_are_tried_again(cli: Cli) -> None:
    add_rows(cli, *(failed(number) for number in range(1200)), event_entry(reservation(5000), "trace"))
    assert cli.run("outbox", "retry", "--all").output == "1200 rows will be tried again\n"
    assert not rows_in(cli, OutboxStatus.FAILED)
    assert cli.run("outbox", "retry", "--all").output == "0 rows will be tried again\n"


def test_a_row_that_has_not_failed_is_not_tried_again(cli: Cli) -> None:
    add_rows(cli, event_entry(reservation(1), "trace"))
    for outbox_id in ("rsv_1.1", "rsv_9.1"):
        result = cli.run("outbox", "retry", outbox_id, code=1)
        assert result.stderr == f"Error: there is no FAILED row {outbox_id}\n"


@pytest.mark.parametrize("arguments", [[], ["rsv_1.1", "--all"]])
def test_which_rows_to_try_again_must_be_said(cli: Cli, arguments: list[str]) -> None:
    assert "give an OUTBOX_ID or --all" in cli.run("outbox", "retry", *arguments, code=2).stderr
