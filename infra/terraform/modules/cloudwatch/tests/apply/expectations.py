"""What the stand-in has after the alarms were applied; what is measured is what the service exports."""

import json
import os

from reservation_api.telemetry.names import METRICS
from testkit.aws import Aws

OUTPUTS = json.loads(os.environ["TESTKIT_OUTPUTS"])
TABLES = ("idempotency", "orders", "outbox", "reservations")
PARTS = {f"demo-reservation-dynamodb-throttling-{table}" for table in TABLES}

aws = Aws.of_the_environment()
simple = aws.client("cloudwatch").describe_alarms(AlarmTypes=["MetricAlarm"])["MetricAlarms"]
composite = aws.client("cloudwatch", "composite").describe_alarms(AlarmTypes=["CompositeAlarm"])
alarms = {alarm["AlarmName"]: alarm for alarm in simple + composite["CompositeAlarms"]}

assert set(OUTPUTS["alarm_names"]) | PARTS == set(alarms)
for name, alarm in alarms.items():
    told = [] if name in PARTS else [OUTPUTS["topic_arn"]]
    assert (alarm["AlarmActions"], alarm["OKActions"]) == (told, told), name
    page = name.removeprefix("demo-reservation-")
    page = "dynamodb-throttling" if name in PARTS else page
    assert alarm["AlarmDescription"].endswith(f" Runbook: docs/runbooks/{page}.md"), name

latency = alarms["demo-reservation-high-latency"]
assert (latency["MetricName"], latency["ExtendedStatistic"]) == ("APILatency", "p95")
assert (latency["Threshold"], latency["Period"], latency["EvaluationPeriods"]) == (120, 300, 3)

groups = aws.client("logs").describe_log_groups()["logGroups"]
assert {group["logGroupName"] for group in groups} == {
    "/aws/ecs/reservation-api",
    "/aws/ecs/reservation-api/metrics",
    "/aws/lambda/demo-reservation-event-processor",
    "/aws/lambda/demo-reservation-expiry",
}
assert {group["retentionInDays"] for group in groups} == {30}

# The collector makes metrics of the essential ones (section 7.3), by their labels, and of no others.
declared = {
    selector.removeprefix("^").removesuffix("$"): declaration["dimensions"][0]
    for declaration in OUTPUTS["metric_declarations"]
    for selector in declaration["metric_name_selectors"]
}
assert declared == {metric.name: list(metric.labels) for metric in METRICS if metric.essential}
