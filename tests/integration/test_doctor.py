"""`doctor` on the document's infrastructure, as it should be and with one thing different at a time."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import Result
from tests.support.cli import Cli
from tests.support.deployment import (
    ENV,
    INDEXES,
    PATTERNS,
    POLICIES,
    Account,
    P,
    allow,
    build,
    document,
    error_rate,
    latency,
    put_alarm,
    put_rule,
    throttling,
)
from tests.support.deployment_differences import (
    ARCHIVE,
    CREATED,
    DIFFERENCES,
    DLQ,
    FOLLOWS,
    ON_TABLES,
    SCHEDULE,
    SERVICE_ROLE,
    TABLE_ARNS,
    trusted,
    unprotected,
)
from tests.support.ministack import ministack
from tests.support.moto import moto

POD: Final = f"system:serviceaccount:{ENV}:reservation-api"


@pytest.fixture(scope="module")
def stand_ins() -> Iterator[Account]:
    """One account for all tests: making botocore's clients takes longer than most of what they do."""
    with ministack() as aws, moto() as cloudwatch:
        made = Account(aws.url, cloudwatch)
        yield made
        made.close()


@pytest.fixture
def account(stand_ins: Account) -> Account:
    """The account, with nothing in it."""
    for forget in (f"{stand_ins.url}/_ministack/reset", f"{stand_ins.cloudwatch_url}/moto-api/reset"):
        with urllib.request.urlopen(forget, b"", timeout=10):
            pass
    return stand_ins


@pytest.fixture
def good(account: Account) -> Account:
    build(account)
    return account


def doctor(account: Account, tmp_path: Path, *arguments: str, code: int = 0) -> Result:
    environment = {
        "AWS_ACCESS_KEY_ID": account.number,
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_ENDPOINT_URL": account.url,
        "AWS_ENDPOINT_URL_CLOUDWATCH": account.cloudwatch_url,
    }
    return Cli(tmp_path).run("doctor", "--env", ENV, *arguments, code=code, **environment)


def findings(result: Result) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = json.loads(result.stdout)
    return found


# -- As it should be -------------------------------------------------------------------------------


def test_a_good_deployment_is_ok_line_by_line(good: Account, tmp_path: Path) -> None:
    result = doctor(good, tmp_path)
    lines = result.stdout.splitlines()
    assert [line for line in lines if not line.startswith("ok  ")] == []
    assert f"ok          table {P}-idempotency: ttl on ttl  (1.3)" in lines
    assert f"ok          {ARCHIVE}: retention days 365  (2.1, 8.2)" in lines
    assert result.stderr.strip() == f"{len(lines)} ok, 0 missing, 0 different, 0 unreadable"


def test_it_looks_at_every_section_that_an_account_can_show(good: Account, tmp_path: Path) -> None:
    seen = {
        section
        for one in findings(doctor(good, tmp_path, "--json"))
        for section in one["section"].split(", ")
    }
    assert seen == {
        *("1", "1.1", "1.2", "1.3", "1.4", "2.1", "2.2", "2.3", "3.1", "3.2", "4.2"),
        *("6.2", "6.3", "7.1", "7.2", "7.3", "8.1", "8.2", "Validation Commands"),
    }


def test_findings_are_objects_for_programs(good: Account, tmp_path: Path) -> None:
    put_rule(good, "created", {"source": ["reservation.service"]})
    found = findings(doctor(good, tmp_path, "--json", code=1))
    assert {tuple(one) for one in found} == {("check", "subject", "status", "expected", "found", "section")}
    assert [one for one in found if one["status"] != "ok"] == [
        {
            "check": "pattern",
            "subject": CREATED,
            "status": "different",
            "expected": PATTERNS["created"],
            "found": {"source": ["reservation.service"]},
            "section": "2.2, 7.2",
        }
    ]


def test_an_empty_account_lacks_everything_and_each_thing_once(account: Account, tmp_path: Path) -> None:
    found = findings(doctor(account, tmp_path, "--json", code=1))
    missing = [one["subject"] for one in found if one["status"] == "missing"]
    assert {f"table {P}-{table}" for table in INDEXES} <= set(missing)
    assert {CREATED, SCHEDULE, ARCHIVE, DLQ, f"event bus {P}-events"} <= set(missing)
    assert {"alarm High Latency", "alarm High Error Rate", "log groups /aws/ecs/reservation-api"} <= set(
        missing
    )
    assert len(missing) == len(set(missing))
    assert f"log groups /aws/lambda/{P}-" not in missing, "functions are not everywhere"
    lists = [one for one in found if one["check"] == "names"]
    assert [one["status"] for one in lists] == ["different"] * 3


# -- One difference at a time ----------------------------------------------------------------------


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_single_difference_is_found_and_named(good: Account, tmp_path: Path, name: str) -> None:
    planted = DIFFERENCES[name]
    planted.change(good)
    found = [one for one in doctor(good, tmp_path, code=1).stdout.splitlines() if not one.startswith("ok ")]
    (line,) = [one for one in found if f"  {planted.subject}: {planted.check}: " in one]
    assert line.startswith(planted.status)
    assert planted.told in line
    assert {one.split(": ")[1] for one in found if one != line} <= FOLLOWS.get(name, set())


# -- What the document leaves open -----------------------------------------------------------------


def renamed_alarm(account: Account) -> None:
    account.client("cloudwatch").delete_alarms(AlarmNames=[f"{P}-high-latency"])
    put_alarm(account, latency(account), AlarmName="slow")


def another_services_alarm(account: Account) -> None:
    put_alarm(account, error_rate(account), AlarmName="payments-errors", Threshold=50, EvaluationPeriods=1)


def one_alarm_for_each_metric(account: Account) -> None:
    cloudwatch = account.client("cloudwatch")
    whole = throttling(account, "idempotency")
    cloudwatch.delete_alarms(AlarmNames=[whole["AlarmName"]])
    for query in whole.pop("Metrics")[:-1]:
        metric = {**query["MetricStat"]["Metric"], "Period": 300, "Statistic": "Sum"}
        put_alarm(account, {**whole, **metric}, AlarmName=f"{P}-{metric['MetricName']}")


def one_policy_for_all(account: Account) -> None:
    iam = account.client("iam")
    for name in POLICIES:
        arn = account.arn("iam", f"policy/{P}-{name}", region="")
        iam.detach_role_policy(RoleName=SERVICE_ROLE, PolicyArn=arn)
    split = [allow(action, place) for action in ON_TABLES for place in TABLE_ARNS]
    rest = [allow(actions, places) for name, (actions, places) in POLICIES.items() if name != "dynamodb"]
    iam.put_role_policy(RoleName=SERVICE_ROLE, PolicyName="all", PolicyDocument=document(*split, *rest))


def eventbridge_scheduler(account: Account) -> None:
    name, events = f"{P}-expiry-scheduler", account.client("events")
    events.remove_targets(Rule=name, Ids=["expiry"])
    events.delete_rule(Name=name)
    function = account.arn("lambda", f"function:{P}-expiry")
    account.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": function,
            "RoleArn": account.arn("iam", "role/scheduler", region=""),
            "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60},
            "DeadLetterConfig": {"Arn": account.dlq_arn},
        },
    )


def let_pods_in(account: Account, **claims: str) -> None:
    """Let pods take the service role whose tokens claim this."""
    issuer = "oidc.eks.example.com/id/1"
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": account.arn("iam", f"oidc-provider/{issuer}", region="")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{issuer}:{name}": value for name, value in claims.items()}},
    }
    trusted(SERVICE_ROLE, document(statement))(account)


def kubernetes(account: Account) -> None:
    let_pods_in(account, sub=POD, aud="sts.amazonaws.com")


def pattern_in_another_order(account: Account) -> None:
    backwards = {"status": ["EXPIRED", "CONFIRMED", "CANCELLED"]}
    put_rule(account, "status-changed", PATTERNS["status-changed"] | {"detail": backwards})


@pytest.mark.parametrize(
    "change",
    [
        *(renamed_alarm, another_services_alarm, one_alarm_for_each_metric, one_policy_for_all),
        *(eventbridge_scheduler, kubernetes, pattern_in_another_order),
    ],
)
def test_what_the_document_leaves_open_is_as_good(
    good: Account, tmp_path: Path, change: Callable[[Account], None]
) -> None:
    change(good)
    doctor(good, tmp_path)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"sub": POD}, f"as {POD} for anybody"),
        ({"aud": "sts.amazonaws.com"}, "as anybody for sts.amazonaws.com"),
        ({"sub": POD, "aud": "kubernetes"}, f"as {POD} for kubernetes"),
        (
            {"sub": "system:serviceaccount:*", "aud": "sts.amazonaws.com"},
            "as system:serviceaccount:* for sts",
        ),
    ],
)
def test_a_pod_is_known_by_its_account_and_by_whom_its_token_is_for(
    good: Account, tmp_path: Path, claims: Mapping[str, str], said: str
) -> None:
    let_pods_in(good, **claims)
    found = doctor(good, tmp_path, code=1).stdout
    assert re.search(rf"different +role {SERVICE_ROLE}: trust: .* found .*{re.escape(said)}", found)


def test_tables_need_no_protection_where_nothing_is_real(good: Account, tmp_path: Path) -> None:
    unprotected(good)
    doctor(good, tmp_path, "--no-production")
    doctor(good, tmp_path, code=1)


def test_another_environment_is_another_deployment(good: Account, tmp_path: Path) -> None:
    found = findings(doctor(good, tmp_path, "--env", "staging", "--json", code=1))
    assert {one["status"] for one in found if one["subject"].startswith(("table", "role", "queue"))} == {
        "missing"
    }


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--env", "Traffic Tacos"), "lower-case letters"),
        (("--env", "x" * 22), "lower-case letters"),
        (("--env", '"}'), "lower-case letters"),
        (("--region", "Seoul"), "the name of a region"),
    ],
)
def test_names_that_nothing_can_have_are_told(
    account: Account, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    assert why in doctor(account, tmp_path, *arguments, code=2).stderr


def test_without_an_account_it_says_so_and_reads_nothing(tmp_path: Path) -> None:
    nobody = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    unset = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "")
    result = Cli(tmp_path).run("doctor", code=1, **nobody, **unset)
    assert result.stderr.startswith("Error: GetCallerIdentity: ")
    assert result.stdout == ""
