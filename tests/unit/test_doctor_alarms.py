"""Which alarms do what the document asks, and whom they tell."""

from collections.abc import Sequence
from typing import Any

import pytest

from reservation_api.application.examination.alarms import Watches, facts_of, together, watching
from reservation_api.application.examination.document import Environment, subjects_of
from reservation_api.ports.deployment import Alarms

TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:alarms"
LATENCY = Watches("TrafficTacos/Reservation", "APILatency")


def alarm(name: str = "env-slow", **changes: Any) -> dict[str, Any]:
    """As CloudWatch describes one."""
    return {
        "AlarmName": name,
        "AlarmArn": f"arn:aws:cloudwatch:ap-northeast-2:123456789012:alarm:{name}",
        "Namespace": "TrafficTacos/Reservation",
        "MetricName": "APILatency",
        "ExtendedStatistic": "p95",
        "Period": 300,
        "EvaluationPeriods": 3,
        "Threshold": 120.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "AlarmActions": [],
        **changes,
    }


def composite(rule: str, **changes: Any) -> dict[str, Any]:
    return {"AlarmName": "env-any", "AlarmRule": rule, "AlarmActions": [TOPIC], **changes}


def told(rule: str, **changes: Any) -> object:
    return facts_of(alarm(), Alarms([alarm()], [composite(rule, **changes)]))["notifies"]


@pytest.mark.parametrize(
    "rule",
    [
        'ALARM("env-slow")',
        "ALARM(env-slow)",
        'ALARM("other") OR ALARM("env-slow")',
        'ALARM("other")  OR\n(ALARM("env-slow"))',
        "ALARM('arn:aws:cloudwatch:ap-northeast-2:123456789012:alarm:env-slow')",
    ],
)
def test_an_alarm_tells_whom_the_composite_alarm_tells_that_it_sets_off(rule: str) -> None:
    assert told(rule) == [TOPIC]


@pytest.mark.parametrize(
    "rule",
    [
        'ALARM("other")',
        'ALARM("env-slower")',
        'OK("env-slow")',
        'NOT ALARM("env-slow")',
        'ALARM("other") AND ALARM("env-slow")',
        'ALARM("env-slow") OR (ALARM("a") AND ALARM("b"))',
        "",
    ],
)
def test_an_alarm_that_is_not_surely_enough_by_itself_tells_nobody(rule: str) -> None:
    assert told(rule) == []


def test_a_silenced_composite_alarm_tells_nobody() -> None:
    assert told('ALARM("env-slow")', ActionsEnabled=False) == []


def test_only_topics_are_told() -> None:
    lambda_arn = "arn:aws:lambda:ap-northeast-2:123456789012:function:x"
    one = alarm(AlarmActions=[lambda_arn, TOPIC])
    assert facts_of(one, Alarms([one], []))["notifies"] == [TOPIC]


def names(found: Sequence[Any]) -> list[str]:
    return [one["AlarmName"] for one in found]


def test_alarms_of_this_environment_are_preferred() -> None:
    both = Alarms([alarm("other-slow"), alarm("env-slow")], [])
    assert names(watching(both, LATENCY, "env")) == ["env-slow"]
    assert names(watching(both, LATENCY, "else")) == ["other-slow", "env-slow"]


def test_metrics_of_another_name_or_namespace_are_not_watched() -> None:
    others = [alarm(MetricName="APILatencyOfAll"), alarm(Namespace="Payments")]
    assert watching(Alarms(others, []), LATENCY, "env") == []


def test_a_metric_in_a_calculation_is_watched_too() -> None:
    stat = {
        "Metric": {"Namespace": "TrafficTacos/Reservation", "MetricName": "APILatency"},
        "Period": 60,
        "Stat": "p95",
        "Unit": "Seconds",
    }
    one = alarm(
        MetricName=None, Metrics=[{"Id": "a", "MetricStat": stat}, {"Id": "b", "Expression": "a*1000"}]
    )
    assert watching(Alarms([one], []), LATENCY, "env") == [one]
    facts = facts_of(one, Alarms([one], []))
    assert facts["statistics"] == ["p95"]
    assert facts["period seconds"] == [60]
    assert facts["unit"] == "Seconds"
    assert facts["expression"] == "a*1000"


def test_alarms_together_watch_what_each_does_and_differences_stand_side_by_side() -> None:
    first = facts_of(alarm(AlarmActions=[TOPIC]), Alarms([], []))
    second = facts_of(alarm(Threshold=7.0, MetricName="B", AlarmActions=[TOPIC]), Alarms([], []))
    both = together([first, second])
    assert both["metrics"] == ["APILatency", "B"]
    assert both["threshold"] == "120.0 and 7.0"
    assert both["periods"] == 3


def test_one_alarm_of_several_that_tells_nobody_is_not_made_good_by_another() -> None:
    loud = facts_of(alarm(AlarmActions=[TOPIC]), Alarms([], []))
    assert together([loud, facts_of(alarm(), Alarms([], []))])["notifies"] == []


def test_an_alarm_on_a_part_is_told_from_one_on_all() -> None:
    of_one = alarm(Dimensions=[{"Name": "endpoint", "Value": "GET /x"}])
    assert facts_of(alarm(), Alarms([], []))["dimensions"] == []
    assert facts_of(of_one, Alarms([], []))["dimensions"] == ["endpoint=GET /x"]


def test_errors_of_one_zone_alone_are_not_all_errors() -> None:
    subjects = subjects_of(Environment("env", "ap-northeast-2", "123456789012"))
    (checks,) = [checks for subject, checks in subjects if subject.name == "High Error Rate"]
    (of_all,) = [check.expectation for check in checks if check.fact == "dimensions"]
    balancer, zone = "LoadBalancer=app/reservation/1", "AvailabilityZone=ap-northeast-2a"
    assert of_all.judge([balancer]) == (True, [])
    assert of_all.judge([zone, balancer]) == (False, [zone])
