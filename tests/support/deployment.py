"""The document's infrastructure in an account of a stand-in, made call by call as a good deployment has it.

account = Account(ministack.url, moto_url)             # one of its own, by its credentials
build(account)                             # all of sections 1 to 4 and 7.3
account.client("sqs").set_queue_attributes(...)        # and then what differs
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from botocore.config import Config
from botocore.session import Session

ENV: Final = "traffic-tacos"
REGION: Final = "ap-northeast-2"
P: Final = f"{ENV}-reservation"

INDEXES: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "reservations": {
        "user-status-index": ("user_id", "status"),
        "status-created-index": ("status", "created_at"),
    },
    "orders": {
        "user-created-index": ("user_id", "created_at"),
        "event-created-index": ("event_id", "created_at"),
    },
    "idempotency": {},
    "outbox": {"status-created_at-index": ("status", "created_at")},
}
PATTERNS: Final = {
    "created": {
        "source": ["reservation.service"],
        "detail-type": ["Reservation Created"],
        "detail": {"status": ["HOLD"]},
    },
    "status-changed": {
        "source": ["reservation.service"],
        "detail-type": ["Reservation Status Changed"],
        "detail": {"status": ["CONFIRMED", "CANCELLED", "EXPIRED"]},
    },
}
POLICIES: Final = {
    "dynamodb": (
        [
            *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"),
            *("dynamodb:Query", "dynamodb:Scan", "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"),
        ],
        [f"arn:aws:dynamodb:{REGION}:*:table/{P}-*", f"arn:aws:dynamodb:{REGION}:*:table/{P}-*/index/*"],
    ),
    "events": (["events:PutEvents"], [f"arn:aws:events:{REGION}:*:event-bus/{P}-events"]),
    "logs": (
        ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
        f"arn:aws:logs:{REGION}:*:log-group:/aws/ecs/reservation-api*",
    ),
}


@cache
def _session() -> Session:
    """Of all tests: it reads the services' descriptions once."""
    return Session()


@dataclass
class Account:
    """An account of stand-ins, and botocore's clients for it."""

    url: str
    cloudwatch_url: str
    """ministack forgets what an alarm calculates, and its percentile; moto does not."""
    number: str = field(default_factory=lambda: str(secrets.randbelow(9 * 10**11) + 10**11))
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = _session().create_client(
                service,
                REGION,
                endpoint_url=self.cloudwatch_url if service == "cloudwatch" else self.url,
                aws_access_key_id=self.number,
                aws_secret_access_key="any",
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self.clients[service]

    def close(self) -> None:
        for client in self.clients.values():
            client.close()

    def arn(self, service: str, rest: str, region: str = REGION) -> str:
        return f"arn:aws:{service}:{region}:{self.number}:{rest}"

    @property
    def dlq_arn(self) -> str:
        return self.arn("sqs", f"{P}-events-dlq")

    @property
    def dlq_url(self) -> str:
        return str(self.client("sqs").get_queue_url(QueueName=f"{P}-events-dlq")["QueueUrl"])

    @property
    def topic_arn(self) -> str:
        return self.arn("sns", f"{P}-alarms")

    @property
    def rule_arns(self) -> Sequence[str]:
        on_bus = [self.arn("events", f"rule/{P}-events/{P}-{rule}") for rule in PATTERNS]
        return [*on_bus, self.arn("events", f"rule/{P}-expiry-scheduler")]


def document(*statements: Mapping[str, Any]) -> str:
    """A policy's text."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: Any, resources: Any) -> Mapping[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def build(account: Account) -> None:
    """Make all that the document asks for."""
    for table in INDEXES:
        make_table(account, table)
    make_bus(account)
    make_rules(account)
    make_roles(account)
    make_alarms(account)
    logs = account.client("logs")
    for group in ("/aws/ecs/reservation-api", f"/aws/lambda/{P}-expiry"):
        logs.create_log_group(logGroupName=group)
        logs.put_retention_policy(logGroupName=group, retentionInDays=30)


def make_table(account: Account, table: str, **changes: Any) -> None:
    """Section 1; changes are CreateTable's own."""
    dynamodb, name = account.client("dynamodb"), f"{P}-{table}"
    dynamodb.create_table(**{**table_request(table), **changes})
    dynamodb.update_continuous_backups(
        TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    if table == "idempotency":
        set_ttl(account, table, "ttl")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "dynamodb:*", "Resource": "*"}
    plain = {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    dynamodb.put_resource_policy(ResourceArn=account.arn("dynamodb", f"table/{name}"), Policy=document(plain))


def table_request(table: str) -> dict[str, Any]:
    keys = ["pk"] if table == "idempotency" else ["pk", "sk"]
    indexes = INDEXES[table]
    attributes = {*keys, *(key for pair in indexes.values() for key in pair)}
    request: dict[str, Any] = {
        "TableName": f"{P}-{table}",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": schema(*keys),
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in sorted(attributes)],
        "SSESpecification": {"Enabled": True},
        "DeletionProtectionEnabled": True,
    }
    if indexes:
        request["GlobalSecondaryIndexes"] = [index(name, *pair) for name, pair in indexes.items()]
    return request


def index(name: str, *keys: str, projection: str = "KEYS_ONLY") -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": schema(*keys), "Projection": {"ProjectionType": projection}}


def schema(*keys: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
    ]


def set_ttl(account: Account, table: str, attribute: str) -> None:
    account.client("dynamodb").update_time_to_live(
        TableName=f"{P}-{table}", TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute}
    )


def make_bus(account: Account) -> None:
    """Sections 2.1 and 2.3."""
    events, bus = account.client("events"), f"{P}-events"
    arn = events.create_event_bus(Name=bus)["EventBusArn"]
    put = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": arn}
    role = account.arn("iam", f"role/{P}-api-service-role", region="")
    events.put_permission(
        EventBusName=bus, Policy=document({"Sid": "Service", **put, "Principal": {"AWS": role}})
    )
    make_archive(account)
    attributes = {
        "MessageRetentionPeriod": str(14 * 24 * 3600),
        "VisibilityTimeout": "300",
        "SqsManagedSseEnabled": "true",
        "Policy": queue_policy(account, account.rule_arns),
    }
    account.client("sqs").create_queue(QueueName=f"{bus}-dlq", Attributes=attributes)


def make_archive(account: Account, days: int = 365, source: str = "reservation.service") -> None:
    account.client("events").create_archive(
        ArchiveName=f"{P}-events-archive",
        EventSourceArn=account.arn("events", f"event-bus/{P}-events"),
        RetentionDays=days,
        EventPattern=json.dumps({"source": [source]}),
    )


def queue_policy(account: Account, rule_arns: Sequence[str]) -> str:
    send = allow("sqs:SendMessage", account.dlq_arn)
    by_rules = {"Condition": {"ArnEquals": {"aws:SourceArn": list(rule_arns)}}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": account.dlq_arn}
    return document(
        {**send, "Principal": {"Service": "events.amazonaws.com"}, **by_rules},
        {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
    )


def make_rules(account: Account) -> None:
    """Section 2.2."""
    for rule, pattern in PATTERNS.items():
        put_rule(account, rule, pattern)
        put_target(account, f"{P}-{rule}", "event-processor", bus=f"{P}-events")
    expiry = f"{P}-expiry-scheduler"
    account.client("events").put_rule(Name=expiry, ScheduleExpression="rate(1 minute)")
    put_target(account, expiry, "expiry")


def put_rule(account: Account, rule: str, pattern: Mapping[str, Any]) -> None:
    account.client("events").put_rule(
        Name=f"{P}-{rule}", EventBusName=f"{P}-events", EventPattern=json.dumps(pattern)
    )


def put_target(account: Account, rule: str, function: str, *, bus: str = "default", **changes: Any) -> None:
    """Changes are of the target itself; None takes a part of it away."""
    target = {
        "Id": function,
        "Arn": account.arn("lambda", f"function:{P}-{function}"),
        "RetryPolicy": {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 3600},
        "DeadLetterConfig": {"Arn": account.dlq_arn},
        **changes,
    }
    kept = {key: value for key, value in target.items() if value is not None}
    account.client("events").put_targets(Rule=rule, EventBusName=bus, Targets=[kept])


def make_roles(account: Account) -> None:
    """Section 3. The three policies are attached, the processor's is its own."""
    iam, service = account.client("iam"), f"{P}-api-service-role"
    iam.create_role(RoleName=service, AssumeRolePolicyDocument=trust("ecs-tasks.amazonaws.com"))
    for name, (actions, resources) in POLICIES.items():
        made = iam.create_policy(PolicyName=f"{P}-{name}", PolicyDocument=document(allow(actions, resources)))
        iam.attach_role_policy(RoleName=service, PolicyArn=made["Policy"]["Arn"])
    processor = f"{P}-event-processor-role"
    iam.create_role(RoleName=processor, AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
    put_processor_policy(account, *processor_statements(account))


def trust(service: str) -> str:
    return document({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})


def processor_statements(account: Account) -> tuple[Mapping[str, Any], ...]:
    group = account.arn("logs", f"log-group:/aws/lambda/{P}-event-processor:*")
    return (
        allow(["events:DescribeEventBus"], account.arn("events", f"event-bus/{P}-events")),
        allow("sqs:SendMessage", account.dlq_arn),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], group),
    )


def put_processor_policy(account: Account, *statements: Mapping[str, Any]) -> None:
    account.client("iam").put_role_policy(
        RoleName=f"{P}-event-processor-role", PolicyName="own", PolicyDocument=document(*statements)
    )


def make_alarms(account: Account) -> None:
    """Section 4.2: each tells the topic; an alarm takes ten metrics, so throttling has one for each table."""
    account.client("sns").create_topic(Name=f"{P}-alarms")
    put_alarm(account, error_rate(account))
    put_alarm(account, latency(account))
    for table in INDEXES:
        put_alarm(account, throttling(account, table))


def put_alarm(account: Account, alarm: Mapping[str, Any], **changes: Any) -> None:
    account.client("cloudwatch").put_metric_alarm(**{**alarm, **changes})


def latency(account: Account) -> dict[str, Any]:
    return {
        "AlarmName": f"{P}-high-latency",
        "Namespace": "TrafficTacos/Reservation",
        "MetricName": "APILatency",
        "ExtendedStatistic": "p95",
        "Period": 300,
        "EvaluationPeriods": 3,
        "Threshold": 120,
        "ComparisonOperator": "GreaterThanThreshold",
        "AlarmActions": [account.topic_arn],
    }


def error_rate(account: Account, expression: str = "100 * errors / requests") -> dict[str, Any]:
    balancer = {"LoadBalancer": "app/reservation/1"}
    counts = {"errors": "HTTPCode_Target_5XX_Count", "requests": "RequestCount"}
    metrics = [count(name, "AWS/ApplicationELB", metric, balancer) for name, metric in counts.items()]
    return {
        "AlarmName": f"{P}-high-error-rate",
        "EvaluationPeriods": 2,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "AlarmActions": [account.topic_arn],
        "Metrics": [*metrics, {"Id": "rate", "Expression": expression, "ReturnData": True}],
    }


def throttling(account: Account, table: str, kinds: Sequence[str] = ("Read", "Write")) -> dict[str, Any]:
    metrics = [
        count(
            f"m{len(kind)}_{place}",
            "AWS/DynamoDB",
            f"{kind}ThrottleEvents",
            {"TableName": f"{P}-{table}", **({"GlobalSecondaryIndexName": name} if name else {})},
        )
        for kind in kinds
        for place, name in enumerate(["", *INDEXES[table]])
    ]
    return {
        "AlarmName": f"{P}-dynamodb-throttling-{table}",
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "AlarmActions": [account.topic_arn],
        "Metrics": [*metrics, {"Id": "all", "Expression": "SUM(METRICS())", "ReturnData": True}],
    }


def count(name: str, namespace: str, metric: str, dimensions: Mapping[str, str]) -> dict[str, Any]:
    listed = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": listed},
            "Period": 300,
            "Stat": "Sum",
        },
        "ReturnData": False,
    }
