"""What Terraform would make for production: the plan itself, of the real configuration, looked at whole."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from tests.support.terraform_plans import PROD, PROD_VALUES, planned, planning

from testkit.backends import ACCOUNT
from testkit.fetch import Fetched
from testkit.terraform import HOW_TO_GET_IT, TerraformError, Workspace, installed

LONG: Final = 365
SHORT: Final = 30

pytestmark = [
    pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def place(
    schema_and_protocol: Fetched,
    running_servers: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Workspace]:
    work = tmp_path_factory.mktemp("prod")
    with planning(PROD, work, schema_and_protocol, running_servers) as opened:
        yield opened


@pytest.fixture(scope="module")
def resources(place: Workspace) -> dict[str, dict[str, Any]]:
    return planned(place, PROD_VALUES)


def of(resources: Mapping[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Return the resources of one type."""
    return {address: values for address, values in resources.items() if f".{kind}." in address}


def test_what_holds_data_is_protected_and_can_be_had_back(resources: dict[str, dict[str, Any]]) -> None:
    tables = of(resources, "aws_dynamodb_table").values()
    assert {table["name"] for table in tables} == {
        f"traffic-tacos-reservation-{table}" for table in ("reservations", "orders", "idempotency", "outbox")
    }
    assert all(table["deletion_protection_enabled"] for table in tables)
    assert all(table["point_in_time_recovery"][0]["enabled"] for table in tables)
    [balancer] = of(resources, "aws_lb").values()
    assert balancer["enable_deletion_protection"]
    [secret] = of(resources, "aws_secretsmanager_secret").values()
    assert secret["recovery_window_in_days"] == SHORT
    [archive] = of(resources, "aws_cloudwatch_event_archive").values()
    assert archive["retention_days"] == LONG


def test_nothing_is_copied_to_another_region_unless_it_is_asked_for(
    resources: dict[str, dict[str, Any]],
) -> None:
    assert all(table["replica"] == [] for table in of(resources, "aws_dynamodb_table").values())
    assert all(secret["replica"] == [] for secret in of(resources, "aws_secretsmanager_secret").values())
    assert not any("forward" in address for address in resources)


def test_the_world_reaches_the_balancer_and_nothing_here_reaches_the_world(
    resources: dict[str, dict[str, Any]],
) -> None:
    come_in = of(resources, "aws_vpc_security_group_ingress_rule")
    open_to_all = {address for address, rule in come_in.items() if rule["cidr_ipv4"] == "0.0.0.0/0"}
    assert {address.partition('["')[2].partition("/")[0] for address in open_to_all} == {"balancer"}
    go_out = of(resources, "aws_vpc_security_group_egress_rule").values()
    assert not [rule for rule in go_out if rule["cidr_ipv4"] == "0.0.0.0/0"]
    assert of(resources, "aws_nat_gateway") == {}
    private = of(resources, "aws_subnet")
    assert len({values["availability_zone"] for values in private.values()}) == len(private) / 2 == 3
    for service in of(resources, "aws_ecs_service").values():
        assert service["network_configuration"][0]["assign_public_ip"] is False
    for function in of(resources, "aws_lambda_function").values():
        assert len(function["vpc_config"]) == 1


def test_thirty_thousand_requests_a_second_are_planned_for(resources: dict[str, dict[str, Any]]) -> None:
    [target] = of(resources, "aws_appautoscaling_target").values()
    assert (target["min_capacity"], target["max_capacity"]) == (8, 24)
    outbox = resources['module.dynamodb.aws_dynamodb_table.this["outbox"]']
    assert outbox["warm_throughput"][0]["write_units_per_second"] > 40_000
    [api] = [
        values for address, values in of(resources, "aws_ecs_task_definition").items() if '"api"' in address
    ]
    assert api["cpu"] == "4096"


def test_application_logs_are_kept_for_thirty_days(resources: dict[str, dict[str, Any]]) -> None:
    groups = of(resources, "aws_cloudwatch_log_group").values()
    assert len(groups) == 5
    assert {group["retention_in_days"] for group in groups} == {SHORT}


def test_a_collector_beside_tasks_can_be_pulled_through_the_endpoints(
    resources: dict[str, dict[str, Any]],
) -> None:
    policy = json.loads(resources['module.network.aws_vpc_endpoint.interface["ecr.dkr"]']["policy"])
    [pull] = [statement for statement in policy["Statement"] if statement["Sid"] == "PullImages"]
    assert {arn.rpartition("/")[2] for arn in pull["Resource"]} == {"reservation-api", "aws-otel-collector"}


def test_endpoints_let_the_service_reach_what_is_made_here(resources: dict[str, dict[str, Any]]) -> None:
    """The network module knows the others' resources by names alone: here they are, side by side."""
    endpoints = {
        address.partition('["')[2].removesuffix('"]'): json.loads(values["policy"])
        for address, values in of(resources, "aws_vpc_endpoint").items()
    }
    allowed = {
        service: [str(arn) for statement in policy["Statement"] for arn in _list(statement["Resource"])]
        for service, policy in endpoints.items()
    }
    names = {
        "dynamodb": [f"table/{it['name']}" for it in of(resources, "aws_dynamodb_table").values()],
        "events": [f"event-bus/{it['name']}" for it in of(resources, "aws_cloudwatch_event_bus").values()],
        "sqs": [it["name"] for it in of(resources, "aws_sqs_queue").values()],
        "secretsmanager": [f"secret:{of_one['name']}" for of_one in _secrets(resources)],
        "logs": [
            f"log-group:{it['name']}"
            for it in of(resources, "aws_cloudwatch_log_group").values()
            if "/aws/ecs/" in it["name"]
        ],
    }
    for service, wanted in names.items():
        for name in wanted:
            assert any(_covers(arn, name) for arn in allowed[service]), f"{service}: {name}"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _secrets(resources: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return list(of(resources, "aws_secretsmanager_secret").values())


def _covers(arn: str, name: str) -> bool:
    """Say whether an ARN ends in a name, or in a pattern that the name fits."""
    resource = arn.split(":", 5)[5] if arn.count(":") >= 5 else arn
    return name == resource or (resource.endswith("*") and name.startswith(resource[:-1]))


def test_copies_are_made_where_they_are_asked_for(place: Workspace) -> None:
    bus = f"arn:aws:events:ap-northeast-1:{ACCOUNT}:event-bus/traffic-tacos-reservation-events"
    found = planned(place, {**PROD_VALUES, "replica_regions": ["ap-northeast-1"], "forward_to_bus_arn": bus})
    assert all(
        [replica["region_name"] for replica in table["replica"]] == ["ap-northeast-1"]
        for table in of(found, "aws_dynamodb_table").values()
    )
    assert any("forward" in address for address in found)


def test_a_peak_beyond_the_accounts_quota_is_no_plan(place: Workspace) -> None:
    with pytest.raises(TerraformError, match="Have the quota raised"):
        planned(place, {**PROD_VALUES, "table_quota": {}})


def test_the_values_that_one_copies_make_a_plan(place: Workspace) -> None:
    example = place.folder / "terraform.tfvars"
    example.write_text((PROD / "terraform.tfvars.example").read_text())
    try:
        found = planned(place, {"lambda_package": "./main.tf"})
    finally:
        example.unlink()
    go_out = of(found, "aws_vpc_security_group_egress_rule")
    assert any('"service/payment/' in address for address in go_out), "the payment service is reached"
