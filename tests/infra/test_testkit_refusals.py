"""What AWS would refuse is refused, though the stand-ins would take it; and what AWS takes is taken."""

import json
from typing import Any, Final

import pytest
from tests.support.terraform_configs import config_of

from testkit.aws import Aws
from testkit.kinds import KINDS
from testkit.schema import Schema
from testkit.shapes import RefusedError
from testkit.values import UNKNOWN

Values = dict[str, Any]

TABLE: Final[Values] = {
    "name": "reservations",
    "hash_key": "pk",
    "attribute": [{"name": "pk", "type": "S"}],
}
RULE: Final[Values] = {
    "name": "created",
    "event_bus_name": "reservations",
    "event_pattern": '{"source":["reservation.service"]}',
}
ALARM: Final[Values] = {
    "alarm_name": "latency",
    "comparison_operator": "GreaterThanThreshold",
    "evaluation_periods": 3,
    "threshold": 120,
    "metric_name": "APILatency",
    "namespace": "TrafficTacos/Reservation",
    "period": 300,
    "extended_statistic": "p95",
}
METRIC: Final[Values] = {"metric_name": "Requests", "namespace": "N", "period": 60, "stat": "Sum"}
MATH: Final[Values] = {
    "alarm_name": "errors",
    "comparison_operator": "GreaterThanThreshold",
    "evaluation_periods": 2,
    "threshold": 1,
    "metric_query": [
        {"id": "rate", "expression": "100 * errors / requests", "return_data": True},
        {"id": "errors", "metric": [METRIC]},
        {"id": "requests", "metric": [METRIC]},
    ],
}
QUEUE: Final[Values] = {"name": "events-dlq", "message_retention_seconds": 1_209_600}
TARGET: Final[Values] = {"rule": "created", "arn": "arn:aws:sqs:ap-northeast-2:123456789012:work"}
ENDPOINT: Final[Values] = {"vpc_id": "vpc-1", "service_name": "com.amazonaws.ap-northeast-2.dynamodb"}
FUNCTION: Final[Values] = {
    "function_name": "f",
    "role": "arn",
    "filename": "f.zip",
    "handler": "h",
    "runtime": "python3.13",
}
TASK: Final[Values] = {
    "family": "api",
    "requires_compatibilities": ["FARGATE"],
    "network_mode": "awsvpc",
    "cpu": "1024",
    "memory": "2048",
    "container_definitions": '[{"name":"api","image":"i"}]',
}
SG_RULE: Final[Values] = {
    "security_group_id": "sg-1",
    "ip_protocol": "tcp",
    "from_port": 443,
    "to_port": 443,
    "cidr_ipv4": "10.0.0.0/16",
}
STATEMENT: Final[Values] = {"Sid": "A", "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}


def policy(*statements: Values, **changed: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)} | changed)


def inline(**changed: Any) -> Values:
    return {"role": "r", "policy": policy({k: v for k, v in (STATEMENT | changed).items() if v is not None})}


def trust(**changed: Any) -> Values:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    return {"assume_role_policy": policy(statement | changed)}


def pattern(**members: Any) -> Values:
    return RULE | {"event_pattern": json.dumps(members)}


def index(**changed: Any) -> Values:
    return {"name": "by-user", "hash_key": "user_id", "projection_type": "ALL"} | changed


TAKEN: Final[list[tuple[str, Values]]] = [
    ("aws_dynamodb_table", TABLE),
    ("aws_dynamodb_table", TABLE | {"hash_key": UNKNOWN}),
    ("aws_cloudwatch_event_rule", RULE),
    ("aws_cloudwatch_event_rule", RULE | {"event_bus_name": UNKNOWN}),
    ("aws_cloudwatch_event_rule", {"name": "r", "schedule_expression": "rate(1 minute)"}),
    ("aws_cloudwatch_event_rule", {"name": "r", "schedule_expression": "cron(0 12 * * ? *)"}),
    ("aws_cloudwatch_event_rule", {"name": "r", "event_pattern": '{"source":["aws.ecs"]}'}),
    ("aws_cloudwatch_event_rule", pattern(detail={"status": [{"anything-but": ["HOLD"]}]})),
    ("aws_cloudwatch_event_rule", pattern(**{"$or": [{"source": ["a"]}, {"source": ["b"]}]})),
    ("aws_cloudwatch_event_rule", RULE | {"event_pattern": UNKNOWN}),
    ("aws_cloudwatch_event_target", TARGET),
    ("aws_cloudwatch_metric_alarm", ALARM),
    ("aws_cloudwatch_metric_alarm", ALARM | {"extended_statistic": "tm99.5"}),
    ("aws_cloudwatch_metric_alarm", MATH),
    ("aws_cloudwatch_metric_alarm", MATH | {"metric_query": UNKNOWN}),
    ("aws_cloudwatch_log_group", {"name": "g", "retention_in_days": 30}),
    ("aws_sqs_queue", QUEUE),
    ("aws_iam_role_policy", inline()),
    ("aws_iam_role", trust()),
    ("aws_vpc_endpoint", ENDPOINT),
    ("aws_lambda_function", FUNCTION),
    ("aws_ecs_task_definition", TASK),
    ("aws_vpc_security_group_egress_rule", SG_RULE),
    ("aws_vpc_security_group_egress_rule", SG_RULE | {"cidr_ipv4": UNKNOWN, "prefix_list_id": UNKNOWN}),
]

REFUSED: Final[list[tuple[str, Values, str]]] = [
    # Keys and declarations of a table.
    ("aws_dynamodb_table", TABLE | {"range_key": "sk"}, "sk is not declared"),
    ("aws_dynamodb_table", TABLE | {"global_secondary_index": [index()]}, "user_id is not declared"),
    (
        "aws_dynamodb_table",
        TABLE
        | {
            "global_secondary_index": [
                index(hash_key=None, key_schema=[{"attribute_name": "x", "key_type": "HASH"}])
            ]
        },
        "x is not declared",
    ),
    (
        "aws_dynamodb_table",
        TABLE | {"attribute": [*TABLE["attribute"], {"name": "qty", "type": "N"}]},
        "qty is in no key",
    ),
    ("aws_dynamodb_table", TABLE | {"ttl": [{"enabled": True}]}, "attribute_name"),
    # Rules.
    ("aws_cloudwatch_event_rule", RULE | {"schedule_expression": "rate(1 minute)"}, "default bus only"),
    ("aws_cloudwatch_event_rule", RULE | {"schedule_expression": ""}, "default bus only"),
    ("aws_cloudwatch_event_rule", {"name": "r"}, "must be specified"),
    ("aws_cloudwatch_event_rule", {"name": "r", "schedule_expression": ""}, "empty schedule_expression"),
    ("aws_cloudwatch_event_rule", {"name": "r", "schedule_expression": "rate(1 minutes)"}, "is no rate"),
    ("aws_cloudwatch_event_rule", {"name": "r", "schedule_expression": "rate(5 minute)"}, "is no rate"),
    ("aws_cloudwatch_event_rule", {"name": "r", "schedule_expression": "cron(0 12 * * ?)"}, "is no rate"),
    ("aws_cloudwatch_event_rule", RULE | {"event_pattern": "{"}, "not JSON"),
    ("aws_cloudwatch_event_rule", RULE | {"event_pattern": "{}"}, "not empty"),
    ("aws_cloudwatch_event_rule", pattern(source="reservation.service"), "must be a list"),
    ("aws_cloudwatch_event_rule", pattern(source=[]), "must be a list"),
    ("aws_cloudwatch_event_rule", pattern(source=[["a"]]), "list in a list"),
    ("aws_cloudwatch_event_rule", pattern(source=[{"starts-with": "a"}]), "no operator 'starts-with'"),
    ("aws_cloudwatch_event_rule", pattern(source=[{"prefix": "a", "suffix": "b"}]), "exactly one operator"),
    ("aws_cloudwatch_event_rule", pattern(detailType=["x"]), "no field 'detailType'"),
    ("aws_cloudwatch_event_rule", pattern(**{"$or": [{"source": ["a"]}]}), "two or more"),
    ("aws_cloudwatch_event_rule", pattern(source=["aws.ecs"]), "nobody can publish"),
    ("aws_cloudwatch_event_rule", pattern(source=["x" * 5000]), "longer than 4096"),
    (
        "aws_cloudwatch_event_archive",
        {"name": "a", "event_source_arn": "arn", "event_pattern": '{"sources":["a"]}'},
        "no field 'sources'",
    ),
    # Targets.
    ("aws_cloudwatch_event_target", TARGET | {"input": "{}", "input_path": "$"}, "conflicts with"),
    ("aws_cloudwatch_event_target", TARGET | {"retry_policy": [{"maximum_retry_attempts": 186}]}, "0 to 185"),
    (
        "aws_cloudwatch_event_target",
        TARGET | {"retry_policy": [{"maximum_event_age_in_seconds": 30}]},
        "60 to 86400",
    ),
    (
        "aws_cloudwatch_event_target",
        TARGET | {"input_transformer": [{"input_paths": {"a": "$.a"}, "input_template": '"<b>"'}]},
        "<b>",
    ),
    # Alarms.
    ("aws_cloudwatch_metric_alarm", ALARM | {"statistic": "Sum"}, "conflicts with extended_statistic"),
    ("aws_cloudwatch_metric_alarm", ALARM | {"extended_statistic": "95p"}, "no extended statistic"),
    ("aws_cloudwatch_metric_alarm", ALARM | {"extended_statistic": "p101"}, "no extended statistic"),
    (
        "aws_cloudwatch_metric_alarm",
        ALARM | {"extended_statistic": None, "statistic": "P95"},
        "statistic must be one of",
    ),
    ("aws_cloudwatch_metric_alarm", ALARM | {"extended_statistic": None}, "must be specified"),
    ("aws_cloudwatch_metric_alarm", ALARM | {"period": 90}, "multiple of 60"),
    ("aws_cloudwatch_metric_alarm", ALARM | {"datapoints_to_alarm": 4}, "more than evaluation_periods"),
    ("aws_cloudwatch_metric_alarm", ALARM | {"evaluation_periods": 0}, "at least 1"),
    ("aws_cloudwatch_metric_alarm", ALARM | {"evaluation_periods": 289}, "86400 seconds"),
    ("aws_cloudwatch_metric_alarm", ALARM | {"treat_missing_data": "ok"}, "treat_missing_data"),
    ("aws_cloudwatch_metric_alarm", ALARM | {"comparison_operator": "GreaterThan"}, "comparison_operator"),
    ("aws_cloudwatch_metric_alarm", ALARM | {"threshold": None}, "threshold"),
    ("aws_cloudwatch_metric_alarm", ALARM | {"namespace": None}, "needs namespace"),
    ("aws_cloudwatch_metric_alarm", MATH | {"metric_name": "m"}, "conflicts with metric_query"),
    (
        "aws_cloudwatch_metric_alarm",
        MATH
        | {"metric_query": [*MATH["metric_query"], {"id": "x", "expression": "rate", "return_data": True}]},
        "exactly one metric_query",
    ),
    (
        "aws_cloudwatch_metric_alarm",
        MATH | {"metric_query": [{"id": "rate", "expression": "errors / 2", "return_data": True}]},
        "no 'errors'",
    ),
    (
        "aws_cloudwatch_metric_alarm",
        MATH | {"metric_query": [{"id": "Rate", "metric": [METRIC], "return_data": True}]},
        "lower-case",
    ),
    (
        "aws_cloudwatch_metric_alarm",
        MATH | {"metric_query": [{"id": "a", "return_data": True}]},
        "either a metric or an expression",
    ),
    (
        "aws_cloudwatch_metric_alarm",
        MATH | {"metric_query": [{"id": "a", "metric": [METRIC | {"stat": "p"}], "return_data": True}]},
        "no statistic 'p'",
    ),
    ("aws_cloudwatch_dashboard", {"dashboard_body": "[]"}, "widgets"),
    (
        "aws_cloudwatch_dashboard",
        {"dashboard_body": '{"widgets":[{"type":"text","properties":{},"x":20,"width":12}]}'},
        "wider than the grid",
    ),
    # Logs.
    ("aws_cloudwatch_log_group", {"name": "g", "retention_in_days": 31}, "must be one of"),
    ("aws_cloudwatch_log_resource_policy", {"policy_document": UNKNOWN}, "must be specified"),
    # Queues and topics.
    ("aws_sqs_queue", QUEUE | {"message_retention_seconds": 1_209_601}, "60 to 1209600"),
    ("aws_sqs_queue", QUEUE | {"visibility_timeout_seconds": 43_201}, "0 to 43200"),
    ("aws_sqs_queue", QUEUE | {"fifo_queue": True}, ".fifo"),
    ("aws_sqs_queue", QUEUE | {"name": "not a name"}, "letters, digits"),
    ("aws_sqs_queue", QUEUE | {"content_based_deduplication": True}, "FIFO"),
    ("aws_sqs_queue", QUEUE | {"kms_master_key_id": "k", "sqs_managed_sse_enabled": True}, "conflicts"),
    ("aws_sqs_queue", QUEUE | {"redrive_policy": "[]"}, "not a JSON object"),
    ("aws_sns_topic", {"name": "t", "name_prefix": "t"}, "conflicts"),
    # Policies.
    ("aws_iam_role_policy", inline(Effect="allow"), "Allow or Deny"),
    ("aws_iam_role_policy", inline(Sid="a b"), "letters and digits"),
    ("aws_iam_role_policy", inline(Principal="*"), "has a principal"),
    ("aws_iam_role_policy", inline(Resource=None), "either Resource or NotResource"),
    ("aws_iam_role_policy", inline(Resource="dev-reservation"), "no ARN"),
    ("aws_iam_role_policy", inline(Action="SendMessage"), "is no action"),
    ("aws_iam_role_policy", inline(Action=[]), "Action is empty"),
    ("aws_iam_role_policy", inline(Actions=["sqs:*"]), "no element 'Actions'"),
    ("aws_iam_role_policy", {"role": "r", "policy": policy(STATEMENT, STATEMENT)}, "stands twice"),
    ("aws_iam_role_policy", {"role": "r", "policy": policy(STATEMENT, Version="2012-10-18")}, "no version"),
    ("aws_iam_role_policy", {"role": "r", "policy": policy()}, "no Statement"),
    ("aws_iam_role", trust(Resource="*"), "has a resource"),
    ("aws_iam_role", trust(Action="sqs:SendMessage"), "not of sts"),
    ("aws_iam_role", trust(Principal="*"), "trust policy takes"),
    ("aws_secretsmanager_secret_policy", {"policy": policy(STATEMENT)}, "either Principal or NotPrincipal"),
    # Secrets.
    ("aws_secretsmanager_secret", {"name": "s", "recovery_window_in_days": 3}, "7 to 30"),
    # Networks.
    ("aws_vpc", {"cidr_block": "10.0.0.0/8"}, "/16 to /28"),
    ("aws_subnet", {"vpc_id": "v", "cidr_block": "10.0.0.1/24"}, "host bits"),
    ("aws_route", {"route_table_id": "r", "destination_cidr_block": "0.0.0.0/0"}, "must be specified"),
    ("aws_vpc_endpoint", ENDPOINT | {"service_name": "com.amazonaws.ap-northeast-2.events"}, "no gateway"),
    ("aws_vpc_endpoint", ENDPOINT | {"private_dns_enabled": True}, "no private_dns_enabled"),
    (
        "aws_vpc_endpoint",
        ENDPOINT | {"vpc_endpoint_type": "Interface", "route_table_ids": ["rtb-1"]},
        "no route_table_ids",
    ),
    ("aws_vpc_security_group_egress_rule", SG_RULE | {"cidr_ipv4": None}, "must be specified"),
    ("aws_vpc_security_group_egress_rule", SG_RULE | {"prefix_list_id": "pl-1"}, "conflicts"),
    ("aws_vpc_security_group_egress_rule", SG_RULE | {"ip_protocol": "-1"}, "no ports"),
    ("aws_vpc_security_group_egress_rule", SG_RULE | {"to_port": None}, "must be set"),
    # Functions.
    ("aws_lambda_function", FUNCTION | {"image_uri": "i"}, "conflicts"),
    ("aws_lambda_function", FUNCTION | {"handler": None}, "needs handler"),
    ("aws_lambda_function", FUNCTION | {"timeout": 901}, "1 to 900"),
    ("aws_lambda_function_event_invoke_config", {"maximum_retry_attempts": 3}, "0 to 2"),
    # Containers and balancers.
    ("aws_ecs_task_definition", TASK | {"memory": "1024"}, "no task of"),
    ("aws_ecs_task_definition", TASK | {"network_mode": "bridge"}, "awsvpc"),
    ("aws_ecs_task_definition", TASK | {"cpu": None}, "needs cpu"),
    ("aws_ecs_task_definition", TASK | {"container_definitions": "{}"}, "no list of containers"),
    (
        "aws_ecs_service",
        {"deployment_maximum_percent": 100, "deployment_minimum_healthy_percent": 100},
        "more than the minimum",
    ),
    ("aws_ecs_service", {"health_check_grace_period_seconds": 30}, "load balancer"),
    ("aws_ecs_service", {"launch_type": "FARGATE"}, "network_configuration"),
    ("aws_lb", {"name": "a", "subnets": ["subnet-1"]}, "two zones"),
    ("aws_lb", {"name": "a" * 33}, "32 characters"),
    ("aws_lb_target_group", {"target_type": "ip", "protocol": "HTTP", "vpc_id": "v"}, "needs port"),
    (
        "aws_lb_target_group",
        {"target_type": "lambda", "health_check": [{"interval": 5, "timeout": 5}]},
        "less than its interval",
    ),
    ("aws_lb_target_group", {"target_type": "lambda", "deregistration_delay": "4000"}, "0 to 3600"),
    ("aws_lb_listener", {"protocol": "HTTPS"}, "needs a certificate_arn"),
    ("aws_lb_listener", {"protocol": "HTTP", "ssl_policy": "p"}, "only"),
    ("aws_lb_listener", {"default_action": [{"type": "redirect"}]}, "needs redirect"),
    ("aws_lb_listener", {"default_action": [{"type": "forward"}]}, "must be specified"),
    ("aws_appautoscaling_target", {"min_capacity": 3, "max_capacity": 2}, "more than max_capacity"),
    ("aws_appautoscaling_policy", {"policy_type": "TargetTrackingScaling"}, "needs target_tracking"),
    ("aws_acm_certificate", {}, "must be specified"),
]


@pytest.mark.parametrize(("kind", "values"), TAKEN)
def test_what_aws_takes_is_taken(schema: Schema, kind: str, values: Values) -> None:
    assert [fault.summary for fault in KINDS[kind].faults(config_of(schema, kind, **values))] == []


@pytest.mark.parametrize(("kind", "values", "why"), REFUSED)
def test_what_aws_refuses_is_refused(schema: Schema, kind: str, values: Values, why: str) -> None:
    config = config_of(schema, kind, **values)
    faults = list(KINDS[kind].faults(config))
    assert any(why in fault.summary for fault in faults), faults
    assert {fault.attribute for fault in faults} <= {"", *config}


@pytest.mark.parametrize(
    ("service", "call", "parameters", "why"),
    [
        ("dynamodb", "update_table", {"TableName": "t", "BillingMode": "ON_DEMAND"}, "PAY_PER_REQUEST"),
        (
            "events",
            "put_targets",
            {
                "Rule": "r",
                "Targets": [{"Id": "i", "Arn": "a", "RetryPolicy": {"MaximumRetryAttempts": 999}}],
            },
            "0..185",
        ),
        ("events", "put_rule", {"Name": "a b", "EventPattern": "{}"}, "does not match"),
        (
            "events",
            "put_events",
            {"Entries": [{"Source": "aws.s3", "DetailType": "d", "Detail": "{}"}]},
            "NotAuthorizedForSource: aws.s3",
        ),
    ],
)
def test_no_call_is_made_with_values_that_the_model_of_the_service_forbids(
    service: str, call: str, parameters: Values, why: str
) -> None:
    client = Aws({"*": "http://127.0.0.1:1"}).client(service)  # nobody listens: it must not come so far
    with pytest.raises(RefusedError, match=why):
        getattr(client, call)(**parameters)
