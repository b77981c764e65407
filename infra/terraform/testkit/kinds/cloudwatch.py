"""Alarms of one metric, of metric math, of other alarms; and dashboards."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.fields import Fields, pairs, unordered
from testkit.kind import Fault, Kind, Rules
from testkit.metrics import alarm_faults
from testkit.tagging import CLOUDWATCH, COMPOSITE
from testkit.values import State

_DIMENSIONS: Final = pairs("Name", "Value")
_METRIC: Final = Fields("namespace", "metric_name", dimensions=_DIMENSIONS)
_STAT: Final = Fields("period", "stat", "unit")
_QUERY: Final = Fields("account_id", "expression", "id", "label", "period", "return_data")
_ALARM: Final = Fields(
    "actions_enabled",
    "alarm_description",
    "alarm_name",
    "comparison_operator",
    "datapoints_to_alarm",
    "evaluation_periods",
    "extended_statistic",
    "metric_name",
    "namespace",
    "period",
    "statistic",
    "threshold",
    "threshold_metric_id",
    "treat_missing_data",
    "unit",
    alarm_actions=unordered(),
    dimensions=_DIMENSIONS,
    evaluate_low_sample_count_percentiles="EvaluateLowSampleCountPercentile",
    insufficient_data_actions=unordered(),
    ok_actions=unordered("OKActions"),
)


def _query(query: State) -> dict[str, Any]:
    written = _QUERY.to_aws(query)
    for metric in query["metric"]:
        written["MetricStat"] = {"Metric": _METRIC.to_aws(metric), **_STAT.to_aws(metric)}
    return written


def _read_query(query: dict[str, Any]) -> State:
    stat = query.get("MetricStat")
    metric = [{**_METRIC.to_state(stat["Metric"]), **_STAT.to_state(stat)}] if stat else []
    return {**_QUERY.to_state(query), "metric": metric}


def _put_alarm(aws: Aws, alarm: State) -> State:
    queries = sorted((_query(query) for query in alarm["metric_query"]), key=lambda query: str(query["Id"]))
    tags = CLOUDWATCH.written(alarm["tags_all"])
    aws.client("cloudwatch").put_metric_alarm(**_ALARM.to_aws(alarm), **params(Metrics=queries, Tags=tags))
    return {"id": alarm["alarm_name"]}


def _described(aws: Aws, name: str, kind: str, key: str) -> dict[str, Any] | None:
    listed = aws.client("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=[kind])[key]
    return dict(listed[0]) if listed else None


def _read_alarm(aws: Aws, state: State) -> State | None:
    alarm = _described(aws, state["id"], "MetricAlarm", "MetricAlarms")
    if alarm is None:
        return None
    return _ALARM.to_state(alarm) | {
        "arn": alarm["AlarmArn"],
        "metric_query": [_read_query(query) for query in alarm.get("Metrics", [])],
        "tags_all": CLOUDWATCH.read(aws, alarm["AlarmArn"]),
    }


def _update_alarm(aws: Aws, prior: State, planned: State) -> None:
    _put_alarm(aws, planned)
    CLOUDWATCH.update(aws, prior["arn"], prior, planned)


def _delete_alarm(aws: Aws, state: State) -> None:
    aws.client("cloudwatch").delete_alarms(AlarmNames=[state["id"]])


_COMPOSITE: Final = Fields(
    "actions_enabled",
    "alarm_description",
    "alarm_name",
    "alarm_rule",
    alarm_actions=unordered(),
    insufficient_data_actions=unordered(),
    ok_actions=unordered("OKActions"),
)
_CHILD: Final = re.compile(r"(?:ALARM|OK|INSUFFICIENT_DATA)\(\s*[\"']?([^\"')]+?)[\"']?\s*\)")


def _place_children(aws: Aws, rule: str) -> None:
    """Let the server of composite alarms know the alarms of a rule, which are on another one.

    It refuses a rule that names others, as AWS does.
    """
    for name in sorted({child.rpartition(":")[2] for child in _CHILD.findall(rule)}):
        if _described(aws, name, "MetricAlarm", "MetricAlarms"):
            aws.client("cloudwatch", "composite").put_metric_alarm(
                AlarmName=name,
                Namespace="testkit",
                MetricName="is-on-another-server",
                Period=60,
                Statistic="Sum",
                EvaluationPeriods=1,
                Threshold=1,
                ComparisonOperator="GreaterThanThreshold",
            )


def _put_composite(aws: Aws, alarm: State) -> State:
    _place_children(aws, alarm["alarm_rule"])
    tags = params(Tags=COMPOSITE.written(alarm["tags_all"]))
    aws.client("cloudwatch", "composite").put_composite_alarm(**_COMPOSITE.to_aws(alarm), **tags)
    return {"id": alarm["alarm_name"]}


def _read_composite(aws: Aws, state: State) -> State | None:
    answer = aws.client("cloudwatch", "composite").describe_alarms(
        AlarmNames=[state["id"]], AlarmTypes=["CompositeAlarm"]
    )
    if not answer["CompositeAlarms"]:
        return None
    alarm = answer["CompositeAlarms"][0]
    read = {"arn": alarm["AlarmArn"], "tags_all": COMPOSITE.read(aws, alarm["AlarmArn"])}
    return _COMPOSITE.to_state(alarm) | read


def _update_composite(aws: Aws, prior: State, planned: State) -> None:
    _put_composite(aws, planned)
    COMPOSITE.update(aws, prior["arn"], prior, planned)


def _delete_composite(aws: Aws, state: State) -> None:
    aws.client("cloudwatch", "composite").delete_alarms(AlarmNames=[state["id"]])


def _put_dashboard(aws: Aws, dashboard: State) -> State:
    name = dashboard["dashboard_name"]
    aws.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=dashboard["dashboard_body"])
    return {"id": name}


def _read_dashboard(aws: Aws, state: State) -> State | None:
    name = state["id"]
    answer = found(aws.client("cloudwatch").get_dashboard, "ResourceNotFound", DashboardName=name)
    if answer is None:
        return None
    arn = answer.get("DashboardArn") or f"arn:aws:cloudwatch::{aws.account}:dashboard/{name}"
    return {"dashboard_name": name, "dashboard_arn": arn, "dashboard_body": answer["DashboardBody"]}


def _update_dashboard(aws: Aws, _prior: State, planned: State) -> None:
    _put_dashboard(aws, planned)


def _delete_dashboard(aws: Aws, state: State) -> None:
    aws.client("cloudwatch").delete_dashboards(DashboardNames=[state["id"]])


_GRID_COLUMNS: Final = 24


def _dashboard_faults(dashboard: State) -> Iterable[Fault]:
    body = dashboard["dashboard_body"]
    if not isinstance(body, str):
        return
    try:
        widgets = json.loads(body)["widgets"]
    except (ValueError, KeyError, TypeError):
        yield Fault("dashboard_body is no JSON object with widgets", "dashboard_body")
        return
    for place, widget in enumerate(widgets):
        if widget.get("x", 0) + widget.get("width", 6) > _GRID_COLUMNS:
            yield Fault(f"widget {place} is wider than the grid of {_GRID_COLUMNS}", "dashboard_body")
        if "type" not in widget or "properties" not in widget:
            yield Fault(f"widget {place} has no type or no properties", "dashboard_body")


KINDS: Final = (
    Kind(
        "aws_cloudwatch_metric_alarm",
        _put_alarm,
        _read_alarm,
        _delete_alarm,
        _update_alarm,
        Rules(
            defaults={
                "actions_enabled": True,
                "treat_missing_data": "missing",
                "metric_query.return_data": False,
            },
            force_new=frozenset({"alarm_name", "region"}),
            identity={"metric_query": "id"},
        ),
        alarm_faults,
    ),
    Kind(
        "aws_cloudwatch_composite_alarm",
        _put_composite,
        _read_composite,
        _delete_composite,
        _update_composite,
        Rules(
            defaults={"actions_enabled": True},
            force_new=frozenset({"alarm_name", "actions_enabled", "region"}),
        ),
    ),
    Kind(
        "aws_cloudwatch_dashboard",
        _put_dashboard,
        _read_dashboard,
        _delete_dashboard,
        _update_dashboard,
        Rules(force_new=frozenset({"dashboard_name", "region"}), json_texts=frozenset({"dashboard_body"})),
        _dashboard_faults,
    ),
)
