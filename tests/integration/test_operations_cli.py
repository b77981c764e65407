"""`dlq`, `archive` and `backup` as an operator runs them: what they do, print, need and end with."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import Result
from tests.support.aws_between import AwsBetween, Reply, between, refusal
from tests.support.aws_environment import aws_environment
from tests.support.bus_events import created
from tests.support.cli import Cli
from tests.support.eventbridge import Bus, control, create_bus, create_queue
from tests.support.ministack import Ministack, ministack, unique
from tests.support.processes import wait_until

from reservation_api.entrypoints.lambdas.audit import AuditLog

FAR_FUTURE: Final = "2999-01-01T00:00:00Z"
LONG_AGO: Final = "2020-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def aws() -> Iterator[Ministack]:
    with ministack() as started:
        yield started


@pytest.fixture
def way(aws: Ministack) -> Iterator[AwsBetween]:
    with between(aws.url) as opened:
        yield opened


@dataclass(frozen=True)
class Desk:
    """An operator's, with everything that Terraform makes."""

    cli: Cli
    way: AwsBetween
    bus: Bus
    dlq_url: str
    environment: dict[str, str]

    def run(self, *arguments: str, code: int = 0) -> Result:
        return self.cli.run(*arguments, code=code, **self.environment)

    def put(self, *bodies: Any, **attributes: str) -> None:
        named = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            self.bus.sqs.send_message(QueueUrl=self.dlq_url, MessageBody=text, MessageAttributes=named)

    def published(self) -> list[str]:
        return sorted(event.id for event in self.bus.published())

    def needs(self) -> set[str]:
        return set(self.way.operations())


@pytest.fixture
def desk(aws: Ministack, way: AwsBetween, tmp_path: Path) -> Iterator[Desk]:
    bus = create_bus(aws.url)
    dlq_url, _ = create_queue(bus.sqs, f"{bus.name}-dlq")
    way.rewrites["ReceiveMessage"] = {"WaitTimeSeconds": 0}  # its wait for nothing is real time
    bus.events.create_archive(ArchiveName=f"{bus.name}-archive", EventSourceArn=bus.arn, RetentionDays=365)
    yield Desk(Cli(tmp_path), way, bus, dlq_url, aws_environment(way.url, bus.name, unique("env")))
    bus.sqs.close()
    bus.events.close()


@pytest.fixture
def tables(desk: Desk, aws: Ministack) -> Iterator[list[str]]:
    dynamodb = control("dynamodb", aws.url)
    names = [name for key, name in desk.environment.items() if key.startswith("APP_DYNAMODB_TABLES_")]
    for name in names:
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    yield names
    dynamodb.close()


# -- dlq -------------------------------------------------------------------------------------------


def test_letters_are_listed_with_why_they_are_there(desk: Desk) -> None:
    desk.put(created("rsv_a"), RULE_ARN="arn:rule/bus/one", ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE="a\nb")
    desk.put("no json")
    head, *rows = desk.run("dlq", "list").stdout.splitlines()
    assert head.split() == ["event", "type", "rule", "error", "code", "since", "error"]
    (row,) = [row for row in rows if row.startswith("rsv_a.1")]
    assert row.split()[1:5] == ["Reservation", "Created", "one", "NO_PERMISSIONS"]
    assert row.endswith("  a b")
    assert len(rows) == 2
    assert desk.needs() == {"GetQueueUrl", "ReceiveMessage", "ChangeMessageVisibilityBatch"}


def test_letters_are_listed_as_json_for_programs(desk: Desk) -> None:
    desk.put(created("rsv_a"), RULE_ARN="arn:rule/bus/one")
    (line,) = map(json.loads, desk.run("dlq", "list", "--json", "--rule", "one").stdout.splitlines())
    assert (line["event_id"], line["rule"], line["unusable"]) == ("rsv_a.1", "one", None)
    assert json.loads(line["body"]) == created("rsv_a")
    assert desk.run("dlq", "list", "--json", "--rule", "two").stdout == ""


def test_a_list_that_is_cut_off_says_so(desk: Desk) -> None:
    desk.put(created("rsv_a"), created("rsv_b"))
    assert "these are the first 1" in desk.run("dlq", "list", "--limit", "1").stderr
    assert "these are the first" not in desk.run("dlq", "list", "--limit", "3").stderr


def test_a_redrive_empties_the_queue_and_tells_of_each_event(desk: Desk) -> None:
    desk.put(created("rsv_a"), created("rsv_b"))
    dry = desk.run("dlq", "redrive", "--dry-run")
    assert sorted(dry.stdout.splitlines()) == ["would publish  rsv_a.1", "would publish  rsv_b.1"]
    assert desk.published() == []
    done = desk.run("dlq", "redrive")
    assert sorted(done.stdout.splitlines()) == ["redriven  rsv_a.1", "redriven  rsv_b.1"]
    assert "2 looked at, 2 taken, 0 stay" in done.stderr
    assert desk.published() == ["rsv_a.1", "rsv_b.1"]
    assert desk.run("dlq", "redrive").stdout == ""
    assert desk.needs() == {
        *("GetQueueUrl", "ReceiveMessage", "ChangeMessageVisibilityBatch", "DeleteMessageBatch", "PutEvents")
    }


def test_a_redrive_takes_what_is_named_and_no_more(desk: Desk) -> None:
    desk.put(created("rsv_a"), created("rsv_b"), created("rsv_c"), ERROR_CODE="THROTTLING")
    chosen = ("--event-id", "rsv_a.1", "--event-id", "rsv_c.1", "--error-code", "THROTTLING", "--max", "1")
    assert len(desk.run("dlq", "redrive", *chosen).stdout.splitlines()) == 1
    assert len(desk.published()) == 1
    desk.run("dlq", "redrive", *chosen)
    assert desk.published() == ["rsv_a.1", "rsv_c.1"]


def test_letters_that_stay_are_an_exit_code_of_one(desk: Desk) -> None:
    desk.put("no json", created("rsv_a"))
    result = desk.run("dlq", "redrive", code=1)
    assert "redriven  rsv_a.1" in result.stdout
    assert "no event of a bus" in result.stdout
    assert "Error: 2 looked at, 1 taken, 1 stay" in result.stderr


def test_an_outage_of_the_bus_is_an_exit_code_of_one(desk: Desk) -> None:
    desk.put(created("rsv_a"))
    desk.way.answers_always("PutEvents", refusal("AccessDeniedException", "not authorized"))
    result = desk.run("dlq", "redrive", code=1)
    assert "stopped: PutEvents: AccessDeniedException: not authorized" in result.stderr
    desk.way.replies.clear()
    assert desk.run("dlq", "redrive").stdout == "redriven  rsv_a.1\n"


def test_a_queue_may_be_named_by_its_url(desk: Desk) -> None:
    desk.put(created("rsv_a"))
    assert desk.run("dlq", "redrive", "--queue", desk.dlq_url).stdout == "redriven  rsv_a.1\n"
    assert "GetQueueUrl" not in desk.needs()
    assert "QueueDoesNotExist" in desk.run("dlq", "list", "--queue", "none", code=1).stderr


# -- archive ---------------------------------------------------------------------------------------


def replay(desk: Desk, *more: str, code: int = 0, until: str | None = None) -> Result:
    """Replay all there is."""
    until = until or (datetime.now(UTC) - timedelta(seconds=0.001)).isoformat()
    return desk.run("archive", "replay", "--from", LONG_AGO, "--to", until, *more, code=code)


def archived(desk: Desk, *names: str) -> str:
    """Put events on the bus; return an instant that is after all of them, and over."""
    entry = {
        "Source": "reservation.service",
        "DetailType": "Reservation Created",
        "EventBusName": desk.bus.name,
    }
    entries = [{**entry, "Detail": json.dumps(created(name)["detail"])} for name in names]
    desk.bus.events.put_events(Entries=entries)
    after = datetime.now(UTC) + timedelta(seconds=1)
    wait_until(lambda: datetime.now(UTC) > after)
    return after.isoformat()


def test_a_replay_puts_the_events_of_a_time_on_the_bus_again(desk: Desk) -> None:
    until = archived(desk, "rsv_a", "rsv_b")
    result = replay(desk, "--name", name := unique("replay"), until=until)
    assert f"{name} is COMPLETED" in result.stdout
    assert "may not be in the archive yet" in result.stderr
    assert desk.needs() == {"DescribeArchive", "StartReplay", "DescribeReplay"}
    replayed = [one for one in desk.bus.envelopes() if one.get("replay-name") == name]
    assert sorted(one["detail"]["id"] for one in replayed) == ["rsv_a.1", "rsv_b.1"]
    stream = io.BytesIO()
    audit = AuditLog(stream)
    recorded = [audit.record(json.dumps(one)) for one in desk.bus.envelopes()]
    assert sorted(recorded) == [False, False, True, True], "a consumer drops what it has had"


def test_a_replay_of_another_time_replays_nothing(desk: Desk) -> None:
    archived(desk, "rsv_a")
    replay(desk, until="2020-01-02T00:00:00Z")
    assert desk.published() == ["rsv_a.1"]


def test_a_replay_goes_to_the_rules_that_are_named(desk: Desk) -> None:
    desk.bus.events.put_rule(Name="one", EventBusName=desk.bus.name, EventPattern='{"source":["a"]}')
    replay(desk, "--rule", "one")
    (request,) = desk.way.requests("StartReplay")
    (rule_arn,) = request["Destination"]["FilterArns"]
    assert rule_arn.endswith(f":rule/{desk.bus.name}/one")
    assert request["Destination"]["Arn"] == desk.bus.arn
    assert request["EventSourceArn"].endswith(f":archive/{desk.bus.name}-archive")
    assert "DescribeRule" in desk.needs()


def test_a_dry_run_of_a_replay_starts_nothing(desk: Desk) -> None:
    result = replay(desk, "--dry-run")
    assert result.stdout.startswith("would replay arn:aws:events:")
    assert desk.needs() == {"DescribeArchive"}


@pytest.mark.parametrize(
    ("from_at", "until_at", "why"),
    [
        (LONG_AGO, FAR_FUTURE, "--to must be in the past"),
        (FAR_FUTURE, LONG_AGO, "--from must be before --to"),
        (LONG_AGO, LONG_AGO, "--from must be before --to"),
        ("2020-01-01T00:00:00", LONG_AGO, "no instant with an offset"),
        (LONG_AGO, "today", "no instant with an offset"),
    ],
)
def test_times_that_make_no_sense_are_told(desk: Desk, from_at: str, until_at: str, why: str) -> None:
    result = desk.run("archive", "replay", "--from", from_at, "--to", until_at, code=2)
    assert why in result.stderr
    assert "StartReplay" not in desk.needs()


def test_progress_is_shown_until_the_replay_is_over(desk: Desk) -> None:
    running = Reply(200, {"State": "RUNNING", "EventLastReplayedTime": 1_600_000_000})
    desk.way.answers("DescribeReplay", Reply(200, {"State": "STARTING"}), running)
    result = replay(desk)
    assert result.stderr.splitlines()[-2:] == ["STARTING", "RUNNING, until 2020-09-13T12:26:40.000Z"]
    assert "is COMPLETED" in result.stdout


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (
            Reply(200, {"State": "FAILED", "StateReason": "the archive is gone"}),
            "FAILED: the archive is gone",
        ),
        (Reply(200, {"State": "CANCELLED"}), "CANCELLED: no reason given"),
        (Reply(200, {"State": "PAUSED"}), "a state that is not known: PAUSED"),
        (refusal("AccessDeniedException", "may not look"), "AccessDeniedException: may not look"),
    ],
)
def test_a_replay_that_is_not_complete_is_an_exit_code_of_one(desk: Desk, reply: Reply, why: str) -> None:
    desk.way.answers_always("DescribeReplay", reply)
    assert why in replay(desk, code=1).stderr


def test_an_archive_or_a_rule_that_is_not_known_is_told(desk: Desk) -> None:
    assert (
        "DescribeArchive none: ResourceNotFoundException" in replay(desk, "--archive", "none", code=1).stderr
    )
    assert "DescribeRule none: ResourceNotFoundException" in replay(desk, "--rule", "none", code=1).stderr
    assert "StartReplay" not in desk.needs()


# -- backup ----------------------------------------------------------------------------------------


def test_all_tables_are_backed_up_under_one_name(desk: Desk, tables: list[str]) -> None:
    rows = [line.split() for line in desk.run("backup", "create").stdout.splitlines()]
    assert [(state, table) for state, table, _ in rows] == [("AVAILABLE", table) for table in tables]
    assert all(f"table/{table}/backup/" in arn for _, table, arn in rows)
    (name,) = {request["BackupName"] for request in desk.way.requests("CreateBackup")}
    assert name.startswith("before-deployment-2")
    assert desk.needs() == {"CreateBackup", "DescribeBackup"}


def test_a_dry_run_of_a_backup_creates_nothing(desk: Desk, tables: list[str]) -> None:
    result = desk.run("backup", "create", "--name", "v2", "--dry-run")
    assert [line.split()[3] for line in result.stdout.splitlines()] == tables
    assert "as v2-2" in result.stdout
    assert desk.needs() == {"DescribeTable"}


def test_it_waits_until_every_backup_can_be_restored_from(desk: Desk, tables: list[str]) -> None:
    details = {"BackupArn": "arn", "BackupName": "n", "BackupStatus": "CREATING"}
    creating = Reply(200, {"BackupDescription": {"BackupDetails": details}})
    desk.way.answers("DescribeBackup", creating, creating)
    result = desk.run("backup", "create")
    assert result.stderr.splitlines() == ["2 of 4 backups are there", "4 of 4 backups are there"]
    assert len(desk.way.requests("DescribeBackup")) == len(tables) + 2


def test_one_backup_that_fails_fails_the_command_and_those_there_are_are_listed(
    desk: Desk, tables: list[str]
) -> None:
    desk.way.answers("CreateBackup", refusal("ContinuousBackupsUnavailableException", "not yet"))
    result = desk.run("backup", "create", code=1)
    states = [line.split()[0] for line in result.stdout.splitlines()]
    assert states == ["FAILED", "AVAILABLE", "AVAILABLE", "AVAILABLE"]
    assert f"Error: {tables[0]}: CreateBackup {tables[0]}: ContinuousBackupsUnavailable" in result.stderr


def test_a_backup_that_is_deleted_meanwhile_is_no_backup(desk: Desk, tables: list[str]) -> None:
    details = {"BackupArn": "arn", "BackupName": "n", "BackupStatus": "DELETED"}
    desk.way.answers("DescribeBackup", Reply(200, {"BackupDescription": {"BackupDetails": details}}))
    assert f"{tables[0]}: it was deleted" in desk.run("backup", "create", code=1).stderr


def test_tables_that_are_not_there_are_told(desk: Desk) -> None:
    result = desk.run("backup", "create", code=1)
    assert result.stderr.count("TableNotFoundException") + result.stderr.count("ResourceNotFound") == 4


@pytest.mark.parametrize("name", ["", "a b", "ä/", "x" * 201])
def test_a_name_that_dynamodb_would_not_take_is_told_before(desk: Desk, name: str) -> None:
    desk.run("backup", "create", "--name", name, code=2)
    assert desk.needs() == set()


# -- all -------------------------------------------------------------------------------------------

COMMANDS: Final = (
    ("dlq", "list"),
    ("dlq", "redrive"),
    ("archive", "replay", "--from", LONG_AGO, "--to", "2020-01-02T00:00:00Z"),
    ("backup", "create"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_an_aws_runtime_there_is_nothing_to_operate(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = Cli(tmp_path).run(*command, code=2)
    assert "Configuration: this is for the AWS runtime" in result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_whoever_may_not_do_it_is_told_what_they_may_not(desk: Desk, command: tuple[str, ...]) -> None:
    denied = refusal("AccessDeniedException", "not authorized to perform it")
    for operation in ("GetQueueUrl", "DescribeArchive", "CreateBackup"):
        desk.way.answers_always(operation, denied)
    assert "AccessDeniedException: not authorized to perform it" in desk.run(*command, code=1).stderr
