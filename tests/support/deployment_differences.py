"""What may differ from the document in a deployment, one thing at a time, and how `doctor` tells it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.support.deployment import (
    PATTERNS,
    POLICIES,
    REGION,
    Account,
    P,
    allow,
    document,
    error_rate,
    index,
    latency,
    make_archive,
    make_table,
    processor_statements,
    put_alarm,
    put_processor_policy,
    put_rule,
    put_target,
    queue_policy,
    schema,
    set_ttl,
    throttling,
    trust,
)

SERVICE_ROLE: Final = f"{P}-api-service-role"
PROCESSOR_ROLE: Final = f"{P}-event-processor-role"
CREATED: Final = f"rule {P}-events/{P}-created"
SCHEDULE: Final = f"schedule {P}-expiry-scheduler"
ARCHIVE: Final = f"archive {P}-events-archive"
DLQ: Final = f"queue {P}-events-dlq"


def remake(table: str, **changes: Any) -> Callable[[Account], None]:
    def change(account: Account) -> None:
        dynamodb, name = account.client("dynamodb"), f"{P}-{table}"
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
        dynamodb.delete_table(TableName=name)
        make_table(account, table, **changes)

    return change


def queue(**attributes: str) -> Callable[[Account], None]:
    return lambda account: account.client("sqs").set_queue_attributes(
        QueueUrl=account.dlq_url, Attributes=attributes
    )


def target(**changes: Any) -> Callable[[Account], None]:
    return lambda account: put_target(
        account, f"{P}-created", "event-processor", bus=f"{P}-events", **changes
    )


def alarm(alarm_of: Callable[[Account], dict[str, Any]], **changes: Any) -> Callable[[Account], None]:
    return lambda account: put_alarm(account, alarm_of(account), **changes)


def service_policy(name: str, actions: Any, resources: Any) -> Callable[[Account], None]:
    """A new version of one of the three policies."""

    def change(account: Account) -> None:
        arn = account.arn("iam", f"policy/{P}-{name}", region="")
        text = document(allow(actions, resources))
        account.client("iam").create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)

    return change


def inline_policy(account: Account) -> None:
    account.client("iam").put_role_policy(
        RoleName=SERVICE_ROLE, PolicyName="more", PolicyDocument=document(allow("sqs:SendMessage", "*"))
    )


def trusted(role: str, by: str) -> Callable[[Account], None]:
    return lambda account: account.client("iam").update_assume_role_policy(RoleName=role, PolicyDocument=by)


def no_recovery(account: Account) -> None:
    account.client("dynamodb").update_continuous_backups(
        TableName=f"{P}-outbox", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )


def other_ttl(account: Account) -> None:
    remake("idempotency")(account)
    dynamodb = account.client("dynamodb")
    off = {"Enabled": False, "AttributeName": "ttl"}
    dynamodb.update_time_to_live(TableName=f"{P}-idempotency", TimeToLiveSpecification=off)
    set_ttl(account, "idempotency", "expires_at")


def unprotected(account: Account) -> None:
    account.client("dynamodb").update_table(TableName=f"{P}-orders", DeletionProtectionEnabled=False)


def other_archive(**changes: Any) -> Callable[[Account], None]:
    def change(account: Account) -> None:
        account.client("events").delete_archive(ArchiveName=f"{P}-events-archive")
        make_archive(account, **changes)

    return change


def no_table_policy(account: Account) -> None:
    arn = account.arn("dynamodb", f"table/{P}-orders")
    account.client("dynamodb").delete_resource_policy(ResourceArn=arn)


def retention(group: str, days: int) -> Callable[[Account], None]:
    return lambda account: account.client("logs").put_retention_policy(
        logGroupName=group, retentionInDays=days
    )


def logs_for_ever(account: Account) -> None:
    account.client("logs").delete_retention_policy(logGroupName="/aws/ecs/reservation-api")


def policy_for(*places: int) -> Callable[[Account], None]:
    """The dead-letter queue's policy, for some of the rules."""

    def change(account: Account) -> None:
        queue(Policy=queue_policy(account, [account.rule_arns[place] for place in places]))(account)

    return change


def open_policy(account: Account) -> None:
    send = allow("sqs:SendMessage", account.dlq_arn)
    text = document({**send, "Principal": {"Service": "events.amazonaws.com"}})
    queue(Policy=text)(account)


def processor(*kept: int, more: Mapping[str, Any] | None = None) -> Callable[[Account], None]:
    """The event processor's policy with some of its statements."""

    def change(account: Account) -> None:
        statements = [processor_statements(account)[place] for place in kept]
        put_processor_policy(account, *statements, *([more] if more else []))

    return change


def disabled(rule: str, bus: str) -> Callable[[Account], None]:
    return lambda account: account.client("events").disable_rule(Name=rule, EventBusName=bus)


def no_topic(account: Account) -> None:
    account.client("sns").delete_topic(TopicArn=account.topic_arn)


MISSPELT = {**PATTERNS["created"], "detail-type": ["Reservation created"]}
ORDERS_SWAPPED = [
    index("user-created-index", "created_at", "user_id"),
    index("event-created-index", "event_id", "created_at"),
]
OUTBOX_INDEX = index("status-created-index", "status", "created_at")
ALL = [index("status-created_at-index", "status", "created_at", projection="ALL")]
ON_TABLES, TABLE_ARNS = POLICIES["dynamodb"]
WIDER = f"arn:aws:events:{REGION}:*:event-bus/*"
ONE_ENDPOINT = [{"Name": "endpoint", "Value": "GET /x"}]
PROCESSOR_LOGS = allow("logs:*", "*")
OWN_KEY_ARN = f"arn:aws:kms:{REGION}:123456789012:key/00000000-0000-0000-0000-000000000000"
OWN_KEY = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": OWN_KEY_ARN}
PROVISIONED = {
    "BillingMode": "PROVISIONED",
    "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
}
ELSEWHERE = {"Arn": f"arn:aws:sqs:{REGION}:123456789012:another-dlq"}


@dataclass(frozen=True)
class Difference:
    change: Callable[[Account], Any]
    subject: str
    check: str
    told: str
    """A part of the line that tells it."""
    status: str = "different"


DIFFERENCES: Final[Mapping[str, Difference]] = {
    "ttl of another attribute": Difference(
        other_ttl, f"table {P}-idempotency", "ttl", "expected on ttl, found on expires_at"
    ),
    "ttl on a table that keeps": Difference(
        lambda account: set_ttl(account, "outbox", "ttl"), f"table {P}-outbox", "ttl", "expected off"
    ),
    "keys swapped in an index": Difference(
        remake("orders", GlobalSecondaryIndexes=ORDERS_SWAPPED),
        f"table {P}-orders",
        "user-created-index",
        'found ["created_at HASH S","user_id RANGE S"]',
    ),
    "keys with the names of what they hold": Difference(
        remake(
            "idempotency",
            KeySchema=schema("key"),
            AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        ),
        f"table {P}-idempotency",
        "keys",
        'expected ["pk HASH S"], found ["key HASH S"]',
    ),
    "an index by another name": Difference(
        remake("outbox", GlobalSecondaryIndexes=[OUTBOX_INDEX]),
        f"table {P}-outbox",
        "status-created_at-index",
        'expected ["status HASH S","created_at RANGE S"]',
        status="missing",
    ),
    "everything in an index": Difference(
        remake("outbox", GlobalSecondaryIndexes=ALL),
        f"table {P}-outbox",
        "index projections",
        "status-created_at-index: ALL",
    ),
    "provisioned": Difference(
        remake("idempotency", **PROVISIONED), f"table {P}-idempotency", "billing mode", "found PROVISIONED"
    ),
    "the key that DynamoDB owns": Difference(
        remake("reservations", SSESpecification={"Enabled": False}),
        f"table {P}-reservations",
        "encryption",
        "found DynamoDB's own key",
    ),
    "a key of one's own": Difference(
        remake("reservations", SSESpecification=OWN_KEY),
        f"table {P}-reservations",
        "encryption",
        "found key arn:aws:kms",
    ),
    "no point-in-time recovery": Difference(
        no_recovery, f"table {P}-outbox", "point-in-time recovery", "expected true, found false"
    ),
    "no deletion protection": Difference(
        unprotected, f"table {P}-orders", "deletion protection", "expected true, found false"
    ),
    "a table without a policy": Difference(
        no_table_policy, f"table {P}-orders", "resource policy", "expected true, found false"
    ),
    "an archive of 31 days": Difference(
        other_archive(days=31), ARCHIVE, "retention days", "expected 365, found 31"
    ),
    "an archive of something else": Difference(
        other_archive(source="reservation.servce"),
        ARCHIVE,
        "pattern",
        'found {"source":["reservation.servce"]}',
    ),
    "a misspelt pattern": Difference(
        lambda account: put_rule(account, "created", MISSPELT), CREATED, "pattern", '["Reservation created"]'
    ),
    "a rule that is off": Difference(
        disabled(f"{P}-created", f"{P}-events"), CREATED, "state", "found DISABLED"
    ),
    "a schedule that is off": Difference(
        disabled(f"{P}-expiry-scheduler", "default"), SCHEDULE, "state", "found DISABLED"
    ),
    "dead letters to another queue": Difference(
        target(DeadLetterConfig=ELSEWHERE), CREATED, "dead letters", "event-processor: arn:aws:sqs"
    ),
    "no dead letters": Difference(
        target(DeadLetterConfig=None), CREATED, "dead letters", "event-processor: none"
    ),
    "no retry policy": Difference(target(RetryPolicy=None), CREATED, "retry policy", "event-processor: none"),
    "dead letters of a day": Difference(
        queue(MessageRetentionPeriod="86400"), DLQ, "retention seconds", "expected 1209600, found 86400"
    ),
    "a shorter visibility": Difference(
        queue(VisibilityTimeout="30"), DLQ, "visibility timeout seconds", "expected 300, found 30"
    ),
    "a queue in plain text": Difference(
        queue(SqsManagedSseEnabled="false"), DLQ, "encryption", "expected SQS managed, found none"
    ),
    "no queue policy": Difference(queue(Policy=""), DLQ, "policy lets the rules in", "found []"),
    "a queue policy that forgets a rule": Difference(
        policy_for(0, 1), DLQ, "policy lets the rules in", f"rule/{P}-expiry-scheduler"
    ),
    "a queue policy for any rule of anybody": Difference(
        open_policy, DLQ, "policy keeps other accounts' rules out", "999999999999"
    ),
    "one action too many": Difference(
        service_policy("dynamodb", [*ON_TABLES, "dynamodb:DescribeTable"], TABLE_ARNS),
        f"role {SERVICE_ROLE}",
        "DynamoDB policy",
        'has beyond it ["Allow dynamodb:DescribeTable on',
    ),
    "one action too few": Difference(
        service_policy("dynamodb", ON_TABLES[:-1], TABLE_ARNS),
        f"role {SERVICE_ROLE}",
        "DynamoDB policy",
        'lacks ["Allow dynamodb:BatchWriteItem on',
    ),
    "any bus": Difference(
        service_policy("events", "events:PutEvents", WIDER),
        f"role {SERVICE_ROLE}",
        "EventBridge policy",
        "event-bus/*",
    ),
    "a permission of its own": Difference(
        inline_policy, f"role {SERVICE_ROLE}", "other permissions", "Allow sqs:SendMessage on *"
    ),
    "a role for functions": Difference(
        trusted(SERVICE_ROLE, trust("lambda.amazonaws.com")),
        f"role {SERVICE_ROLE}",
        "trust",
        'found ["Service lambda.amazonaws.com"]',
    ),
    "a processor without logs": Difference(
        processor(0, 1), f"role {PROCESSOR_ROLE}", "CloudWatch Logs", "found []"
    ),
    "a processor without dead letters": Difference(
        processor(0, 2), f"role {PROCESSOR_ROLE}", "writes to the dead-letter queue", "found []"
    ),
    "a processor that reads no event bus": Difference(
        processor(1, 2), f"role {PROCESSOR_ROLE}", "reads from EventBridge", "found []"
    ),
    "a processor with all of logs": Difference(
        processor(0, 1, 2, more=PROCESSOR_LOGS),
        f"role {PROCESSOR_ROLE}",
        "no wildcard actions",
        "Allow logs:* on *",
    ),
    "seconds for milliseconds": Difference(
        alarm(latency, Threshold=1.2), "alarm High Latency", "threshold", "expected 120, found 1.2"
    ),
    "another percentile": Difference(
        alarm(latency, ExtendedStatistic="p99"), "alarm High Latency", "statistics", 'found ["p99"]'
    ),
    "fewer periods": Difference(
        alarm(latency, EvaluationPeriods=1), "alarm High Latency", "periods", "expected 3, found 1"
    ),
    "two of three periods": Difference(
        alarm(latency, DatapointsToAlarm=2), "alarm High Latency", "periods", "expected 3, found 2 of 3"
    ),
    "a shorter period": Difference(
        alarm(latency, Period=60), "alarm High Latency", "period seconds", "expected [300], found [60]"
    ),
    "an alarm on one endpoint": Difference(
        alarm(latency, Dimensions=ONE_ENDPOINT), "alarm High Latency", "of all endpoints", '"endpoint=GET /x"'
    ),
    "an alarm that tells nobody": Difference(
        alarm(latency, AlarmActions=[]), "alarm High Latency", "notifies", "found []"
    ),
    "an alarm that is silenced": Difference(
        alarm(latency, ActionsEnabled=False), "alarm High Latency", "notifies", "found []"
    ),
    "a topic that is gone": Difference(no_topic, "alarm High Latency", "topics", "missing: arn:aws:sns"),
    "errors at five percent": Difference(
        alarm(error_rate, Threshold=5), "alarm High Error Rate", "threshold", "expected 1, found 5"
    ),
    "errors counted, not as a rate": Difference(
        alarm(lambda account: error_rate(account, "SUM([errors, requests])")),
        "alarm High Error Rate",
        "percentage",
        "found SUM([errors, requests])",
    ),
    "throttled writes that nobody watches": Difference(
        alarm(lambda account: throttling(account, "orders", ("Read",))),
        f"alarm DynamoDB Throttling of {P}-orders",
        "metrics",
        'lacks ["WriteThrottleEvents',
    ),
    "logs of 60 days": Difference(
        retention("/aws/ecs/reservation-api", 60),
        "log groups /aws/ecs/reservation-api",
        "retention",
        "/aws/ecs/reservation-api: 60 days",
    ),
    "logs for ever": Difference(
        logs_for_ever,
        "log groups /aws/ecs/reservation-api",
        "retention",
        "/aws/ecs/reservation-api: for ever",
    ),
    "a function's logs for a year": Difference(
        retention(f"/aws/lambda/{P}-expiry", 365),
        f"log groups /aws/lambda/{P}-",
        "retention",
        f"/aws/lambda/{P}-expiry: 365 days",
    ),
}
FOLLOWS: Final = {
    "an index by another name": {"indexes"},
    "an alarm that tells nobody": {"topics"},
    "an alarm that is silenced": {"topics"},
    "a topic that is gone": {"topics"},  # of the other alarms
}
"""What else is different then."""
