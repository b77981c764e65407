"""What `doctor` needs is what it says it needs; and what it may not read it tells, and goes on."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import Result
from tests.support.cli import Cli
from tests.support.deployment import ENV, REGION, Account, P, build
from tests.support.moto_iam import MotoIam, moto_with_iam

from reservation_api.adapters.aws_operations.deployment_permissions import reading_policy
from reservation_api.adapters.aws_wire.signing import AwsCredentials

POLICY: Final = reading_policy(ENV, REGION)
ACTIONS: Final = [action for statement in POLICY["Statement"] for action in statement["Action"]]
_MOTO_NAMES: Final = {"cloudwatch:DescribeAlarms": "monitoring:DescribeAlarms"}
MOTO_ACCOUNT: Final = "123456789012"


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoIam]:
    with moto_with_iam() as server:
        account = Account(server.url, server.url, number=MOTO_ACCOUNT)
        build(account)
        yield server
        account.close()


def without(*denied: str) -> Mapping[str, Any]:
    """The policy with fewer actions; on all resources, since moto asks for more than AWS does."""
    allowed = [_MOTO_NAMES.get(action, action) for action in ACTIONS if action not in denied]
    return {**POLICY, "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}]}


def doctor(aws: MotoIam, tmp_path: Path, policy: Mapping[str, Any], code: int) -> list[dict[str, Any]]:
    try:
        result = run(aws, tmp_path, aws.assume(policy), code)
    finally:
        aws.relax()
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def run(aws: MotoIam, tmp_path: Path, credentials: AwsCredentials, code: int) -> Result:
    environment = {
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token or "",
    }
    return Cli(tmp_path).run("doctor", "--json", "--endpoint-url", aws.url, code=code, **environment)


def test_with_the_policy_that_it_prints_everything_is_read(aws: MotoIam, tmp_path: Path) -> None:
    assert {one["status"] for one in doctor(aws, tmp_path, without(), code=0)} == {"ok"}


@pytest.mark.parametrize("action", [one for one in ACTIONS if one != "scheduler:GetSchedule"])
def test_what_may_not_be_read_is_told_and_the_rest_is_read(aws: MotoIam, tmp_path: Path, action: str) -> None:
    found = doctor(aws, tmp_path, without(action), code=1)
    unreadable = [one for one in found if one["status"] == "unreadable"]
    assert unreadable
    for one in unreadable:
        assert one["found"].startswith(f"{action.partition(':')[2]}: "), one
    assert {one["status"] for one in found} == {"ok", "unreadable"}


def test_the_schedule_is_asked_for_where_there_is_no_rule(aws: MotoIam, tmp_path: Path) -> None:
    """With its IAM on moto refuses every GET: that it may be read is seen in test_doctor.py."""
    found = doctor(aws, tmp_path, without("scheduler:GetSchedule"), code=0)
    assert [one["status"] for one in found if one["subject"].startswith("schedule")] == ["ok"] * 6
    events, rule = aws.client("events"), f"{P}-expiry-scheduler"
    (target,) = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.remove_targets(Rule=rule, Ids=[target["Id"]])
    events.delete_rule(Name=rule)
    found = doctor(aws, tmp_path, without("scheduler:GetSchedule"), code=1)
    (told,) = [one for one in found if one["subject"].startswith("schedule")]
    assert told["status"] == "unreadable"
    assert told["found"].startswith("GetSchedule: ")
    events.put_rule(Name=rule, ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule=rule, Targets=[target])


def test_whoever_may_read_nothing_is_told_of_everything(aws: MotoIam, tmp_path: Path) -> None:
    found = doctor(aws, tmp_path, without(*ACTIONS[1:]), code=1)
    assert {one["subject"] for one in found if one["status"] == "ok"} == {"list tables"}
    assert [one for one in found if one["status"] not in {"ok", "unreadable"}] == []


def test_the_policy_is_printed_without_an_account(tmp_path: Path) -> None:
    printed = Cli(tmp_path).run("doctor", "--permissions", "--env", ENV).stdout
    assert json.loads(printed) == POLICY
    other = json.loads(
        Cli(tmp_path).run("doctor", "--permissions", "--env", "test", "--region", "eu-west-1").stdout
    )
    assert other == reading_policy("test", "eu-west-1")


def test_the_policy_only_reads() -> None:
    assert [action for action in ACTIONS if not re.fullmatch(r"\w+:(Get|List|Describe)\w+", action)] == []
    data = {"dynamodb:GetItem", "sqs:ReceiveMessage", "logs:GetLogEvents"}
    assert data.isdisjoint(ACTIONS)


def test_its_resources_are_this_environments(tmp_path: Path) -> None:
    broad = {
        statement["Sid"]
        for statement in POLICY["Statement"]
        if not all(ENV in resource for resource in statement["Resource"])
    }
    assert broad == {"ListWhatThereIs", "ReadWhoseKeyEncryptsThem", "ReadTheirPolicies", "ReadTopics"}
